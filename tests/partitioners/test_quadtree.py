"""Quadtrees."""

import numpy as np
import pytest

from geocell.partitioners import QuadtreePartitioner

EUROPE = np.random.default_rng(0).normal([50, 10], [4, 8], (2000, 2))


def plain_midpoints(points: np.ndarray, max_count: int, max_depth: int) -> dict[str, int]:
    """OSV-5M's rule as a recursion over boxes."""

    def grow(rows: np.ndarray, south: float, west: float, side: float, path: str) -> dict[str, int]:
        if len(rows) <= max_count or len(path) == max_depth:
            return {path or "root": len(rows)}
        found = {}
        for quarter in range(4):
            low, left = south + (quarter // 2) * side / 2, west + (quarter % 2) * side
            lat, lon = rows.T
            inside = (lat >= low) & (lat < low + side / 2) & (lon >= left) & (lon < left + side)
            found |= grow(rows[inside], low, left, side / 2, path + str(quarter))
        return found

    return grow(points, -90.0, -180.0, 180.0, "")


def test_midpoints_equal_the_plain_recursion() -> None:
    partition = QuadtreePartitioner(max_count=20, max_depth=7).fit(EUROPE)
    every = plain_midpoints(EUROPE, 20, 7)
    assert list(partition.rule.names) == sorted(every)
    filled = {name: n for name, n in sorted(every.items()) if n}
    assert dict(zip(partition.names, partition.counts.tolist(), strict=True)) == filled
    assert max(map(len, partition.names)) == 7
    assert partition.counts.max() > 20  # at the last depth


def test_boxes_hold_their_locations_and_tile_the_earth() -> None:
    for split in ("midpoint", "median"):
        rule = QuadtreePartitioner(max_count=20, split_at=split).fit(EUROPE).rule
        probes = np.random.default_rng(1).uniform([-90, -180], [90, 180], (2000, 2))
        places = np.concatenate((EUROPE, probes))
        south, west, north, east = rule.boxes[rule.locate(places).cells].T
        lon = places[:, 1] + np.where(places[:, 1] < west, 360.0, 0.0)
        assert ((places[:, 0] >= south) & (places[:, 0] <= north)).all()
        assert ((lon >= west - 1e-9) & (lon <= east + 1e-9)).all()
        south, west, north, east = np.radians(rule.boxes).T
        assert ((np.sin(north) - np.sin(south)) * (east - west)).sum() == pytest.approx(4 * np.pi)
        assert rule.locate(rule.centres).cells.tolist() == list(range(len(rule.names)))


def test_medians_quarter_the_locations() -> None:
    grid = np.array([[40.0 + i, 5.0 + j] for i in range(4) for j in range(4)])
    partition = QuadtreePartitioner(max_count=4, split_at="median").fit(grid)
    assert partition.names == ("0", "1", "2", "3")
    assert partition.counts.tolist() == [4, 4, 4, 4]
    assert partition.assign([[41.4, 6.4], [41.4, 6.6], [41.6, 6.4], [41.6, 6.6]]).tolist() == [0, 1, 2, 3]
    random = QuadtreePartitioner(max_count=20, split_at="median").fit(EUROPE)
    assert random.counts.max() <= 20


def test_medians_cross_the_antimeridian() -> None:
    points = np.array([[-17.0, 179.0], [-17.5, -179.0], [-17.2, 179.5], [-16.9, -179.5]])
    partition = QuadtreePartitioner(max_count=4, split_at="median").fit(points)
    assert len(partition) == 1
    split = QuadtreePartitioner(max_count=2, split_at="median").fit(points)
    assert split.rule.cut_lon == 0.0
    west, east = split.assign([[-17.4, 179.9], [-17.4, -179.9]])
    assert split.names[west][0] in "02"
    assert split.names[east][0] in "13"


def test_empty_box_gets_the_nearest_centroid_flagged() -> None:
    partition = QuadtreePartitioner(max_count=1).fit([[50.0, 10.0], [50.0, 100.0]])
    assert partition.names == ("32", "33")
    assignment = partition.locate([[50.0, 11.0], [-50.0, -10.0], [50.0, -170.0], [50.0, 99.0]])
    assert assignment.cells.tolist() == [0, 0, 1, 1]  # the third is nearer across the antimeridian
    assert assignment.fallback.tolist() == [False, True, True, False]


def test_coinciding_locations_stay_together() -> None:
    points = [[50.0, 10.0]] * 5
    assert QuadtreePartitioner(max_count=1, split_at="median").fit(points).names == ("root",)
    assert [len(name) for name in QuadtreePartitioner(max_count=1, max_depth=4).fit(points).names] == [4]


def test_levels_are_prefixes_of_the_path() -> None:
    partition = QuadtreePartitioner(max_count=20, max_depth=7).fit(EUROPE)
    assert list(partition.ancestors) == [f"depth_{d}" for d in range(1, 7)]
    names, groups = partition.ancestor_names["depth_4"], partition.ancestors["depth_4"]
    assert [names[i] for i in groups] == [name[:4] for name in partition.names]


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"max_count": 0}, "max_count must be an integer of at least 1, got 0"),
        ({"max_depth": 0}, r"max_depth must be an integer in \[1, 30\], got 0"),
        ({"split_at": "mean"}, "split_at must be one of midpoint, median, got 'mean'"),
    ],
)
def test_bad_parameters(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^QuadtreePartitioner: {message}"):
        QuadtreePartitioner(**parameters)


def test_parameters_are_known_by_the_names_of_earlier_files() -> None:
    partitioner = QuadtreePartitioner(max_count=20, split_at="median")
    stored = {"split" if key == "split_at" else key: value for key, value in partitioner.parameters.items()}
    assert partitioner.is_of(stored)
    assert partitioner.is_of(partitioner.parameters)
    assert not partitioner.is_of({**stored, "max_count": 21})
    assert not partitioner.is_of(None)
