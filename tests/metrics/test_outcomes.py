"""Scores: the numbers by hand, and the intervals against a plain bootstrap."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.evaluation.score import scores_of
from geocell.geo.geodesy import EARTH_RADIUS_KM
from geocell.metrics.outcomes import RADII_KM, Outcomes, balscore, outcomes_of, top_hits
from geocell.metrics.scores import Scores
from geocell.partitioners import KMeansPartitioner

KM_PER_DEGREE = np.pi * EARTH_RADIUS_KM / 180


def north_of_zero(km: list[float]) -> np.ndarray:
    return np.array([[x / KM_PER_DEGREE, 0.0] for x in km])


FOUR_CELLS = KMeansPartitioner(k=4).fit([[0, 0], [0, 10], [10, 0], [10, 10]])


def scores_at(
    km: list[float], split: str = "", hits: tuple[np.ndarray, np.ndarray] | None = None, n_outside: int | None = None
) -> Scores:
    outcome = outcomes_of(np.zeros((len(km), 2)), north_of_zero(km), hits, n_outside)
    return scores_of(outcome, FOUR_CELLS, "centroid", split)


def test_balscore_of_published_heads() -> None:
    assert round(balscore(31.4, 81.0, 98.6), 2) == 63.06
    assert round(balscore(30.5, 80.0, 98.1), 2) == 62.09
    assert balscore(0.314, 0.81, 0.986) == pytest.approx(0.6306, abs=5e-5)
    assert balscore(0.0, 1.0, 1.0) == 0.0


def test_scores_by_hand() -> None:
    scores = scores_at([0.5, 20, 100, 700, 3000], split="test")
    assert scores.within == {1: 0.2, 25: 0.4, 200: 0.6, 750: 0.8, 2500: 0.8}
    assert scores.balscore == pytest.approx((0.4 * 0.6 * 0.8) ** (1 / 3))
    assert scores.median_km == pytest.approx(100)
    assert scores.mean_km == pytest.approx(3820.5 / 5)
    assert (scores.n_locations, scores.decoder, scores.split, scores.top1, scores.top5) == (
        5, "centroid", "test", None, None,
    )  # fmt: skip


def test_within_is_at_most() -> None:
    from geocell.metrics.outcomes import within_shares

    assert within_shares(np.array([25.0, np.nextafter(25.0, 26.0)]))[25] == 0.5


def test_no_location_has_no_score() -> None:
    with pytest.raises(ValueError, match=r"scores need at least one location, and the split 'test' has none"):
        outcomes_of(np.empty((0, 2)), np.empty((0, 2)), split="test")


def test_one_prediction_per_location() -> None:
    with pytest.raises(ValueError, match=r"one prediction per location, got 1 for 2"):
        outcomes_of([[0, 0]], [[0, 0], [1, 1]])


def test_every_score_has_an_interval_around_it() -> None:
    rng = np.random.default_rng(5)
    outcome = Outcomes(rng.lognormal(4.5, 1.6, 300), rng.random(300) < 0.3, rng.random(300) < 0.6)
    values, intervals = outcome.values(), outcome.intervals()
    assert set(values) == set(intervals) == {
        "balscore", "top1", "top5", "median_km", "mean_km", *(f"within_{radius}" for radius in RADII_KM),
        "geoscore", *(f"quantile_{share}_km" for share in (10, 25, 75, 90)),
    }  # fmt: skip
    for name, (low, high) in intervals.items():
        assert low < values[name] < high or (low == values[name] == 0.0 and name == "within_1"), name


def test_intervals_of_many_locations_are_those_of_a_plain_bootstrap() -> None:
    rng = np.random.default_rng(5)
    distances, hit = rng.lognormal(4.5, 1.6, 3000), rng.random(3000) < 0.3
    intervals = Outcomes(distances, hit, hit).intervals()
    samples = rng.integers(len(distances), size=(1000, len(distances)))
    within = {radius: (distances[samples] <= radius).mean(axis=1) for radius in RADII_KM}
    plain = {
        "top1": hit[samples].mean(axis=1),
        "within_200": within[200],
        "balscore": np.cbrt(within[25] * within[200] * within[750]),
        "median_km": np.median(distances[samples], axis=1),
        "mean_km": distances[samples].mean(axis=1),
    }
    for name, draws in plain.items():
        spread = np.diff(np.quantile(draws, [0.025, 0.975]))[0]
        assert intervals[name] == pytest.approx(tuple(np.quantile(draws, [0.025, 0.975])), abs=0.12 * spread), name


@given(km=st.lists(st.floats(0, 20000), min_size=1, max_size=40), seed=st.integers(0, 5))
def test_intervals_hold_the_score_and_are_repeatable(km: list[float], seed: int) -> None:
    outcome = Outcomes(np.array(km))
    intervals, values = outcome.intervals(seed), outcome.values()
    assert intervals == Outcomes(np.array(km)).intervals(seed)
    for name, (low, high) in intervals.items():
        assert low <= high
        if name.startswith("within"):
            assert 0 <= low <= values[name] <= high <= 1, name


def test_shares_at_the_end_of_the_scale_are_not_certain() -> None:
    intervals = Outcomes(np.full(100, 5000.0)).intervals()
    assert intervals["within_25"][0] == intervals["balscore"][0] == 0.0
    assert 0.01 < intervals["within_25"][1] < 0.04  # the rule of three says 0.03
    near = Outcomes(np.zeros(100)).intervals()
    assert near["within_1"][1] == near["balscore"][1] == 1.0
    assert 0.96 < near["within_1"][0] < 0.99
    assert "mean_km" not in Outcomes(np.zeros(1)).intervals()


def test_mean_of_a_few_far_apart_stays_on_the_earth() -> None:
    assert Outcomes(np.array([0.0, 1000.0])).intervals()["mean_km"] == pytest.approx((0, 6853.1), abs=0.1)
    half_way_round = np.pi * EARTH_RADIUS_KM
    low, high = Outcomes(np.array([half_way_round, 18_000.0])).intervals()["mean_km"]
    assert high == half_way_round
    assert 0 < low < 18_000


def test_top_hits_by_hand() -> None:
    p = np.array([[0.3, 0.2, 0.1, 0.15, 0.14, 0.11]] * 4, np.float32)
    first, five = top_hits(p, np.array([0, 5, 2, np.iinfo(np.int64).min]))
    assert first.tolist() == [True, False, False, False]
    assert five.tolist() == [True, True, False, False]


def test_a_flat_posterior_hits_five_cells_and_no_more() -> None:
    first, five = top_hits(np.full((20, 20), 0.05, np.float32), np.arange(20))
    assert (first.sum(), five.sum() <= 6) == (1, True)
