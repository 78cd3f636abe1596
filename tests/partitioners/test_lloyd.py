"""K-Means on the sphere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from sklearn.cluster import KMeans

from geocell.geo.geodesy import distance_km, latlon_from_unit, spherical_mean, unit_vectors
from geocell.partitioners import KMeansPartitioner, lloyd
from geocell.partitioners.lloyd import kmeans_centres
from geocell.partitioners.s2ids import s2_ids
from geocell.partitioners.seeding import first_centres


def plain(vectors: np.ndarray, weights: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Lloyd's iterations in which every point asks for its nearest centre."""
    tolerance = 1e-4 * np.var(vectors, axis=0).mean()
    while True:
        nearest = cKDTree(centres).query(vectors)[1]
        moved = np.array([weights[nearest == i] @ vectors[nearest == i] for i in range(len(centres))])
        moved /= np.linalg.norm(moved, axis=1, keepdims=True)
        if ((moved - centres) ** 2).sum() <= tolerance:
            return moved
        centres = moved


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 10**6), k=st.sampled_from([1, 2, 5, 17, 18, 19, 60]), spread=st.sampled_from([0.01, 1.0, 30.0])
)
def test_bounds_change_nothing(seed: int, k: int, spread: float) -> None:
    rng = np.random.default_rng(seed)
    vectors = np.unique(unit_vectors(rng.normal([30, 170], [spread, 2 * spread], (600, 2))), axis=0)
    weights = rng.integers(1, 5, len(vectors))
    start = vectors[rng.choice(len(vectors), k, replace=False)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lloyd, "first_centres", lambda *_: start)
        ours = kmeans_centres(vectors, weights, k, 0)
    np.testing.assert_allclose(ours, plain(vectors, weights, start), rtol=0, atol=1e-12)


def test_first_centres_on_cells_are_as_good(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(9)
    points = rng.uniform([36, -10], [70, 30], (60, 2))[rng.integers(0, 60, 9_000)] + rng.normal(0, 0.8, (9_000, 2))
    cells = s2_ids(points)
    order = np.argsort(cells)
    vectors, weights = unit_vectors(points[order]), np.ones(len(points), dtype=np.int64)
    seen = []

    def first(*arguments: object) -> np.ndarray:
        seen.append(len(arguments[0]))
        return first_centres(*arguments)

    monkeypatch.setattr(lloyd, "first_centres", first)
    whole = kmeans_centres(vectors, weights, 40, 0)
    coarse = kmeans_centres(vectors, weights, 40, 0, cells[order])
    assert seen[0] == len(points)
    assert 40 < seen[1] <= 50 * 40
    assert mean_square(points, coarse) < 1.03 * mean_square(points, whole)


def mean_square(points: np.ndarray, centres: np.ndarray) -> float:
    distance, _ = cKDTree(centres).query(unit_vectors(points))
    return float(np.mean(distance**2))


def test_inertia_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(5)
    points = rng.uniform([36, -10], [70, 30], (40, 2))[rng.integers(0, 40, 12_000)] + rng.normal(0, 0.8, (12_000, 2))
    vectors = unit_vectors(points)
    ours = kmeans_centres(vectors, np.ones(len(points), dtype=np.int64), 150, 0)
    np.testing.assert_allclose(np.linalg.norm(ours, axis=1), 1.0)
    theirs = KMeans(150, n_init=1, random_state=0).fit(vectors).cluster_centers_
    assert mean_square(points, ours) < 1.01 * mean_square(points, theirs)


def test_weights_are_repeated_locations() -> None:
    points = np.array([[50.0, 10.0], [50.0, 12.0]])
    centre = kmeans_centres(unit_vectors(points), np.array([3, 1]), 1, 0)
    assert distance_km(latlon_from_unit(centre[0]), spherical_mean(points, [3, 1])) < 1e-6
    assert KMeansPartitioner(k=1).fit(np.repeat(points, [3, 1], axis=0)).counts.tolist() == [4]


def test_empty_clusters_move_to_the_farthest_locations(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.random.default_rng(6).uniform([40, 0], [55, 20], (400, 2))
    vectors = unit_vectors(points)
    monkeypatch.setattr(lloyd, "first_centres", lambda *_: np.repeat(vectors[:1], 30, axis=0))
    centres = kmeans_centres(vectors, np.ones(400, dtype=np.int64), 30, 0)
    assert set(cKDTree(centres).query(vectors)[1].tolist()) == set(range(30))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), decimals=st.sampled_from([1, 12]))
def test_two_centres_are_those_of_the_tree_to_the_bit(seed: int, decimals: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = np.unique(rng.normal(size=(300, 3)).round(decimals), axis=0)  # rounded: many points between two centres
    weights = rng.integers(1, 5, len(vectors))
    ours = kmeans_centres(vectors, weights, 2, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lloyd, "_Halves", lloyd._Clusters)
        expected = kmeans_centres(vectors, weights, 2, seed)
    assert ours.tolist() == expected.tolist()


def test_of_two_centres_at_one_distance_it_is_that_of_the_tree() -> None:
    centres, points = np.array([[0.0, 1, 0], [2, 1, 0]]), np.array([[1.0, y, z] for y in (0, 1, 5) for z in (0, 3)])
    for turned in (centres, centres[::-1].copy()):
        found = lloyd._Halves(points, turned), lloyd._Clusters(points, turned)
        assert found[0].nearest.tolist() == found[1].nearest.tolist()
