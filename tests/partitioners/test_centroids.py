"""Centroids of cells."""

import numpy as np
import pytest

from geocell.geo.geodesy import distance_matrix_km
from geocell.partitioners.centroids import means_of, medoid, radius_of


def test_mean_without_direction_is_the_medoid() -> None:
    ring = np.array([[0.0, 0.0], [0.0, 90.0], [0.0, -180.0], [0.0, -90.0], [0.0, 10.0], [0.0, -170.0]])
    centroids = means_of(ring, np.zeros(6, dtype=np.int64), 1)
    radius = radius_of(ring, np.zeros(6, dtype=np.int64), centroids)
    assert centroids.tolist() in ring[:, None].tolist()
    assert radius[0] == pytest.approx(np.pi * 6371.0088)


def test_medoid_has_the_least_sum_of_distances() -> None:
    points = np.random.default_rng(7).normal([50, 10], [1, 2], (3000, 2))
    points[:40] += [8, 20]  # an outlying group that moves the mean
    sums = np.concatenate([distance_matrix_km(points[i : i + 500], points).sum(axis=1) for i in range(0, 3000, 500)])
    assert medoid(points).tolist() == points[sums.argmin()].tolist()
    assert medoid(np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 5.0]])).tolist() == [1.0, 2.0]
