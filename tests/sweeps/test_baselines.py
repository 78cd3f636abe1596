"""The majority cells and the nearest neighbour beside the rows of a sweep."""

import csv
from pathlib import Path

import pytest

from geocell.evaluation.baselines import majority_points, nearest_points
from geocell.features import FeatureCache
from geocell.metrics.outcomes import outcomes_of
from geocell.partitioners.base import Partition
from geocell.splits.splits import Splits
from geocell.sweeps.baselines import baseline_lines
from geocell.sweeps.results import SweepResult
from geocell.sweeps.workers import Data, Setup
from geocell.training.training_set import join_locations
from tests.sweeps.sweep_worlds import ONE, SWEEP, run


def parts_of(world: Path) -> tuple:
    locations = FeatureCache.open(world / "cache").locations()
    splits = Splits.load(world / "splits.json")
    return tuple(splits.select(locations, name) for name in ("train", "val", "test"))


def test_every_partition_has_its_majority_cell_and_the_neighbour_comes_last(world: Path, done: SweepResult) -> None:
    train, _, test = parts_of(world)
    lines = done.baselines
    assert [(line["baseline"], line["partition"]) for line in lines] == [
        ("majority cell", "coarse"),
        ("majority cell", "fine"),
        ("1-NN", None),
    ]
    fine = Partition.load(done.out / "partitions" / "fine")
    for line, points in ((lines[1], majority_points(fine, len(test))), (lines[2], nearest_points(train, test))):
        expected = outcomes_of(points, test.latlon)
        assert line["balscore"] == expected.values()["balscore"]
        assert line["median_km"] == expected.values()["median_km"]
        assert (line["balscore_low"], line["balscore_high"]) == expected.intervals()["balscore"]
    assert (lines[1]["n_cells"], lines[2]["n_cells"], lines[2]["n_train"]) == (9, None, 50)


def test_they_stand_in_the_table_the_json_and_a_file(done: SweepResult) -> None:
    text = done.text().splitlines()
    assert [line.split("  ")[0] for line in text[6:9]] == ["majority cell", "majority cell", "1-NN"]
    assert f"{100 * done.baselines[2]['balscore']:.1f}" in text[8]
    assert done.to_dict()["baselines"] == list(done.baselines)
    with (done.out / "baselines.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert float(lines[2]["balscore"]) == pytest.approx(done.baselines[2]["balscore"], rel=1e-5)
    assert lines[2]["partition"] == ""


def test_the_neighbour_of_refits_knows_the_validation_locations(world: Path, tmp_path: Path) -> None:
    (world / "refits.toml").write_text(SWEEP.replace("epochs = 3", "epochs = 1\nrefit = true"))
    result = run(world, tmp_path / "out", recipe="refits.toml")
    train, val, test = parts_of(world)
    expected = outcomes_of(nearest_points(join_locations(train, val), test), test.latlon)
    assert result.baselines[-1]["n_train"] == 65
    assert result.baselines[-1]["balscore"] == expected.values()["balscore"]


def test_without_a_partition_there_is_none(world: Path, done: SweepResult) -> None:
    setup = Setup(world / "cache", world / "splits.json", done.out, ONE, 1)
    assert baseline_lines([], setup, Data.from_cache(setup)) == []
