"""The whole road on a small world, once: what it leaves, what it says, and what it refuses."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from geocell.cli import main
from geocell.features import FeatureCache
from geocell.heads.head import load_head
from geocell.quickstart.road import FITS, Road, run
from geocell.splits.splits import Splits
from geocell.views import read_views

pytestmark = pytest.mark.slow

N_LOCATIONS = 56


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Road:
    return run(tmp_path_factory.mktemp("road") / "quickstart", n_locations=N_LOCATIONS)


def test_one_row_per_partition_and_fit(road: Road) -> None:
    assert [(row["partition"], row["fit"]) for row in road.rows] == [
        (kind, fit) for kind in ("h3", "kmeans", "kdtree", "nuts") for fit in FITS
    ]
    with (road.folder / "scores.csv").open() as file:
        written = list(csv.DictReader(file))
    assert [float(row["balscore"]) for row in written] == [row["balscore"] for row in road.rows]


def test_every_artefact_is_what_the_library_reads(road: Road) -> None:
    cache = FeatureCache.open(road.folder / "cache")
    splits = Splits.load(road.folder / "splits.json")
    assert cache.good.all()
    assert len(cache.locations()) == N_LOCATIONS == sum(map(len, splits.ids.values()))
    for row in road.rows:
        head = load_head(road.folder / "heads" / row["head"])
        assert len(head.partition) == row["n_cells"]
        assert head.training["n_train"] == len(splits.ids["train"])
        assert json.loads((road.folder / "heads" / row["head"] / "scores.json").read_text())["split"] == "test"


def test_images_carry_the_positions_of_the_table(road: Road) -> None:
    table = read_views(road.folder / "world").frame
    from_exif = read_views(road.folder / "world" / "images").frame
    assert len(table) == len(from_exif)
    assert (from_exif["problem"] == "").all()
    by_name = {Path(name).name: row for name, *row in table[["image", "lat", "lon"]].itertuples(index=False)}
    expected = np.array([by_name[name] for name in from_exif["image"]])
    np.testing.assert_allclose(from_exif[["lat", "lon"]].to_numpy(), expected, atol=2e-6)


def test_the_prediction_and_the_picture(road: Road) -> None:
    assert len(road.prediction.cells) == 5
    assert all(image.is_file() for image in road.images)
    with Image.open(road.picture) as picture:
        assert min(picture.size) > 800


def test_it_says_what_is_synthetic_and_how_to_do_it_for_real(road: Road) -> None:
    text = road.text()
    for words in ("Synthetic:", "GeoNames", str(road.picture), "geocell encode photos.csv", "median error", "balscore"):
        assert words in text
    assert road.to_dict()["prediction"]["truth"]["lat"] == road.truth[0]


def test_running_again_goes_on_with_what_is_there(road: Road) -> None:
    shards = sorted((road.folder / "cache").glob("features-*"))
    before = [shard.stat().st_mtime_ns for shard in shards]
    again = run(road.folder, n_locations=N_LOCATIONS)
    assert [shard.stat().st_mtime_ns for shard in shards] == before
    assert again.rows == road.rows


def test_what_it_refuses(road: Road, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FileExistsError, match="of other settings"):
        run(road.folder, n_locations=N_LOCATIONS, seed=1)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="is not a quickstart"):
        run(tmp_path, overwrite=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert main(["quickstart", str(tmp_path / "q"), "--n-locations", "10"]) == 1
    assert "n_locations must be at least 50" in capsys.readouterr().err
    assert not (tmp_path / "q").exists()
