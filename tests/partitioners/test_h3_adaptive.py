"""Adaptive H3 cells."""

from collections import Counter

import numpy as np
import pytest
from h3.api import basic_str

from geocell.geo.geodesy import latlon_from_unit
from geocell.partitioners import H3AdaptivePartitioner

WORLD = latlon_from_unit(np.random.default_rng(0).normal(size=(1500, 3)))
DENSE = np.concatenate((WORLD, np.random.default_rng(1).normal([64.7, 10.5], 0.3, (1500, 2))))  # a pentagon


def plain_adaptive(points: np.ndarray, max_count: int, min_count: int, resolutions: range) -> set[str]:
    """The rule as a loop over cells, by names."""
    fine = [basic_str.latlng_to_cell(lat, lon, resolutions[-1]) for lat, lon in points.tolist()]
    done, waiting = set(), {basic_str.cell_to_parent(name, resolutions[0]) for name in fine}
    for resolution in resolutions:
        count = Counter(basic_str.cell_to_parent(name, resolution) for name in fine)
        children = Counter(basic_str.cell_to_parent(name, min(resolution + 1, resolutions[-1])) for name in fine)
        split = set()
        for cell in waiting:
            largest = max(n for name, n in children.items() if basic_str.cell_to_parent(name, resolution) == cell)
            if count[cell] > max_count and resolution < resolutions[-1] and largest >= min_count:
                split.add(cell)
        done |= waiting - split
        waiting = {name for name in children if basic_str.cell_to_parent(name, resolution) in split}
    return done


@pytest.mark.parametrize("min_count", [1, 30, 90])
def test_raw_cells_are_those_of_the_plain_loop(min_count: int) -> None:
    partition = H3AdaptivePartitioner(max_count=100, max_resolution=6, min_count=min_count).fit(DENSE)
    assert set(partition.rule.names) == plain_adaptive(DENSE, 100, min_count, range(1, 7))
    raw = partition.rule.locate(DENSE).cells
    fine = [basic_str.latlng_to_cell(lat, lon, 6) for lat, lon in DENSE.tolist()]
    for row in range(0, len(DENSE), 7):
        name = partition.rule.names[raw[row]]
        assert basic_str.cell_to_parent(fine[row], basic_str.get_resolution(name)) == name


def test_small_children_stay_under_their_parent() -> None:
    partition = H3AdaptivePartitioner(max_count=100, max_resolution=6, min_count=30).fit(DENSE)
    names = partition.rule.names
    assert len(partition) < len(names)
    resolutions = [basic_str.get_resolution(name) for name in names]
    assert len(set(resolutions)) > 2
    for raw, (name, resolution) in enumerate(zip(names, resolutions, strict=True)):
        survivor = partition.names[partition.class_of_raw[raw]]
        if resolution > 1:  # those of the coarsest resolution have no parent to stay under
            assert basic_str.get_resolution(survivor) >= resolution
            parent = basic_str.cell_to_parent(name, resolution - 1)
            assert basic_str.cell_to_parent(survivor, resolution - 1) == parent


def test_levels_are_the_parents() -> None:
    partition = H3AdaptivePartitioner(max_count=100, max_resolution=6).fit(DENSE)
    finest = max(map(basic_str.get_resolution, partition.names))
    assert finest > 3
    assert list(partition.ancestors) == [f"resolution_{r}" for r in range(1, finest)]
    for r in range(1, finest):
        names = partition.ancestor_names[f"resolution_{r}"]
        parents = [basic_str.cell_to_parent(name, min(r, basic_str.get_resolution(name))) for name in partition.names]
        assert [names[i] for i in partition.ancestors[f"resolution_{r}"]] == parents


def test_cell_whose_children_would_all_be_small_stays_whole() -> None:
    points = np.array([basic_str.cell_to_latlng(name) for name in basic_str.cell_to_children("831f8dfffffffff")])
    both = [H3AdaptivePartitioner(2, 3, 4, min_count=n).fit(points) for n in (1, 2)]
    assert [len(partition) for partition in both] == [7, 1]
    assert both[1].names == ("831f8dfffffffff",)


def test_finest_resolution_there_is() -> None:
    points = np.array([[48.0, 11.0], [48.0, 11.0001], [48.00001, 11.0]])
    partition = H3AdaptivePartitioner(max_count=1, max_resolution=15).fit(points)
    assert set(partition.names) == plain_adaptive(points, 1, 1, range(1, 16))
    assert partition.locate(points).cells.tolist() == partition.nearest(points).tolist()


def test_cell_never_seen_is_a_guess() -> None:
    partition = H3AdaptivePartitioner(max_count=1, min_resolution=3).fit([[48.0, 11.0], [52.0, 13.0]])
    assignment = partition.locate([[48.01, 11.01], [60.0, 20.0]])
    assert assignment.fallback.tolist() == [False, True]
    assert partition.centroids[assignment.cells].round(6).tolist() == [[48.0, 11.0], [52.0, 13.0]]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_count": 0}, "max_count must be an integer of at least 1, got 0"),
        ({"max_count": 5, "min_resolution": 16}, r"min_resolution must be an integer in \[0, 15\], got 16"),
        (
            {"max_count": 5, "min_resolution": 6, "max_resolution": 5},
            "min_resolution must be at most max_reso.*, 5, got 6",
        ),
    ],
)
def test_bad_parameters(parameters: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^H3AdaptivePartitioner: {message}"):
        H3AdaptivePartitioner(**parameters)
