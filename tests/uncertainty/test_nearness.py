"""The probability that the truth is near, and the temperature that it is largest at."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.geo.geodesy import distance_km
from geocell.uncertainty.nearness import Nearness
from geocell.uncertainty.temperature import scaled

RADII = (25, 200, 750)


def world(seed: int, n: int = 12, k: int = 30) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    candidates, truth = (np.stack((rng.uniform(40, 60, m), rng.uniform(0, 20, m)), axis=1) for m in (k, n))
    return candidates, truth, rng.dirichlet(np.full(k, 0.2), n).astype(np.float32)


@given(st.integers(0, 100))
def test_masses_are_sums_over_what_is_near(seed: int) -> None:
    candidates, truth, posterior = world(seed)
    near = Nearness.of(candidates, truth, RADII)
    masses = near.masses(posterior)
    logs = []
    away = [distance_km(point, candidates) for point in truth]
    for r, radius in enumerate(RADII):
        for i in range(len(truth)):
            inside = [k for k in range(len(candidates)) if away[i][k] <= radius]
            assert masses[r, i] == pytest.approx(posterior[i, inside].sum(), abs=1e-6)
            assert near.reachable[r, i] == bool(inside)
            logs += [np.log(max(masses[r, i], 1e-6))] if inside else []
    assert near.mean_log(posterior) == pytest.approx(np.mean(logs))
    half = near.take(np.arange(0, len(truth), 2))
    assert half.masses(posterior[::2]) == pytest.approx(masses[:, ::2])


def test_the_best_temperature_is_found() -> None:
    candidates, _, _ = world(0, k=200)
    rng = np.random.default_rng(1)
    right = rng.dirichlet(np.full(200, 0.05), 800).astype(np.float32)
    truth = candidates[[rng.choice(200, p=p / p.sum()) for p in right.astype(np.float64)]]
    near = Nearness.of(candidates, truth, (1,))
    assert near.fit_temperature(right) == pytest.approx(1.0, rel=0.15)
    assert near.fit_temperature(scaled(right, 0.5)) == pytest.approx(2.0, rel=0.15)
    assert near.at_best(scaled(right, 0.5)) == pytest.approx(near.mean_log(right), abs=1e-3)


@pytest.mark.parametrize("seed", range(6))
def test_some_temperatures_are_enough_to_find_the_best(seed: int) -> None:
    candidates, truth, posterior = world(seed, n=300, k=200)
    near, sure = Nearness.of(candidates, truth, RADII), scaled(posterior, 0.2 + 0.3 * seed)
    values = [near.mean_log(scaled(sure, t)) for t in np.geomspace(0.2, 10.0, 60)]
    assert near.mean_log(scaled(sure, near.fit_temperature(sure))) == pytest.approx(max(values), abs=1e-6)
    assert near.at_best(sure, (0.7, 1.4)) == pytest.approx(
        max(near.mean_log(scaled(sure, t)) for t in (0.7, 1.4)), abs=1e-5
    )


def test_without_candidates_nearby_there_is_nothing_to_say() -> None:
    near = Nearness.of(np.array([[0.0, 0.0]]), np.array([[50.0, 10.0]]), RADII)
    assert not near.reachable.any()
    assert near.mean_log(np.ones((1, 1), np.float32)) == 0.0
