"""Where K-Means starts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from sklearn.cluster import kmeans_plusplus

from geocell.geo.geodesy import unit_vectors
from geocell.partitioners import seeding
from geocell.partitioners.seeding import cluster_means, first_centres, squared_distances


def towns(seed: int, n: int = 6000) -> np.ndarray:
    """Towns of very different sizes."""
    rng = np.random.default_rng(seed)
    centres, sizes = rng.uniform([36, -10], [70, 30], (80, 2)), rng.pareto(1.0, 80)
    return unit_vectors(centres[rng.choice(80, n, p=sizes / sizes.sum())] + rng.normal(0, 0.3, (n, 2)))


def inertia(points: np.ndarray, centres: np.ndarray) -> float:
    return float((cKDTree(centres).query(points)[0] ** 2).sum())


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), k=st.integers(1, 30))
def test_there_are_as_many_as_asked_for(seed: int, k: int) -> None:
    points = unit_vectors(np.random.default_rng(seed).uniform([-90, -180], [90, 180], (30, 2)))
    centres = first_centres(points, np.ones(30), k, seed)
    assert centres.shape == (k, 3)
    assert len(np.unique(centres, axis=0)) == k
    if k == 30:
        assert inertia(points, centres) < 1e-12


@pytest.mark.parametrize("seed", range(3))
def test_they_are_better_than_those_of_k_means_plus_plus(seed: int) -> None:
    points = towns(seed)
    theirs, _ = kmeans_plusplus(points, 120, random_state=seed)
    for _ in range(30):
        nearest = cKDTree(theirs).query(points)[1]
        theirs, _ = cluster_means(points.T, np.ones(len(points)), nearest, theirs)
    assert inertia(points, first_centres(points, np.ones(len(points)), 120, seed)) < 1.02 * inertia(points, theirs)


def test_moving_centres_that_are_of_little_use_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    points = towns(7)
    moved = first_centres(points, np.ones(len(points)), 100, 0)
    monkeypatch.setattr(seeding, "_pairs", lambda *_: [])
    assert inertia(points, moved) < 0.97 * inertia(points, first_centres(points, np.ones(len(points)), 100, 0))


def test_a_centre_moves_where_it_saves_more_than_it_costs() -> None:
    use, within = np.array([1.0, 5.0, 9.0, 0.2]), np.array([2.0, 1.0, 30.0, 0.5])
    alone = np.arange(4)[:, None]
    assert seeding._pairs(use, within, alone) == [(3, 2)]
    assert seeding._pairs(use, 0.01 * within, alone) == []
    beside = np.array([[0, 1], [1, 0], [2, 3], [3, 2]])
    assert seeding._pairs(use, within, beside) == [(3, 0)]  # what 3 costs counts on 2 staying as it is


def test_weights_are_repeated_points() -> None:
    points = towns(3, 50)
    weights = np.arange(50) % 3 + 1
    nearest, old = np.arange(50) % 4, points[:4]
    once, total = cluster_means(points.T * weights, weights.astype(float), nearest, old)
    repeated = np.repeat(points, weights, axis=0)
    again, _ = cluster_means(repeated.T, np.ones(len(repeated)), np.repeat(nearest, weights), old)
    np.testing.assert_allclose(once, again, atol=1e-14)
    assert total.tolist() == np.bincount(nearest, weights).tolist()
    empty, _ = cluster_means(points.T * 1.0, np.ones(50), np.zeros(50, dtype=np.int64), old)
    assert empty[1:].tolist() == old[1:].tolist()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.sampled_from([1e-9, 1.0, 1e9]))
def test_squared_distances_are_those_of_the_tree(seed: int, scale: float) -> None:
    points, centre = np.split(np.random.default_rng(seed).normal(scale=scale, size=(50, 3)), [49])
    expected = cKDTree(centre).query(points)[0]
    assert np.sqrt(squared_distances(points.T, centre[0])).tolist() == expected.tolist()
