"""The contract of every kind of partition: import all of it into a test module that has EXAMPLES, name -> Example."""

import json
import tempfile
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import NamedTuple, get_type_hints

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocell.compute import engines
from geocell.geo.geodesy import distance_km, distance_matrix_km
from geocell.partitioners import OUTSIDE, Partition, Partitioner
from geocell.partitioners.rule import canonical_latlon
from tests.elsewhere import elsewhere

Points = np.ndarray


class Example(NamedTuple):
    """A kind under contract.

    Attributes:
        make: (P, 2) points, boundary file and min_count -> a partitioner that suits these points.
        type: the class of it.
        covers_the_earth: whether its rule knows a cell for every location, however far from the others.
        levels: whether its cells nest in larger ones.
        min_count_splits: whether `min_count` also decides what is split.
    """

    make: Callable[[Points, Path, int], Partitioner]
    type: type[Partitioner]
    covers_the_earth: bool = False
    levels: bool = True
    min_count_splits: bool = False


FIJI = [[-17.7, 177.4], [-16.8, -179.9], [-18.0, 178.5], [-16.5, 179.9], [-17.0, -179.0], [-16.9, 180.0]]
POLES = [[90.0, 12.0], [90.0, -170.0], [89.9, 100.0], [-90.0, 0.0], [-89.9, 45.0], [-89.8, -45.0]]
PENTAGON = [[64.70, 10.54], [64.7001, 10.5402], [64.6, 10.4], [64.9, 10.9]]
CHUKOTKA = [[64.7, 177.5], [66.2, -169.8], [68.0, 179.99], [68.0, -179.99], [64.4, -173.2]]
NOTABLE = [*FIJI, *POLES, *PENTAGON, *CHUKOTKA, [0.0, 0.0], [0.0, -0.0], [0.0, -180.0], [48.0, 180.0], [48.0, -180.0]]

places = st.one_of(
    st.sampled_from(NOTABLE),
    st.tuples(st.floats(-90, 90), st.floats(-180, 180)).map(list),
    st.tuples(st.floats(40, 50), st.floats(0, 10)).map(list),
)
clouds = st.lists(places, min_size=1, max_size=24).map(np.array)


def distinct(points: Points) -> int:
    return len(np.unique(canonical_latlon(np.asarray(points, dtype=np.float64)), axis=0))


def files_of(partition: Partition) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        partition.save(Path(folder) / "cells")
        return {path.name: path.read_bytes() for path in sorted((Path(folder) / "cells").iterdir())}


def reloaded(partition: Partition, example: Example) -> Partition:
    with tempfile.TemporaryDirectory() as folder:
        partition.save(Path(folder) / "cells")
        return Partition.load(Path(folder) / "cells", example.type)


def check_contract(partition: Partition, points: Points, min_count: int) -> None:
    """Everything that must hold on the training locations themselves."""
    assignment = partition.locate(points)
    assert assignment.cells.dtype == np.int64
    assert (assignment.cells >= 0).all()
    assert not assignment.fallback.any()
    assert np.bincount(assignment.cells, minlength=len(partition)).tolist() == partition.counts.tolist()
    assert partition.counts.sum() == len(points)
    assert partition.counts.min() >= min_count
    assert len(set(partition.names)) == len(partition.names) == len(partition) == len(partition.centroids)
    assert (np.abs(partition.centroids) <= [90, 180]).all()
    distances = distance_km(canonical_latlon(np.asarray(points, float)), partition.centroids[assignment.cells])
    farthest = [distances[assignment.cells == i].max() for i in range(len(partition))]
    np.testing.assert_allclose(partition.radius_km, farthest, rtol=1e-12)
    assert partition.fitted_on["n_locations"] == len(points)
    assert partition.fitted_on["n_outside"] == partition.fitted_on["n_fallback"] == 0


