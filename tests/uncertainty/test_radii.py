"""Radii of answers: laws of the distance that holds a share of the probability, and the spread of cells."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from geocell.geo.geodesy import EARTH_RADIUS_KM, distance_km
from geocell.partitioners.base import Partition
from geocell.uncertainty.radii import cell_spread_km, mass_radii_km, mass_within

PLACES = np.array([[50.0, 10.0], [50.0, 12.0], [50.0, 14.0], [50.0, 40.0]])


def cells(centroids: np.ndarray, radius_km: list[float], counts: list[int]) -> Partition:
    names = tuple(f"c{i}" for i in range(len(centroids)))
    return Partition("centroids", names, names, centroids, np.array(counts), np.array(radius_km))


def radii(point: np.ndarray, row: list[float], centroids: np.ndarray, spread: list[float], *masses: float) -> tuple:
    posterior = np.array([row], np.float32)
    found = mass_radii_km(point[None], posterior, centroids, np.array(spread), masses or (0.5, 0.9))
    return tuple(found[0].tolist())


def radii_of_every_disc(point: np.ndarray, row: np.ndarray, centroids: np.ndarray, spread: np.ndarray) -> list[float]:
    """The radii of half and 90 %, by the distances to the points of all discs."""
    k = np.arange(16)
    km, masses = [], []
    for centroid, p, own in zip(centroids, row, spread, strict=True):
        bearing = k * np.pi * (3 - np.sqrt(5))  # from the way to the point
        b = np.minimum(own * np.sqrt((k + 0.5) / 16) / EARTH_RADIUS_KM, np.pi)
        a = distance_km(point, centroid) / EARTH_RADIUS_KM
        cosines = np.cos(a) * np.cos(b) + np.sin(a) * np.sin(b) * np.cos(bearing)
        km += (np.arccos(np.clip(cosines, -1, 1)) * EARTH_RADIUS_KM).tolist()
        masses += [float(p) / 16] * 16
    order = np.argsort(km)
    reached = np.cumsum(np.array(masses)[order])
    return [np.array(km)[order][np.searchsorted(reached, share * reached[-1])] for share in (0.5, 0.9)]


@given(st.integers(0, 10_000), st.sampled_from([0.01, 30.0, 500.0, 5000.0, 20_000.0]))
def test_only_the_discs_that_a_radius_passes_are_looked_at(seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 40))
    centroids = np.stack([rng.uniform(30, 60, n), rng.uniform(-180, 180, n)], axis=1)
    posterior = rng.dirichlet(np.full(n, 5.0), 3).astype(np.float32)
    points, spread = centroids[rng.integers(n, size=3)] + rng.normal(size=(3, 2)), size * rng.uniform(0.1, 1, n)
    found = mass_radii_km(points, posterior, centroids, spread)
    expected = [radii_of_every_disc(*one, centroids, spread) for one in zip(points, posterior, strict=True)]
    assert found == pytest.approx(np.array(expected), rel=1e-6, abs=1e-3)


def test_the_spread_of_a_cell_is_that_of_its_locations_as_far_as_they_tell_it() -> None:
    half = distance_km(PLACES[0], PLACES[1]) / 2
    nan = np.nan
    spread = cell_spread_km(cells(PLACES[:2], [40.0, 40.0], [1, 1_000_000]))
    assert spread[0] == pytest.approx(np.sqrt((40.0**2 + half**2) / 2))
    assert spread[1] == pytest.approx(40.0, rel=1e-4)
    for radius, count, expected in ((0.0, 1, half / np.sqrt(2)), (nan, 0, half), (nan, 7, half), (0.0, 0, half)):
        assert cell_spread_km(cells(PLACES[:2], [radius, 1.0], [count, 1]))[0] == pytest.approx(expected)


def test_no_cell_is_a_point() -> None:
    same = cell_spread_km(cells(PLACES[[0, 0, 1]], [0.0] * 3, [1] * 3))
    assert same == pytest.approx(np.full(3, distance_km(PLACES[0], PLACES[1]) / np.sqrt(8)))
    assert cell_spread_km(cells(PLACES[:1], [np.nan], [0])) == pytest.approx(np.pi * EARTH_RADIUS_KM)


def test_a_sure_answer_reaches_as_far_as_its_cell() -> None:
    half, most = radii(PLACES[0], [1.0, 0.0, 0.0, 0.0], PLACES, [30.0] * 4)
    assert half == pytest.approx(30 * np.sqrt(0.5), rel=0.05)  # of a disc, whose area grows with the square
    assert most == pytest.approx(30 * np.sqrt(0.9), rel=0.05)


def test_cells_are_counted_from_the_nearest_and_not_from_the_most_probable() -> None:
    """A far cell that is the second most probable stretches no radius that nearer ones hold."""
    row = [0.4, 0.15, 0.15, 0.3]
    half, most = radii(PLACES[0], row, PLACES, [1.0] * 4)
    assert half == pytest.approx(distance_km(PLACES[0], PLACES[1]), abs=1.0)
    assert most == pytest.approx(distance_km(PLACES[0], PLACES[3]), abs=1.0)


def test_a_far_tail_moves_no_radius() -> None:
    far = np.vstack([PLACES[:2], [[-50.0, -170.0]]])
    near = radii(PLACES[0], [0.95, 0.05, 0.0], far, [30.0] * 3)
    assert radii(PLACES[0], [0.95, 0.0494, 0.0006], far, [30.0] * 3) == pytest.approx(near)


@given(
    npst.arrays(np.float64, (6, 2), elements=st.floats(-89, 89, width=32)),
    npst.arrays(np.float64, 6, elements=st.floats(1e-3, 1.0)),
    npst.arrays(np.float64, 6, elements=st.floats(0.01, 3000.0)),
)
def test_laws(centroids: np.ndarray, weights: np.ndarray, spread: np.ndarray) -> None:
    row = (weights / weights.sum()).tolist()
    got = radii(centroids[0], row, centroids, spread.tolist(), 0.1, 0.5, 0.9)
    assert 0 < got[0] <= got[1] <= got[2] <= np.pi * EARTH_RADIUS_KM
    assert got[2] <= (distance_km(centroids[0], centroids) + spread).max() + 1e-3
    wider = radii(centroids[0], row, np.repeat(centroids[:1], 6, axis=0), (2 * spread).tolist(), 0.5)
    assert wider[0] >= radii(centroids[0], row, np.repeat(centroids[:1], 6, axis=0), spread.tolist(), 0.5)[0] - 1e-6


def test_mass_within_counts_the_cells_around_the_point() -> None:
    posterior = np.array([[0.5, 0.25, 0.125, 0.125], [0.5, 0.25, 0.125, 0.125]], dtype=np.float32)
    found = mass_within(posterior, PLACES[[0, 3]], PLACES, 200.0)  # the first two are 143 km apart
    assert found.tolist() == [0.75, 0.125]
    assert mass_within(posterior, PLACES[[0, 3]], PLACES, 21_000.0).tolist() == [1.0, 1.0]
    assert mass_within(posterior[:0], PLACES[:0], PLACES, 1.0).shape == (0,)
