"""A small world of the demo: photographs of noise, an encoder of mean colours, a head with an index of neighbours."""

import asyncio
import json
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geocell.demo.answering import Answerer
from geocell.demo.app import Demo
from geocell.demo.quiz import Quiz
from geocell.encoders.info import EncoderInfo
from geocell.encoding import encode
from geocell.features import FeatureCache
from geocell.features.neighbours import NeighbourIndex
from geocell.heads.fit_config import FitConfig
from geocell.heads.head import Head
from geocell.partitioners import KMeansPartitioner
from geocell.prediction.geolocator import Geolocator
from geocell.splits.splits import Splits
from geocell.training.fit import fit_head
from geocell.views import read_views
from tests.worlds import make_photos


class Quarters:
    """The mean colour of each quarter of an image."""

    info = EncoderInfo("quarters", "1", "mean", 12, 32, "resize 32")

    @staticmethod
    def preprocess(image: Image.Image) -> np.ndarray:
        return np.asarray(image.resize((32, 32)))

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        blocks = pixels.reshape(len(pixels), 2, 16, 2, 16, 3).mean(axis=(2, 4))
        return blocks.reshape(len(pixels), 12).astype(np.float32)


@dataclass(frozen=True)
class World:
    """Folder with photos.csv, img, cache and splits.json; a head fitted on the split train."""

    folder: Path
    head: Head

    @property
    def cache(self) -> FeatureCache:
        return FeatureCache.open(self.folder / "cache")

    @property
    def splits(self) -> Splits:
        return Splits.load(self.folder / "splits.json")

    @property
    def locator(self) -> Geolocator:
        return Geolocator(self.head, Quarters(), "cpu")

    def photos(self, n: int) -> list[Path]:
        return sorted((self.folder / "img").glob("*.jpg"))[:n]

    def demo(self) -> Demo:
        quiz = Quiz.open(self.head, self.cache, self.splits, decode="centroid", device="cpu")
        return Demo(Answerer(self.locator), quiz)


@pytest.fixture(autouse=True)
def _loop_closed() -> Iterator[None]:
    """Close the event loop that gradio leaves in this thread: whoever sets another one would leave it open."""
    yield
    with suppress(RuntimeError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        asyncio.get_event_loop().close()
        asyncio.set_event_loop(None)


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("demo")
    table = make_photos(folder, 12, 2)
    cache = encode(read_views(table), Quarters(), folder / "cache", workers=0)
    ids = [f"loc{i:03d}" for i in range(12)]
    splits = {"format": 1, "seed": None, "buffer_km": 0.0, "splits": {"train": ids[:8], "test": ids[8:]}}
    (folder / "splits.json").write_text(json.dumps(splits))
    train = Splits.load(folder / "splits.json").select(cache.locations(), "train")
    cells = KMeansPartitioner(k=4, seed=0).fit(train.latlon, "a test")
    head = fit_head(train, None, cells, FitConfig(epochs=3, device="cpu"))
    return World(folder, replace(head, neighbours=NeighbourIndex.from_locations(head, train)))