@settings(max_examples=25, deadline=None)
@given(points=clouds, data=st.data())
def test_laws(example: Example, world_shapes: Path, points: Points, data: st.DataObject) -> None:
    min_count = data.draw(st.integers(1, min(3, len(points))))
    partitioner = example.make(points, world_shapes, min_count)
    partition = partitioner.fit(points, source="a test")
    check_contract(partition, points, min_count)

    shuffled = points[np.array(data.draw(st.permutations(range(len(points)))))]
    files = files_of(partition)
    assert files_of(partitioner.fit(shuffled, source="a test")) == files

    again = reloaded(partition, example)
    assert again.sha256 == partition.sha256
    assert files_of(again) == files
    probes = data.draw(clouds)
    ours, theirs = partition.locate(probes), again.locate(probes)
    assert ours.cells.tolist() == theirs.cells.tolist()
    assert ours.fallback.tolist() == theirs.fallback.tolist()
    assert (((ours.cells >= 0) & (ours.cells < len(partition))) | (ours.cells == OUTSIDE)).all()

    info = json.loads(files["geocell_info.json"])
    centroids = {int(k): (v["centroid_lat"], v["centroid_lon"]) for k, v in info.items()}
    assert list(centroids) == list(range(len(partition)))
    assert [list(centroids[i]) for i in range(len(partition))] == partition.centroids.tolist()


@pytest.mark.parametrize("points", [FIJI, POLES, PENTAGON, CHUKOTKA], ids=["fiji", "poles", "pentagon", "chukotka"])
def test_special_places(example: Example, points: Points, world_shapes: Path) -> None:
    partition = example.make(points, world_shapes, 1).fit(points)
    check_contract(partition, np.array(points), 1)
    if points is not POLES:  # cells of kinds that cut the earth along meridians do meet at a pole
        assert partition.radius_km.max() < 700


def finer_decides_coarser(fine: Points, coarse: Points) -> bool:
    return len(np.unique(np.stack((fine, coarse)), axis=1).T) == len(np.unique(fine))


@pytest.mark.parametrize("min_count", [1, 8])
def test_levels_nest(example: Example, min_count: int, world_shapes: Path) -> None:
    points = np.random.default_rng(2).uniform([20, -40], [70, 40], (400, 2))
    partition = example.make(points, world_shapes, min_count).fit(points)
    assert bool(partition.ancestors) == example.levels
    assert list(partition.ancestors) == list(partition.ancestor_names)
    finer = np.arange(len(partition))
    for name in reversed(partition.ancestors):
        groups, names = partition.ancestors[name], partition.ancestor_names[name]
        assert groups.dtype == np.int64
        assert groups.shape == (len(partition),)
        assert set(groups.tolist()) == set(range(len(names)))
        assert list(names) == sorted(set(names))
        assert len(names) < len(partition)
        assert finer_decides_coarser(finer, groups)
        finer = groups
    again = reloaded(partition, example)
    assert {k: v.tolist() for k, v in again.ancestors.items()} == {
        k: v.tolist() for k, v in partition.ancestors.items()
    }
    assert again.ancestor_names == partition.ancestor_names


@settings(max_examples=10, deadline=None)
@given(points=clouds, data=st.data())
def test_dropping_laws(example: Example, world_shapes: Path, points: Points, data: st.DataObject) -> None:
    min_count = data.draw(st.integers(1, min(3, len(points))))
    partitioner = replace(example.make(points, world_shapes, min_count), small="drop")
    try:
        partition = partitioner.fit(points)
    except ValueError as error:
        assert "min_count must leave at least one cell" in str(error)
        return
    assignment = partition.locate(points)
    fitted = partition.fitted_on
    assert partition.counts.min() >= min_count
    assert partition.counts.sum() + fitted["n_dropped"] == len(points)
    assert assignment.fallback.sum() == fitted["n_fallback"] == fitted["n_dropped"]
    own = assignment.cells[~assignment.fallback]
    assert np.bincount(own, minlength=len(partition)).tolist() == partition.counts.tolist()
    assert (assignment.cells >= 0).all()
    if not example.min_count_splits:
        every = replace(partitioner, min_count=1).fit(points)
        filled = [name for name, count in zip(every.names, every.counts, strict=True) if count >= min_count]
        assert list(partition.names) == filled
    again = reloaded(partition, example)
    assert again.sha256 == partition.sha256
    assert again.locate(points).cells.tolist() == assignment.cells.tolist()
    assert again.outside_rule == partition.outside_rule
    assert "dropped" in partition.outside_rule


