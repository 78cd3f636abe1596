"""A small world of candidates whose texts are known directions, and locations that look like one of them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geocell.encoders.info import EncoderInfo
from geocell.features.locations import Locations
from geocell.heads.zero_shot import ZeroShot
from geocell.imagetext.projection import Float32, Projection, unit_rows
from geocell.zeroshot.candidates import Candidate, Candidates
from geocell.zeroshot.settings import ZeroShotSettings
from tests.worlds import make_locations

CITIES = Candidates(
    (
        Candidate("France", "Paris", 48.85, 2.35, "Île-de-France", "Europe", 2_100_000),
        Candidate("France", "Lyon", 45.75, 4.85, "Rhône-Alpes", "Europe", 500_000),
        Candidate("France", "Grenoble", 45.19, 5.72, "Rhône-Alpes", "Europe", 160_000),
        Candidate("Japan", "Tokyo", 35.69, 139.69, "Tokyo", "Asia", 8_300_000),
        Candidate("Japan", "Osaka", 34.69, 135.5, "Osaka", "Asia", 2_600_000),
        Candidate("Peru", "Lima", -12.05, -77.04, "Lima", "South America", 7_700_000),
    )
)
DIM = 12
INFO = EncoderInfo("tiny", "1", "pooler_output", 16, 32, "none", "float32", "tiny")


class Words:
    """A model of images and texts that embeds a text as a direction drawn from its words, and counts its passes."""

    def __init__(self, scale: float = 12.0, seed: int = 0, independent: bool = False) -> None:
        matrix = np.random.default_rng(seed).normal(size=(DIM, INFO.dim)).astype(np.float32)
        self.projection = Projection(matrix, scale, independent=independent)
        self.info, self.text_identity, self.logit_scale = INFO, f"words {seed}", scale
        self.passes: list[list[str]] = []

    def text(self, texts: Sequence[str]) -> Float32:
        self.passes.append(list(texts))
        return unit_rows(np.stack([self._direction(text) for text in texts]), "texts")

    @staticmethod
    def _direction(text: str) -> NDArray[np.float64]:
        from zlib import crc32

        words = [np.random.default_rng(crc32(word.encode())).normal(size=DIM) for word in text.strip(".").split()]
        return np.asarray(np.mean(words, axis=0))

    def project(self, pooled: NDArray[np.floating]) -> Float32:
        return self.projection(pooled)


def places(n: int = 40, seed: int = 1, views: NDArray[np.int64] | None = None) -> Locations:
    """Return locations with random features."""
    rng = np.random.default_rng(seed)
    latlon = np.stack((rng.uniform(-60, 60, n), rng.uniform(-170, 170, n)), axis=1)
    rows = n if views is None else int(views.sum())
    return make_locations(latlon, rng.normal(size=(rows, INFO.dim)).astype(np.float32), views, INFO)


def made(settings: ZeroShotSettings = ZeroShotSettings(), model: Words | None = None) -> ZeroShot:
    return ZeroShot.from_model(model or Words(), CITIES, settings)
