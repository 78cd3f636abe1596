"""k-d trees."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.partitioners import KDTreePartitioner
from geocell.partitioners.kdtree import KDTreeRule, median_split, widest_gap


def test_cell_numbers_of_the_published_trees() -> None:
    points = np.random.default_rng(0).uniform([36, -10], [70, 30], (79_144, 2))
    sizes = {n: len(KDTreePartitioner(max_count=n).make_rule(points).names) for n in (155, 78, 39, 19)}
    # 79,144 halves into 4,096 leaves of 19 or 20, and the 1,320 of 20 split once more.
    assert sizes == {155: 512, 78: 1024, 39: 2048, 19: 4096 + 1320}


def test_leaves_are_halves_in_traversal_order() -> None:
    points = np.array([[50.0, 10.0 + i] for i in range(8)])
    partition = KDTreePartitioner(max_count=2).fit(points)
    assert partition.names == ("LL", "LR", "RL", "RR")
    assert partition.assign(points).tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert partition.assign([[50.0, 13.49], [50.0, 13.51], [-80.0, 13.0]]).tolist() == [1, 2, 1]


def test_wider_side_is_measured_in_km() -> None:
    points = np.array([[70.0, 20.0], [70.0, 24.0], [73.0, 20.0], [73.0, 24.0]])  # 152 km wide, 334 km high
    assert KDTreePartitioner(max_count=2).fit(points).assign(points).tolist() == [0, 0, 1, 1]
    equator = points - [71.5, 0]  # 445 km wide
    assert KDTreePartitioner(max_count=2).fit(equator).assign(equator).tolist() == [0, 1, 0, 1]


def test_coinciding_locations_stay_together() -> None:
    points = np.array([[50.0, 10.0]] * 5 + [[50.0, 11.0]] * 2)
    partition = KDTreePartitioner(max_count=1).fit(points)
    assert partition.counts.tolist() == [5, 2]


def test_split_is_between_the_distinct_values_nearest_the_median() -> None:
    values = np.array([1.0, 2.0, 2.0, 2.0, 2.0, 3.0, 4.0])
    assert median_split(np.zeros(7), values) == (1, 2.5)
    assert median_split(np.zeros(7), -values) == (1, -2.5)
    assert median_split(values, np.zeros(7)) == (0, 2.5)
    assert median_split(-values[::-1], np.zeros(7)) == (0, -2.5)
    assert median_split(np.ones(3), np.ones(3)) is None


@given(values=st.lists(st.integers(0, 6), min_size=2, max_size=40).filter(lambda values: len(set(values)) > 1))
def test_thresholds_of_sorted_values_are_those_of_values(values: list[int]) -> None:
    numbers, zeros = np.array(values, dtype=float), np.zeros(len(values))
    assert median_split(zeros, numbers)[1] == median_split(np.sort(numbers), zeros)[1]
    best = min(abs(2 * (numbers < t).sum() - len(numbers)) for t in np.unique(numbers)[1:])
    assert abs(2 * (numbers < median_split(zeros, numbers)[1]).sum() - len(numbers)) == best


def test_split_of_neighbouring_floats() -> None:
    low, high = 1.0, np.nextafter(1.0, 2.0)
    assert median_split(np.array([low, high]), np.zeros(2)) == (0, high)


def test_cut_is_in_the_widest_empty_range() -> None:
    assert widest_gap(np.array([10.0, 20.0, 30.0])) == -160.0
    assert widest_gap(np.array([-170.0, 170.0])) == 0.0
    assert widest_gap(np.array([0.0])) == -180.0


def test_assignment_equals_a_walk_down_the_tree() -> None:
    rng = np.random.default_rng(5)
    rule = KDTreePartitioner(max_count=3).make_rule(rng.uniform([-90, -180], [90, 180], (200, 2)))
    probes = rng.uniform([-90, -180], [90, 180], (300, 2))
    right = {}
    for i in reversed(range(len(rule.axes))):  # the right child of a split follows its whole left subtree
        right[i] = i + 1 if rule.axes[i] == -1 else right[right[i + 1]]
    expected = []
    for lat, lon in probes:
        node, path = 0, ""
        while rule.axes[node] != -1:
            left = (lat, (lon - rule.cut_lon) % 360)[rule.axes[node]] < rule.thresholds[node]
            node = node + 1 if left else right[node + 1]
            path += "L" if left else "R"
        expected.append(path)
    assert [rule.names[i] for i in rule.locate(probes).cells] == expected


def test_levels_are_prefixes_of_the_path() -> None:
    points = np.random.default_rng(6).uniform([36, -10], [70, 30], (21, 2))
    partition = KDTreePartitioner(max_count=2).fit(points)
    assert sorted(set(map(len, partition.names))) == [3, 4]
    assert list(partition.ancestors) == ["depth_1", "depth_2", "depth_3"]
    for depth in (1, 2, 3):
        names, groups = partition.ancestor_names[f"depth_{depth}"], partition.ancestors[f"depth_{depth}"]
        assert [names[i] for i in groups] == [name[:depth] for name in partition.names]


def test_root_alone() -> None:
    rule = KDTreeRule(0.0, np.array([-1]), np.array([0.0]))
    assert rule.names == ("root",)
    assert rule.locate(np.array([[1.0, 2.0]])).cells.tolist() == [0]


@pytest.mark.parametrize("value", [0, -3, 2.5, "9"])
def test_bad_max_count(value: int) -> None:
    with pytest.raises(ValueError, match=r"^KDTreePartitioner: max_count must be an integer of at least 1, got .*\.$"):
        KDTreePartitioner(max_count=value)