def test_a_fit_elsewhere_has_the_same_bytes(
    example: Example, world_shapes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = np.random.default_rng(4).uniform([20, -40], [70, 40], (70, 2))
    partitioner = example.make(points, world_shapes, 2)
    here = partitioner.fit(points)
    monkeypatch.setattr(engines, "ROWS", 16)
    with elsewhere() as engine:
        there = partitioner.fit(points)
        located = there.locate(points)
    assert engine.pieces >= 5
    assert files_of(there) == files_of(here)
    assert located.cells.tolist() == here.locate(points).cells.tolist()
    assert located.fallback.tolist() == here.locate(points).fallback.tolist()


def test_centroid_rules(example: Example, world_shapes: Path) -> None:
    points = np.random.default_rng(3).uniform([20, -40], [70, 40], (200, 2))
    partitioner = example.make(points, world_shapes, 3)
    mean = partitioner.fit(points)
    assert mean.centroid_rule == "mean"

    medoid = replace(partitioner, centroid="medoid").fit(points)
    assert medoid.centroid_rule == reloaded(medoid, example).centroid_rule == "medoid"
    assert medoid.names == mean.names
    assert medoid.sha256 != mean.sha256
    cells = medoid.assign(points)
    for i in range(len(medoid)):
        own = points[cells == i]
        sums = distance_matrix_km(own, own).sum(axis=1)
        assert medoid.centroids[i].tolist() == own[sums.argmin()].tolist()

    if not type(partitioner).rule_type.has_centres:
        with pytest.raises(ValueError, match="centroid must be one of mean, medoid, got 'cell'"):
            replace(partitioner, centroid="cell")
        return
    middle = replace(partitioner, centroid="cell").fit(points)
    assert middle.centroid_rule == "cell"
    assert middle.names == mean.names
    raw = {name: i for i, name in enumerate(middle.rule.names)}
    assert middle.centroids.tolist() == [middle.rule.centres[raw[name]].tolist() for name in middle.names]
    assert [raw[middle.rule.names[i]] for i in middle.rule.locate(middle.centroids).cells] == [
        raw[name] for name in middle.names
    ]


def test_antimeridian_is_no_special_place(example: Example, world_shapes: Path) -> None:
    partition = example.make(FIJI, world_shapes, len(FIJI)).fit(FIJI)
    assert len(partition) == 1
    assert distance_km(partition.centroids[0], [-17.0, 179.6]) < 60
    assert partition.assign([[-17.0, 180.0]]).tolist() == partition.assign([[-17.0, -180.0]]).tolist() == [0]


@pytest.mark.parametrize("n", [1, 5])
def test_one_place(example: Example, n: int, world_shapes: Path) -> None:
    points = np.array([[48.1, 11.5]] * n)
    partition = example.make(points, world_shapes, 1).fit(points)
    assert len(partition) == 1
    assert partition.counts.tolist() == [n]
    np.testing.assert_allclose(partition.centroids, [[48.1, 11.5]], atol=1e-12)
    assert partition.radius_km[0] < 1e-6
    assert partition.assign([[48.1, 11.5], [48.1, 11.5]]).tolist() == [0, 0]


def test_never_seen_place_gets_a_cell_and_a_flag_where_it_is_a_guess(example: Example, world_shapes: Path) -> None:
    rng = np.random.default_rng(0)
    points = rng.uniform([40, 0], [55, 20], (200, 2))
    partition = example.make(points, world_shapes, 1).fit(points)
    assignment = partition.locate([[-40.0, -100.0], [54.9, 19.9]])
    assert (assignment.cells >= 0).all()
    assert assignment.fallback[0] != example.covers_the_earth
    assert partition.outside_rule.endswith(".")


def test_nothing_to_assign(example: Example, world_shapes: Path) -> None:
    partition = example.make(FIJI, world_shapes, 1).fit(FIJI)
    assert partition.assign(np.empty((0, 2))).shape == (0,)


def test_hash_changes_when_a_cell_does(example: Example, world_shapes: Path) -> None:
    rng = np.random.default_rng(1)
    points = rng.uniform([20, -40], [70, 40], (40, 2))
    base = example.make(points, world_shapes, 1).fit(points, source="here")
    moved = np.concatenate((points[:-1], points[-1:] + 0.1))
    assert example.make(moved, world_shapes, 1).fit(moved).sha256 != base.sha256
    assert example.make(points, world_shapes, 1).fit(points, source="there").sha256 == base.sha256
    merged = example.make(points, world_shapes, 40).fit(points)
    assert len(merged) == 1
    assert merged.sha256 != base.sha256


def test_arrays_are_frozen(example: Example, world_shapes: Path) -> None:
    partition = example.make(FIJI, world_shapes, 1).fit(FIJI)
    with pytest.raises(ValueError, match="read-only"):
        partition.centroids[0, 0] = 1.0
    with pytest.raises(AttributeError):
        partition.kind = "other"


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (np.empty((0, 2)), "fitting needs at least one location, got none"),
        ([[91.0, 0.0]], r"locations must be degrees \(lat, lon\), got \[91.0, 0.0\] in row 0"),
        ([[np.nan, 0.0]], "locations must be finite"),
        ([[1.0, 2.0, 3.0]], r"got shape \(1, 3\)"),
    ],
)
def test_bad_locations(example: Example, points: Points, message: str, world_shapes: Path) -> None:
    with pytest.raises(ValueError, match=message):
        example.make(FIJI, world_shapes, 1).fit(points)


