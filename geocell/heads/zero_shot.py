"""Zero-shot geolocation: a classifier over candidate cities that is made of texts, and answers like a head."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geocell.decoders.base import LocationData, PartitionData, PreparedDecoder
from geocell.decoders.centroid import Centroid
from geocell.decoders.table import AnyDecoder, DecoderCache, as_decoder
from geocell.display import Display, TextTable
from geocell.features.locations import encoder_text
from geocell.files import canonical_json
from geocell.geo.geodesy import Floats
from geocell.heads.calibration import Calibration
from geocell.heads.notebook import calibration_text
from geocell.imagetext.projection import Float32, Projection
from geocell.imagetext.protocol import ImageTextModel
from geocell.imagetext.text_cache import embed_texts
from geocell.partitioners.base import Partition
from geocell.partitioners.notebook import partition_map
from geocell.partitioners.partition_file import CENTROIDS_KIND
from geocell.zeroshot.candidates import Candidates
from geocell.zeroshot.levels import Level, city_probabilities, descend, level_texts, levels_of
from geocell.zeroshot.settings import ZeroShotSettings

if TYPE_CHECKING:
    from geocell.encoders.info import EncoderInfo
    from geocell.features.locations import Locations
    from geocell.heads.trained_on import TrainedOn

_MOST = 1 << 22  # probabilities of a piece: 32 MiB of float64, of which some are in memory at once


@dataclass(frozen=True, eq=False, repr=False)
class ZeroShot:
    """A classifier over candidate cities made of their texts; whatever takes a head takes it.

    The posterior is p(country) · p(city | country), with `settings.keep` countries; by the decoder `centroid` it
    answers the most probable city of the most probable country. Other decoders choose from the whole posterior.

    Attributes:
        candidates: C cities.
        settings: their texts, and how they are asked for.
        encoder: which encoder's features it reads.
        projection: from those features to embeddings beside those of texts.
        texts: embeddings of the groups of each level, (G, d) each, from the coarsest level.
        text_identity: the model that embedded them.
        calibration: what was learned on validation locations; its temperature is part of every posterior.
    """

    candidates: Candidates
    settings: ZeroShotSettings
    encoder: EncoderInfo
    projection: Projection
    texts: tuple[Float32, ...]
    text_identity: str
    calibration: Calibration | None = None

    def __post_init__(self) -> None:
        """Check that the parts belong together."""
        wanted, got = [len(level) for level in self.levels], [len(texts) for texts in self.texts]
        dims = {texts.shape[1] for texts in self.texts}
        if self.projection.matrix is not None:
            dims.add(len(self.projection.matrix))
        if wanted != got or len(dims) != 1:
            raise ValueError(
                f"zero-shot needs embeddings of {wanted} texts on its levels, of the projection's size, got {got} of "
                f"sizes {sorted(dims)}."
            )

    def __repr__(self) -> str:
        """Return encoder and candidates."""
        return f"<ZeroShot {self.encoder.name} over {len(self.candidates):,} cities>"

    def _repr_html_(self) -> str:
        rows = [(level, text) for level, texts in self.settings.templates.items() for text in texts]
        facts = [
            ("cities", f"{len(self.candidates):,} of {len(self.candidates.countries):,} countries"),
            ("encoder", encoder_text(self.encoder)),
            ("countries kept", str(self.settings.keep or "all")),
            ("calibration", calibration_text(self.calibration)),
        ]
        table = TextTable(("level", "text"), rows, n_left=2)
        return Display("ZeroShot", facts, [table], partition_map(self.partition)).html()

    @classmethod
    def from_model(
        cls,
        model: ImageTextModel,
        candidates: Candidates,
        settings: ZeroShotSettings = ZeroShotSettings(),
        cache: Path | None = None,
    ) -> ZeroShot:
        """Embed the texts of candidates, all in one pass.

        Args:
            model: CLIP, SigLIP or the joined towers.
            candidates: C cities.
            settings: their texts, and how they are asked for.
            cache: folder of embeddings that were computed before; see `embed_texts`.

        Raises:
            ValueError: when a template names what a candidate does not have, or a text is too long for the model.
        """
        texts = level_texts(candidates, settings, lambda texts: embed_texts(model, texts, cache))
        return cls(candidates, settings, model.info, model.projection, texts, model.text_identity)

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """The levels, from the coarsest."""
        return levels_of(self.candidates, list(self.settings.templates))

    @cached_property
    def partition(self) -> Partition:
        """The C candidates as cells, which only decode."""
        n = len(self.candidates)
        labels = [item.label for item in self.candidates.items]
        counts = Counter(labels)
        twice = {label for label, count in counts.items() if count > 1}
        names = [
            f"{label} ({item.lat:.4f}, {item.lon:.4f}) {row}" if label in twice else label
            for row, (label, item) in enumerate(zip(labels, self.candidates.items, strict=True))
        ]
        return Partition(
            CENTROIDS_KIND,
            tuple(names),
            tuple(labels),
            self.candidates.latlon,
            np.zeros(n, dtype=np.int64),
            np.full(n, np.nan),
            {"candidates": "cities"},
        )

    @property
    def trained_on(self) -> TrainedOn | None:
        """None: it was trained on no location that is known."""
        return None

    @property
    def has_offsets(self) -> bool:
        """False: a city has no extent to be moved in."""
        return False

    @property
    def region(self) -> None:
        """None: it has no region that it was trained on."""
        return

    @cached_property
    def content_sha256(self) -> str:
        """Hash of all that answers depend on but the calibration."""
        digest = hashlib.sha256()
        for array in (*self.texts, *(() if self.projection.matrix is None else (self.projection.matrix,))):
            digest.update(np.ascontiguousarray(array, dtype="<f4").tobytes())
        scalars = [self.projection.scale, self.projection.bias, self.projection.independent]
        encoder = {**self.encoder.to_dict(), "source": ""}  # where it is loaded from here is no part of it
        content = [self.candidates.sha256, self.settings.to_dict(), scalars, encoder, self.text_identity]
        digest.update(canonical_json(content).encode())
        return digest.hexdigest()

    @property
    def sha256(self) -> str:
        """Hash of texts, candidates, settings and calibration."""
        if self.calibration is None:
            return self.content_sha256
        return hashlib.sha256(f"{self.content_sha256} {self.calibration.sha256}".encode()).hexdigest()

    @cached_property
    def _decoders(self) -> DecoderCache:
        shares = None if self.calibration is None else self.calibration.shares
        return DecoderCache(PartitionData(self.partition.centroids, shares=shares), frozenset({"features"}))

    @cached_property
    def _centroid(self) -> PreparedDecoder:
        """The decoder `centroid`: level by level, and never the most probable candidate of all countries."""
        known = self.calibration

        def answer(posterior: NDArray[np.float32], locations: LocationData) -> Floats:
            del locations
            plain = posterior if known is None else known.undone(posterior)
            return np.asarray(self.partition.centroids[descend(self.levels, plain)])

        return PreparedDecoder(Centroid(), self.partition.centroids, answer)

    def prepare(self, decode: AnyDecoder) -> PreparedDecoder:
        """Return a decoder, prepared for them; `centroid` descends from country to city, see `Head.prepare`."""
        if isinstance(decode, PreparedDecoder):
            return self._decoders(decode)
        return self._centroid if isinstance(as_decoder(decode), Centroid) else self._decoders(decode)

    def answer_chunks(
        self, locations: Locations, decode: AnyDecoder = "centroid", device: str = "auto"
    ) -> Iterator[tuple[slice, NDArray[np.float32], Floats]]:
        """Yield the rows of a piece, its (rows, C) posterior and its (rows, 2) points; see `HeadLike.answer_chunks`."""
        prepared = self.prepare(decode)
        for rows, posterior in self.posterior_chunks(locations, device):
            part = locations.take(np.arange(rows.start, rows.stop))
            yield rows, posterior, prepared(posterior, LocationData(features=part.mean_features))

    def posterior_chunks(
        self, locations: Locations, device: str = "auto", chunk: int | None = None
    ) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Yield the rows and the (rows, C) float32 probabilities of pieces. Everything is computed on the CPU.

        Args:
            locations: P locations.
            device: is not used.
            chunk: rows of a piece; as many as are computed at once when None.

        Raises:
            ValueError: when the features are of another encoder, or not finite.
        """
        del device
        self.encoder.require_same(locations.encoder, "the zero-shot classifier", "the locations")
        step = max(1, _MOST // len(self.candidates))
        size = chunk or step
        for start in range(0, len(locations), size):
            rows = slice(start, min(start + size, len(locations)))
            pieces = [
                self._calibrated(locations.take(np.arange(first, min(first + step, rows.stop))))
                for first in range(rows.start, rows.stop, step)
            ]
            yield rows, pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _calibrated(self, locations: Locations) -> NDArray[np.float32]:
        """Return the (P, C) probabilities of a piece, at the learned temperature."""
        posterior = self.posterior_of(self.embeddings(locations))
        return posterior if self.calibration is None else self.calibration.applied(posterior)

    def embeddings(self, locations: Locations) -> Float32:
        """Return the (P, d) embeddings of locations; with `logit` fusion the mean of those of their views."""
        if self.settings.fusion == "feature":
            return self.projection(locations.mean_features())
        views = self.projection(locations.view_features())
        starts = locations.offsets[:-1]
        sums = np.add.reduceat(views.astype(np.float64), starts, axis=0)
        return np.asarray(sums / np.diff(locations.offsets)[:, None], dtype=np.float32)

    def posterior_of(self, embeddings: Float32) -> NDArray[np.float32]:
        """Return the (P, C) probabilities of candidates, uncalibrated, of (P, d) embeddings."""
        logits = [self.projection.logits(embeddings, texts) for texts in self.texts]
        return city_probabilities(self.levels, self.candidates, self.settings, logits)

    def posterior(self, locations: Locations, device: str = "auto") -> NDArray[np.float32]:
        """Return the (P, C) float32 probabilities of candidates; see `posterior_chunks`."""
        result = np.empty((len(locations), len(self.candidates)), dtype=np.float32)
        for rows, posterior in self.posterior_chunks(locations, device):
            result[rows] = posterior
        return result

    def found(self, locations: Locations) -> NDArray[np.int64]:
        """Return the (P,) candidate that the decoder `centroid` answers with."""
        plain = replace(self, calibration=None)
        found = np.empty(len(locations), dtype=np.int64)
        for rows, posterior in plain.posterior_chunks(locations):
            found[rows] = descend(self.levels, posterior)
        return found
