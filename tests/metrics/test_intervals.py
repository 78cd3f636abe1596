"""Intervals: how often nominal 95 % covers the truth, by simulation, near the ends of the scale too."""

import numpy as np
import pytest
from scipy.stats import beta, binom

from geocell.evaluation.comparison import paired_intervals
from geocell.metrics.intervals import mean_interval, median_draws, percentile_interval, share_draws, share_interval
from geocell.metrics.outcomes import Outcomes

SIMULATIONS = 1000


def population(seed: int, log_median: float, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Return distances and top-1 hits of two heads, (2, M) each: the second sees mostly what the first sees."""
    rng = np.random.default_rng(seed)
    common, own = rng.normal(size=50_000), rng.normal(size=(2, 50_000))
    same = rng.random(50_000) < 0.5  # where both choose the same cell
    noise = np.where(same, own[0], own)
    distances = np.exp(log_median + spread * (0.8 * common + 0.6 * noise))
    distances[1] *= np.where(same, 1.0, 1.15)
    return np.minimum(distances, 20_000.0), rng.random((2, 50_000)) < np.where(same, 0.3, [[0.35], [0.25]])


def outcomes_at(population: tuple[np.ndarray, np.ndarray], index: np.ndarray | slice) -> tuple[Outcomes, Outcomes]:
    distances, hits = population
    a, b = (Outcomes(d[index], h[index], h[index]) for d, h in zip(distances, hits, strict=True))
    return a, b


@pytest.mark.slow
@pytest.mark.parametrize(
    ("log_median", "n", "rare"),
    [
        (4.0, 1000, {"within_1", "within_2500"}),  # about the published heads: balscore 0.6
        (5.5, 1000, {"within_1"}),  # 1 in 100 within 25 km: balscore 0.15
        (6.0, 500, {"within_1", "within_25", "balscore", "median_km"}),  # 1 in 350: where nobody is, it is 0
    ],
)
def test_nominal_95_percent_covers_93_to_97(
    log_median: float, n: int, rare: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("geocell.metrics.intervals.N_DRAWS", 400)  # more would only steady the ends of each interval
    everybody = population(0, log_median, 1.0)
    truth = [outcome.values() for outcome in outcomes_at(everybody, slice(None))]
    rng = np.random.default_rng(1)
    single, paired = dict.fromkeys(truth[0], 0), dict.fromkeys(truth[0], 0)
    for i in range(SIMULATIONS):
        a, b = outcomes_at(everybody, rng.integers(50_000, size=n))
        for name, (low, high) in a.intervals(i).items():
            single[name] += low <= truth[0][name] <= high
        for name, (low, high) in paired_intervals(a, b, i).items():
            paired[name] += low <= truth[0][name] - truth[1][name] <= high
    for name in single:
        # A share that a location or two decide jumps: no interval covers it by 95 % exactly, and these by more.
        most = 1.0 if name in rare else 0.97
        assert 0.93 <= single[name] / SIMULATIONS <= most, name
        assert 0.93 <= paired[name] / SIMULATIONS <= most, name


def test_the_interval_of_one_share_is_jeffreys() -> None:
    hits = np.arange(50)[:, None] < 7
    low, high = percentile_interval(share_draws(hits)[:, 0])
    assert (low, high) == pytest.approx(tuple(beta.ppf([0.025, 0.975], 7.5, 43.5)), abs=0.01)
    nobody = share_draws(np.zeros((50, 1), dtype=bool))[:, 0]
    assert share_interval(nobody, 0.0) == pytest.approx((0.0, beta.ppf(0.975, 0.5, 50.5)), abs=0.005)


def test_draws_of_columns_belong_together() -> None:
    rng = np.random.default_rng(0)
    near = rng.random(300) < 0.2
    draws = share_draws(np.stack((near, near | (rng.random(300) < 0.3), near), axis=1))
    assert (draws[:, 0] <= draws[:, 1]).all()
    assert np.array_equal(draws[:, 0], draws[:, 2])


def test_heads_that_never_differed_are_not_taken_for_equal() -> None:
    same = np.arange(200)[:, None] < 60
    draws = share_draws(np.concatenate((same, same), axis=1), paired=True)
    low, high = percentile_interval(draws[:, 0] - draws[:, 1])
    assert (low, high) == pytest.approx((-0.0125, 0.0125), abs=0.003)


def test_the_interval_of_a_median_is_the_one_of_the_ranks() -> None:
    values = np.sort(np.random.default_rng(0).lognormal(4, 1, 999))
    draws = median_draws(values, share_draws((values <= np.median(values))[:, None])[:, 0])
    low, high = np.searchsorted(values, percentile_interval(draws))
    expected = binom.ppf([0.025, 0.975], 999, 0.5)
    assert (low, high) == pytest.approx(tuple(expected), abs=6)


def test_the_interval_of_a_mean() -> None:
    rng = np.random.default_rng(0)
    low, high = mean_interval(rng.normal(10, 2, 10_000))
    assert (low, high) == pytest.approx((10 - 0.0392, 10 + 0.0392), abs=0.03)
    skewed = rng.lognormal(0, 1, 200)
    low, high = mean_interval(skewed)
    assert high - skewed.mean() > 1.2 * (skewed.mean() - low)
    assert mean_interval(-skewed) == pytest.approx((-high, -low))
    assert mean_interval(np.full(5, 3.0)) == (3.0, 3.0)
