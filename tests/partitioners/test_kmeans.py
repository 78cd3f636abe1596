"""K-Means on the sphere."""

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.spatial import cKDTree

from geocell.geo.geodesy import distance_km, distance_matrix_km, unit_vectors
from geocell.partitioners import KMeansPartitioner, kmeans


def cluster(lat: float, lon: float, n: int, seed: int) -> np.ndarray:
    return np.array([lat, lon]) + np.random.default_rng(seed).normal(0, 0.05, (n, 2))


def test_finds_separate_clusters_in_order_of_latitude() -> None:
    points = np.concatenate((cluster(60, 20, 30, 0), cluster(48, 11, 20, 1), cluster(52, 13, 10, 2)))
    partition = KMeansPartitioner(k=3).fit(points)
    assert partition.counts.tolist() == [20, 10, 30]
    assert partition.names == ("k0", "k1", "k2")
    assert distance_km(partition.centroids, [[48, 11], [52, 13], [60, 20]]).max() < 5


def test_every_location_is_in_the_cell_of_the_nearest_centre() -> None:
    points = np.random.default_rng(3).uniform([-90, -180], [90, 180], (500, 2))
    partition = KMeansPartitioner(k=20).fit(points)
    nearest = distance_matrix_km(points, partition.rule.centres).argmin(axis=1)
    assert partition.rule.locate(points).cells.tolist() == nearest.tolist()
    assert len(partition) == 20


def test_clusters_kilometres_and_not_degrees() -> None:
    # At 70°N the two pairs are 4° of longitude (152 km) and 3° of latitude (334 km) apart.
    points = np.array([[70.0, 20.0], [70.0, 24.0], [73.0, 20.0], [73.0, 24.0]])
    partition = KMeansPartitioner(k=2).fit(points)
    assert partition.assign(points).tolist() == [0, 0, 1, 1]


def test_seed_is_the_only_randomness() -> None:
    points = np.random.default_rng(4).uniform([40, 0], [55, 20], (300, 2))
    shas = [KMeansPartitioner(k=30, seed=seed).fit(points).sha256 for seed in (0, 0, 1)]
    assert shas[0] == shas[1] != shas[2]


def mean_square(points: np.ndarray, centres: np.ndarray) -> float:
    distance, _ = cKDTree(centres).query(unit_vectors(points))
    return float(np.mean(distance**2))


def test_any_number_of_threads_gives_the_same_bytes() -> None:
    code = (
        "import numpy as np; from geocell.partitioners import KMeansPartitioner as K;"
        "print(K(k=100).fit(np.random.default_rng(0).uniform([36, -10], [70, 30], (12_000, 2))).sha256)"
    )
    shas = set()
    for threads in ("1", "4"):
        environment = {**os.environ, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        shas.add(done.stdout)
    assert len(shas) == 1


def test_many_locations_are_sampled_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    points = np.random.default_rng(8).uniform([36, -10], [70, 30], (3000, 2))
    exact = KMeansPartitioner(k=40).fit(points)
    assert exact.fitted_on["n_clustered"] == 3000
    monkeypatch.setattr(kmeans, "MAX_CLUSTERED", 1000)
    sampled = KMeansPartitioner(k=40).fit(points)
    assert sampled.fitted_on["n_clustered"] == 1000
    assert sampled.counts.sum() == sampled.fitted_on["n_locations"] == 3000
    assert sampled.sha256 == KMeansPartitioner(k=40).fit(points[::-1]).sha256 != exact.sha256
    assert mean_square(points, unit_vectors(sampled.rule.centres)) < 1.1 * mean_square(
        points, unit_vectors(exact.rule.centres)
    )


def test_antipodal_cluster_has_a_medoid() -> None:
    points = [[0.0, 0.0], [0.0, 180.0]]
    partition = KMeansPartitioner(k=1).fit(points)
    assert partition.centroids.tolist() in ([[0.0, 0.0]], [[0.0, -180.0]])
    assert partition.counts.tolist() == [2]


def test_more_clusters_than_places() -> None:
    points = [[0.0, 0.0], [0.0, 0.0], [1.0, 180.0], [1.0, -180.0], [90.0, 5.0], [90.0, 7.0]]
    assert len(KMeansPartitioner(k=3).fit(points)) == 3
    with pytest.raises(
        ValueError, match="KMeansPartitioner: k must be at most the number of distinct locations, 3, got 4"
    ):
        KMeansPartitioner(k=4).fit(points)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"k": 0}, "k must be an integer of at least 1, got 0"),
        ({"k": 2.0}, "k must be an integer of at least 1, got 2.0"),
        ({"k": 2, "seed": -1}, r"seed must be an integer in \[0, 4294967295\], got -1"),
    ],
)
def test_bad_parameters(parameters: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^KMeansPartitioner: {message}"):
        KMeansPartitioner(**parameters)
