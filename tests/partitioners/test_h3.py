"""H3 cells."""

import numpy as np
import pytest
from h3.api import basic_str

from geocell.partitioners import H3Partitioner
from geocell.partitioners.h3 import h3_indexes, h3_parents, h3_resolutions

EUROPE = np.random.default_rng(0).uniform([36, -10], [70, 30], (400, 2))


def test_indexes_equal_the_string_api() -> None:
    for resolution in (0, 4, 15):
        names = [basic_str.latlng_to_cell(lat, lon, resolution) for lat, lon in EUROPE.tolist()]
        assert [basic_str.int_to_str(int(i)) for i in h3_indexes(EUROPE, resolution)] == names


def test_cells_are_the_h3_cells_in_the_order_of_their_index() -> None:
    partition = H3Partitioner(resolution=2).fit(EUROPE)
    names = [basic_str.latlng_to_cell(lat, lon, 2) for lat, lon in EUROPE.tolist()]
    assert list(partition.names) == sorted(set(names))  # of one length, so that text sorts like the number
    assert [partition.names[i] for i in partition.assign(EUROPE)] == names


def test_unseen_cell_is_the_nearest_centroid_flagged() -> None:
    partition = H3Partitioner(resolution=5).fit([[48.0, 11.0], [52.0, 13.0]])
    assignment = partition.locate([[48.0, 11.0], [48.5, 11.2], [60.0, 20.0]])
    assert partition.centroids[assignment.cells].round(6).tolist() == [[48.0, 11.0], [48.0, 11.0], [52.0, 13.0]]
    assert assignment.fallback.tolist() == [False, True, True]


def test_merged_cell_keeps_its_own_locations() -> None:
    points = np.array([[48.0, 11.0]] * 3 + [[48.6, 11.2]] + [[60.0, 20.0]] * 3)
    partition = H3Partitioner(resolution=4, min_count=2).fit(points)
    assert sorted(partition.counts.tolist()) == [3, 4]
    assignment = partition.locate(points)
    assert len(set(assignment.cells[:4].tolist())) == 1
    assert not assignment.fallback.any()
    assert len(partition.rule.names) == 3


def test_hash_is_of_the_cells_not_of_the_parameters() -> None:
    points = np.repeat(EUROPE, 2, axis=0)
    one, two = (H3Partitioner(resolution=4, min_count=n).fit(points) for n in (1, 2))
    assert one.sha256 == two.sha256
    assert one.parameters != two.parameters


def test_levels_are_the_parents() -> None:
    partition = H3Partitioner(resolution=5, min_count=2).fit(EUROPE)
    assert list(partition.ancestors) == [f"resolution_{r}" for r in range(5)]
    for r in range(5):
        names = partition.ancestor_names[f"resolution_{r}"]
        parents = [basic_str.cell_to_parent(name, r) for name in partition.names]
        assert [names[i] for i in partition.ancestors[f"resolution_{r}"]] == parents


def test_parents_equal_the_string_api() -> None:
    points = np.random.default_rng(1).uniform([-90, -180], [90, 180], (300, 2)).tolist()
    names = [basic_str.latlng_to_cell(lat, lon, 9) for lat, lon in [*points, [64.7, 10.54]]]
    names += [basic_str.cell_to_parent(name, 3) for name in names]
    indexes = np.array([basic_str.str_to_int(name) for name in names], dtype=np.uint64)
    assert h3_resolutions(indexes).tolist() == [9] * 301 + [3] * 301
    for r in (0, 3, 6, 9):
        expected = [
            name if basic_str.get_resolution(name) <= r else basic_str.cell_to_parent(name, r) for name in names
        ]
        assert [basic_str.int_to_str(int(i)) for i in h3_parents(indexes, r)] == expected


@pytest.mark.parametrize("value", [-1, 16, 99, 4.0, "4", True])
def test_bad_resolution(value: int) -> None:
    with pytest.raises(
        ValueError, match=rf"^H3Partitioner: resolution must be an integer in \[0, 15\], got {value!r}\.$"
    ):
        H3Partitioner(resolution=value)
