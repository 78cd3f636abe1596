"""The largest mass within a radius, against brute force, exactly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from geocell.decoders import within as module
from geocell.decoders.table import decode
from geocell.geo.geodesy import distance_km


def brute_force(
    posterior: NDArray[np.float32], centroids: NDArray[np.float64], radius_km: float
) -> NDArray[np.float64]:
    """Return the answer by the definition, one location and one candidate after another, in whole numbers."""
    answers = []
    for row in posterior:
        whole = [round(float(p) * 2**40) for p in row]
        near = distance_km(centroids[:, None], centroids[None]) <= radius_km
        keys = [
            (sum(w for w, close in zip(whole, near[j], strict=True) if close), float(row[j]), -j)
            for j in range(len(centroids))
        ]
        answers.append(centroids[-max(keys)[2]])
    return np.array(answers).reshape(-1, 2)


@given(
    seed=st.integers(0, 10_000),
    cells=st.integers(1, 30),
    radius=st.sampled_from([1.0, 25.0, 200.0, 750.0, 2500.0, 15_000.0]),
    spread=st.sampled_from([0.02, 0.3, 3.0]),
)
def test_equals_brute_force_exactly(seed: int, cells: int, radius: float, spread: float) -> None:
    rng = np.random.default_rng(seed)
    centroids = np.stack((rng.uniform(35, 36 + spread * 50, cells), rng.uniform(-5, 5 + spread * 100, cells)), axis=1)
    centroids = np.clip(centroids, -90, 90)
    posterior = rng.dirichlet(np.full(cells, spread), 6).astype(np.float32)
    posterior[::2] = np.round(posterior[::2], 1)  # many ties
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK", 4)
        patch.setattr(module, "_BLOCK", 7)
        assert np.array_equal(
            decode(f"within:{radius:g}", posterior, centroids), brute_force(posterior, centroids, radius)
        )


@pytest.mark.parametrize("radius", [0.01, 25.0, 750.0, 20_000.0])
def test_running_sums_of_the_changes_are_the_neighbours(radius: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 7)
    rng = np.random.default_rng(0)
    centroids = np.stack((rng.uniform(-90, 90, 200), rng.uniform(-180, 180, 200)), axis=1)
    centroids[1::2] = centroids[::2]  # pairs that coincide
    order, changes = module.neighbourhood_changes(centroids, radius)
    assert np.array_equal(np.sort(order), np.arange(200))
    near = distance_km(centroids[order][:, None], centroids[None]) <= radius
    assert np.array_equal(np.cumsum(changes.toarray(), axis=0), near)


def test_prefers_a_group_of_neighbours_to_a_lone_cell() -> None:
    centroids = [[50.0, 0.0], [50.0, 1.0], [50.0, 2.0], [40.0, 20.0]]  # 71 km apart, and a lone one
    posterior = [[0.2, 0.2, 0.2, 0.4]]
    assert decode("centroid", posterior, centroids).tolist() == [[40.0, 20.0]]
    assert decode("within:100", posterior, centroids).tolist() == [[50.0, 1.0]]
    assert decode("within:10", posterior, centroids).tolist() == [[40.0, 20.0]]


def test_the_radius_is_inclusive() -> None:
    centroids = np.array([[0.0, 0.0], [0.0, 1.0], [0.0, 2.0], [40.0, 0.0]])
    apart = float(distance_km(centroids[0], centroids[1]))
    posterior = np.array([[0.3, 0.1, 0.25, 0.35]])
    assert decode(module.Within(apart), posterior, centroids).tolist() == [[0.0, 1.0]]
    assert decode(module.Within(apart - 1e-9), posterior, centroids).tolist() == [[40.0, 0.0]]
