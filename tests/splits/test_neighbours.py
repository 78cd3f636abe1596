"""Places connected by short steps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components

from geocell.geo.geodesy import distance_matrix_km, latlon_from_unit, moved
from geocell.splits import neighbours
from geocell.splits.neighbours import connected_places


def towns(n: int, n_towns: int, km: float, seed: int) -> np.ndarray:
    """Places scattered around towns, which are scattered around the antimeridian."""
    rng = np.random.default_rng(seed)
    centres = moved([-17.0, 179.9], rng.normal(size=(n_towns, 2)) * 20)
    return moved(centres[rng.integers(n_towns, size=n)], rng.normal(size=(n, 2)) * km)


def require_groups_of_all_pairs(latlon: np.ndarray, km: float) -> int:
    """Compare with the graph of every pair; return the number of groups."""
    groups = connected_places(latlon, km)
    n, expected = connected_components(distance_matrix_km(latlon, latlon) <= km, directed=False)
    assert len(np.unique(np.stack((groups, expected)), axis=1).T) == n == groups.max() + 1
    return n


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 400), st.integers(1, 30), st.floats(0.01, 10), st.floats(0.1, 30), st.integers(0, 10**6))
def test_groups_are_those_of_all_pairs(n: int, n_towns: int, spread_km: float, km: float, seed: int) -> None:
    require_groups_of_all_pairs(towns(n, n_towns, spread_km, seed), km)


def test_crowds_that_touch_in_one_place_are_one_group() -> None:
    east = np.stack((np.repeat(np.arange(10.0), 100), np.zeros(1000)), axis=1)  # ten crowds in a row, each 10 m wide
    crowds = moved([60.0, 10.0], east + np.random.default_rng(0).uniform(-0.005, 0.005, (1000, 2)))
    assert require_groups_of_all_pairs(crowds, 0.98) == 10
    assert require_groups_of_all_pairs(crowds, 1.001) == 1


def test_over_the_pole() -> None:
    ring = np.column_stack((np.full(12, 89.99), np.arange(-180.0, 180, 30)))
    assert require_groups_of_all_pairs(ring, 0.1) == 12
    assert require_groups_of_all_pairs(ring, 0.6) == 1


def test_coinciding_places_are_one_group() -> None:
    latlon = np.repeat([[1.0, 2.0], [50.0, 2.0]], 40, axis=0)
    assert require_groups_of_all_pairs(latlon, 0.001) == 2


def test_steps_longer_than_the_earth() -> None:
    assert set(connected_places(latlon_from_unit(np.random.default_rng(0).normal(size=(50, 3))), 50_000)) == {0}


def test_links_grow_with_the_places_and_not_with_their_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    n_links = []

    def counted(n: int, links: np.ndarray) -> np.ndarray:
        n_links.append(len(links))
        return components(n, links)

    components = neighbours._components
    monkeypatch.setattr(neighbours, "_components", counted)
    latlon = towns(3000, 3, 0.2, 0)  # a place has hundreds in reach
    assert (distance_matrix_km(latlon, latlon) <= 0.5).sum() > 500 * 3000
    connected_places(latlon, 0.5)
    assert max(n_links) < 20 * 3000
