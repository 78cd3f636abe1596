"""Areas of cells, sets of the smallest area, recall against area."""

from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocell.geo.geodesy import EARTH_RADIUS_KM
from geocell.partitioners import KMeansPartitioner
from geocell.partitioners.base import OUTSIDE, Partition
from geocell.partitioners.cell_polygons import class_areas_km2
from geocell.uncertainty.areas import (
    EARTH_KM2,
    RECALL_AREAS_KM2,
    areas_to_truth_km2,
    cell_areas,
    disc_area_km2,
    recall_against_area,
    smallest_area_cells,
)
from geocell.uncertainty.radii import cell_spread_km


def test_areas_are_those_of_the_polygons() -> None:
    latlon = np.random.default_rng(0).uniform((40, 0), (50, 20), (200, 2))
    partition = KMeansPartitioner(k=8).fit(latlon)
    areas = cell_areas(partition)
    assert np.array_equal(areas.km2, class_areas_km2(partition))
    assert areas.km2.sum() == pytest.approx(4 * np.pi * EARTH_RADIUS_KM**2, rel=1e-3)  # K-Means divides the earth
    assert areas.note == ""
    assert cell_areas(partition) is areas


def test_cells_without_polygons_have_estimates_and_say_so() -> None:
    places = np.array([[50.0, 10.0], [50.0, 12.0], [52.0, 10.0]])
    names = ("a", "b", "c")
    bare = Partition("centroids", names, names, places, np.array([3, 3, 0]), np.array([40.0, 60.0, np.nan]))
    areas = cell_areas(bare)
    assert areas.km2 == pytest.approx(np.pi * cell_spread_km(bare) ** 2, rel=1e-3)
    assert areas.note.startswith("the areas of the cells are estimates, discs")
    assert areas.estimated.all()


def test_discs_on_the_sphere() -> None:
    assert disc_area_km2([np.pi * EARTH_RADIUS_KM / 2, 1e9]) == pytest.approx([EARTH_KM2 / 2, EARTH_KM2])
    assert disc_area_km2(1e-3) == pytest.approx(np.pi * 1e-6, rel=1e-9)


ROWS = st.lists(st.tuples(st.integers(0, 20), st.integers(1, 30)), min_size=1, max_size=7).filter(
    lambda cells: sum(p for p, _ in cells) > 0
)


@settings(deadline=None)
@given(ROWS, st.sampled_from([0.1, 0.5, 0.9]))
def test_no_set_with_as_much_probability_is_smaller(cells: list[tuple[int, int]], mass: float) -> None:
    p, areas = np.array(cells, dtype=float).T
    p /= p.sum()
    found = smallest_area_cells(p, areas, mass)
    assert p[found].sum() >= mass - 1e-9
    assert p[found[:-1]].sum() < mass + 1e-9  # the last cell is needed
    every = chain.from_iterable(combinations(range(len(p)), k) for k in range(len(p) + 1))
    rivals = [list(c) for c in every if p[list(c)].sum() >= p[found].sum() - 1e-9]
    assert areas[found].sum() <= min(areas[c].sum() for c in rivals) + 1e-9


def test_a_small_cell_is_taken_before_a_more_probable_large_one() -> None:
    row, areas = [0.5, 0.3, 0.2], np.array([1000.0, 10.0, 10.0])
    assert smallest_area_cells(row, areas, 0.5).tolist() == [1, 2]
    assert smallest_area_cells(row, areas, 0.9).tolist() == [1, 2, 0]


@given(ROWS.filter(lambda cells: len(cells) > 1), st.data())
def test_the_area_to_the_truth_is_accumulated_in_the_order_of_density(
    cells: list[tuple[int, int]], data: st.DataObject
) -> None:
    p, areas = np.array(cells, dtype=float).T
    truth = data.draw(st.integers(0, len(p) - 1))
    order = sorted(range(len(p)), key=lambda i: (-p[i] / areas[i], i))
    expected = sum(areas[i] for i in order[: order.index(truth) + 1])
    found = areas_to_truth_km2(np.stack([p, p]), np.array([truth, OUTSIDE]), areas)
    assert found.tolist() == [pytest.approx(expected), np.inf]


def test_recall_against_area_is_a_cumulative_share() -> None:
    held, curve = recall_against_area(np.array([100.0, 450.0, 2e6, np.inf]))
    assert held == {0.5: 450.0, 0.9: None}
    by_area = dict(zip(RECALL_AREAS_KM2, curve.tolist(), strict=True))
    assert [by_area[a] for a in (100.0, 200.0, 500.0, 1e6, 2e6, 1e8)] == [0.25, 0.25, 0.5, 0.5, 0.75, 0.75]
    assert (RECALL_AREAS_KM2[0], RECALL_AREAS_KM2[-1]) == (100.0, 1e8)
