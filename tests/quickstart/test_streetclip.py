"""The pretraining in small on a small world, for an epoch: what it leaves and what it keeps."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geocell.features import FeatureCache
from geocell.geo.countries import countries_of
from geocell.images.transforms import Transform
from geocell.partitioners import KMeansPartitioner
from geocell.pretraining.clip_model import ClipModel
from geocell.quickstart import streetclip
from geocell.quickstart.streetclip import CONFIG, kept_history, make_world_captions, run_streetclip, shrink
from geocell.quickstart.streetclip_result import HEAD, PARTS, ZERO_SHOT, StreetClipResult
from geocell.quickstart.world import make_world
from geocell.splits.draw import make_splits
from geocell.splits.splits import Splits
from geocell.views import read_views

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]

SHORT = replace(CONFIG, epochs=1)


class Small:
    """A world, its splits, and a run on it."""

    def __init__(self, folder: Path) -> None:
        self.lines: list[str] = []
        self.out = folder / "streetclip"
        self.world = make_world(folder / "world", n_locations=50, workers=1)
        views = read_views(self.world).frame.drop_duplicates("location")
        latlon = views[["lat", "lon"]].to_numpy(float)
        self.splits: Splits = make_splits(views["location"].to_numpy(object), latlon, (0.7, 0.15, 0.15), 0)
        train = views[views["location"].isin(set(self.splits.ids["train"]))]
        self.cells = KMeansPartitioner(k=5, min_count=3).fit(train[["lat", "lon"]].to_numpy(float))

    def run(self) -> StreetClipResult:
        return run_streetclip(self.out, self.world, self.splits, self.cells, config=SHORT, say=self.lines.append)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Small:
    return Small(tmp_path_factory.mktemp("streetclip"))


@pytest.fixture(scope="module")
def result(small: Small) -> StreetClipResult:
    return small.run()


def test_it_leaves_what_its_names_say(small: Small, result: StreetClipResult) -> None:
    assert {path.name for path in small.out.iterdir()} == set(PARTS) - {"model.pretrain"}
    assert len(FeatureCache.open(small.out / "cache").locations()) == 50
    assert result.picture.stat().st_size > 5_000
    assert any(line.startswith("epoch  1 of 1: loss ") for line in small.lines)


def test_the_scores_are_of_test_locations_and_of_training_knowledge(small: Small, result: StreetClipResult) -> None:
    assert [row["answer"] for row in result.rows] == [ZERO_SHOT, HEAD, "1-NN", "majority cell"]
    test = small.splits.select(FeatureCache.open(small.out / "cache").locations(), "test")
    assert {row["n_locations"] for row in result.rows} == {len(test)}
    codes = countries_of(test.latlon).tolist()
    assert result.chance.largest == pytest.approx(max(map(codes.count, codes)) / len(codes))
    low, high = result.rows[0]["intervals"]["country_accuracy"]
    assert low <= result.rows[0]["country_accuracy"] <= high
    head, texts = result.rows[1], result.rows[0]
    assert result.comparison["balscore"][0] == pytest.approx(head["balscore"] - texts["balscore"])


def test_captions_and_candidates_are_those_of_training_locations(small: Small, result: StreetClipResult) -> None:
    captions = make_world_captions(small.out / "small", small.splits)
    parts = [part.table["location"].unique().tolist() for part in captions[:3]]
    assert [sorted(part) for part in parts] == [sorted(small.splits.ids[name]) for name in ("train", "val", "test")]
    assert result.n_images == len(captions.train.places())
    named = set(zip(captions.train.table["country"], captions.train.table["city"], strict=True))
    assert {(item.country, item.city) for item in captions.candidates.items} == named
    assert result.chance.uniform == 1 / captions.train.table["country"].nunique()


def test_small_images_are_what_the_model_makes_of_the_large_ones(small: Small, result: StreetClipResult) -> None:
    transform: Transform = ClipModel.load(str(result.folder / "model")).processor.transform
    copies = sorted((small.out / "small" / "images").iterdir())
    originals = sorted((small.world / "images").iterdir())
    assert [path.stem for path in copies] == [path.stem for path in originals]
    with Image.open(copies[5]) as copy, Image.open(originals[5]) as original:
        expected = transform(original.convert("RGB"))
        np.testing.assert_array_equal(np.asarray(copy), expected)
        np.testing.assert_array_equal(transform(copy.convert("RGB")), expected)
    assert shrink(small.world, small.out / "small") == small.out / "small"


def test_a_trained_model_is_kept(small: Small, result: StreetClipResult, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streetclip, "save_small_clip", None)
    before = (small.out / "model" / "model.safetensors").stat().st_mtime_ns
    again = small.run()
    assert again.to_dict() == result.to_dict()
    assert (small.out / "model" / "model.safetensors").stat().st_mtime_ns == before
    assert kept_history(small.out / "model", "other captions", SHORT) is None
    assert kept_history(small.out / "nowhere", "", SHORT) is None
