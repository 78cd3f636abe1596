"""Merging of small cells."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from geocell.geo.geodesy import unit_vectors
from geocell.partitioners.merging import merge_small_cells


def line(*lons: float) -> np.ndarray:
    return unit_vectors([[0.0, lon] for lon in lons])


def test_smallest_goes_first_into_the_nearest() -> None:
    counts = np.array([5, 1, 2, 9])
    # 1 goes into 2, which is nearer than 0 and then large enough; nothing else is small.
    assert merge_small_cells(counts, line(0, 6, 10, 20), (), 3).tolist() == [0, 2, 2, 3]


def test_chains_end_in_a_cell_that_remains() -> None:
    counts = np.array([1, 2, 1, 9])
    assert merge_small_cells(counts, line(0, 1, 3, 10), (), 5).tolist() == [3, 3, 3, 3]


def test_equals_merge_into_the_lowest_index() -> None:
    assert merge_small_cells(np.array([4, 1, 4]), line(-1, 0, 1), (), 2).tolist() == [0, 0, 2]


def test_parent_comes_before_distance() -> None:
    counts, positions = np.array([4, 1, 4, 0, 0]), line(-9, 0, 1, 2, 80)
    assert merge_small_cells(counts, positions, [np.array([0, 0, 1, 0, 2])], 2).tolist() == [0, 0, 2, 0, 2]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0, 90), st.integers(0, 3)), min_size=1, max_size=40), st.data())
def test_merging_laws(cells: list[tuple[int, float, int]], data: st.DataObject) -> None:
    counts = np.array([count for count, _, _ in cells])
    counts[0] += 1
    min_count = data.draw(st.integers(1, int(counts.sum())))
    fine = np.array([group for _, _, group in cells])
    families = data.draw(st.sampled_from([(), (fine,), (fine, fine // 2)]))
    into = merge_small_cells(counts, line(*(lon for _, lon, _ in cells)), families, min_count)
    assert (into[into] == into).all()
    assert np.bincount(into, weights=counts)[np.unique(into)].min() >= min_count
    assert (counts[np.unique(into)] > 0).all()


def test_many_small_cells_around_few_large_ones() -> None:
    counts = np.ones(2000, dtype=np.int64)
    counts[::100] = 50
    into = merge_small_cells(counts, line(*np.linspace(0, 40, 2000)), (), 2)
    totals = np.bincount(into, weights=counts)
    assert totals[np.unique(into)].min() >= 2
    assert totals.sum() == counts.sum()


def test_the_smallest_family_with_another_cell_takes_it_in() -> None:
    counts, positions = np.array([9, 9, 1, 9]), line(0, 5, 20, 21)
    fine, coarse = np.array([0, 1, 2, 3]), np.array([0, 0, 0, 1])
    assert merge_small_cells(counts, positions, (fine, coarse), 2).tolist() == [0, 1, 1, 3]
    assert merge_small_cells(counts, positions, (), 2).tolist() == [0, 1, 3, 3]