@pytest.mark.parametrize("value", [0, -1, 1.5, "2", True, None])
def test_bad_min_count(example: Example, value: int, world_shapes: Path) -> None:
    name = example.type.__name__
    with pytest.raises(ValueError, match=rf"^{name}: min_count must be an integer of at least 1, got .*\.$"):
        example.make(FIJI, world_shapes, value)


@pytest.mark.parametrize(
    ("name", "value"), [("small", "keep"), ("small", 1), ("centroid", "median"), ("centroid", None)]
)
def test_bad_rules(example: Example, name: str, value: object, world_shapes: Path) -> None:
    partitioner = example.make(FIJI, world_shapes, 1)
    with pytest.raises(
        ValueError, match=rf"^{type(partitioner).__name__}: {name} must be one of m.*, got {value!r}\.$"
    ):
        replace(partitioner, **{name: value})


def test_min_count_above_the_number_of_locations(example: Example, world_shapes: Path) -> None:
    partitioner = example.make(FIJI, world_shapes, 7)
    with pytest.raises(ValueError, match="min_count must be at most the number of locations, 6, got 7"):
        partitioner.fit(FIJI)


def test_parameters_are_written(example: Example, world_shapes: Path) -> None:
    partition = example.make(FIJI, world_shapes, 2).fit(FIJI, source="islands.csv")
    value = json.loads(files_of(partition)["partition.json"])
    assert set(value) == {
        "format", "kind", "n_cells", "parameters", "centroid_rule", "outside_rule", "fitted_on", "sha256", "assign",
    }  # fmt: skip
    assert value["format"] == 1
    assert value["kind"] == example.type.kind
    assert value["n_cells"] == len(partition)
    assert value["parameters"]["min_count"] == 2
    assert value["centroid_rule"] == "mean"
    assert value["fitted_on"]["source"] == "islands.csv"
    assert value["fitted_on"]["n_locations"] == 6
    assert value["sha256"] == partition.sha256
    assert reloaded(partition, example).parameters == partition.parameters


def test_types_of_the_parameters_are_known_where_the_kind_lives(example: Example) -> None:
    hints = get_type_hints(example.type.__init__)  # what the command makes flags of
    assert {item.name for item in fields(example.type)} <= set(hints)
