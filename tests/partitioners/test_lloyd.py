"""K-Means on the sphere."""

import numpy as np
import pytest
from scipy.spatial import cKDTree
from sklearn.cluster import KMeans

from geocell.geo.geodesy import distance_km, latlon_from_unit, spherical_mean, unit_vectors
from geocell.partitioners import KMeansPartitioner, lloyd
from geocell.partitioners.lloyd import kmeans_centres


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
    assert mean_square(points, ours) < 1.03 * mean_square(points, theirs)


def test_weights_are_repeated_locations() -> None:
    points = np.array([[50.0, 10.0], [50.0, 12.0]])
    centre = kmeans_centres(unit_vectors(points), np.array([3, 1]), 1, 0)
    assert distance_km(latlon_from_unit(centre[0]), spherical_mean(points, [3, 1])) < 1e-6
    assert KMeansPartitioner(k=1).fit(np.repeat(points, [3, 1], axis=0)).counts.tolist() == [4]


def test_empty_clusters_move_to_the_farthest_locations(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.random.default_rng(6).uniform([40, 0], [55, 20], (400, 2))
    vectors = unit_vectors(points)
    monkeypatch.setattr(lloyd, "_first_centres", lambda *_: np.repeat(vectors[:1], 30, axis=0))
    centres = kmeans_centres(vectors, np.ones(400, dtype=np.int64), 30, 0)
    assert set(cKDTree(centres).query(vectors)[1].tolist()) == set(range(30))
