"""Risk against coverage, and thresholds of confidence."""

from itertools import pairwise, permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import logit
from scipy.stats import binom, norm

from geocell.uncertainty.selective import (
    abstains,
    augrc,
    augrc_interval,
    aurc,
    aurc_interval,
    find_threshold,
    risk_coverage,
)


def by_definition(confidence: list[float], wrong: list[bool]) -> tuple[float, float]:
    """Return AURC and AUGRC: means over k, over all orders of answers of one confidence."""
    n, found = len(wrong), []
    for order in permutations(range(n)):
        if any(confidence[a] < confidence[b] for a, b in pairwise(order)):
            continue
        errors = [sum(wrong[i] for i in order[:k]) for k in range(1, n + 1)]
        found.append((sum(e / k for k, e in enumerate(errors, 1)) / n, sum(errors) / n**2))
    return tuple(np.mean(found, axis=0))


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.5, 0.9, 1.0]), st.booleans()), min_size=1, max_size=6))
def test_areas_are_their_definitions(pairs: list[tuple[float, bool]]) -> None:
    confidence, wrong = map(list, zip(*pairs, strict=True))
    expected = by_definition(confidence, wrong)
    assert (aurc(confidence, wrong), augrc(confidence, wrong)) == pytest.approx(expected)


AREAS = ((aurc, aurc_interval), (augrc, augrc_interval))


def weighted_areas(confidence: Any, wrong: Any, weights: Any) -> tuple[float, float]:
    """Return AURC and AUGRC of answers with weights, none of the same confidence."""
    order = np.argsort(-confidence)
    w = weights[order] / weights.sum()
    errors, kept = np.cumsum(w * wrong[order]), np.cumsum(w)
    return float((w * errors / kept).sum()), float((w * errors).sum())


def test_intervals_are_as_wide_as_the_derivatives_by_the_weights_say() -> None:
    """The variance of clusters, of derivatives by differences, gives the ends on the scale of log-odds."""
    rng = np.random.default_rng(1)
    n, clusters = 60, np.repeat(np.arange(30), 2)
    confidence, step = rng.random(n), 1e-6
    wrong = (rng.random(n) > confidence).astype(float)
    shifted = [weighted_areas(confidence, wrong, np.ones(n) + step * n * (np.arange(n) == k)) for k in range(n)]
    for i, (area, interval) in enumerate(AREAS):
        value = area(confidence, wrong)
        derivatives = (np.array(shifted)[:, i] - value) / step
        most = (1.0, (n + 1) / (2 * n))[i]
        squares = np.bincount(clusters, derivatives) ** 2
        error = np.sqrt((squares / (1 - 2 / n)).sum()) / n
        low, high = interval(confidence, wrong, clusters)
        assert low < value < high
        middle, half = (logit(low / most) + logit(high / most)) / 2, (logit(high / most) - logit(low / most)) / 2
        assert middle == pytest.approx(logit(value / most), abs=1e-9)
        spread = half * value * (1 - value / most) / error
        assert 2.0 < spread < 2.1  # Student's t for about thirty clusters


@given(st.lists(st.tuples(st.sampled_from([0.1, 0.5, 0.9]), st.booleans()), min_size=2, max_size=12), st.randoms())
def test_intervals_hold_the_area_and_do_not_depend_on_the_order(pairs: list[tuple[float, bool]], random: Any) -> None:
    shuffled = pairs.copy()
    random.shuffle(shuffled)
    for area, interval in AREAS:
        confidence, wrong = map(list, zip(*pairs, strict=True))
        low, high = interval(confidence, wrong)
        assert 0 <= low <= area(confidence, wrong) + 1e-9
        assert area(confidence, wrong) - 1e-9 <= high <= 1
        again = interval(*map(list, zip(*shuffled, strict=True)))
        assert again == pytest.approx((low, high))


def test_no_error_in_fifty_answers_is_not_taken_for_none_at_all() -> None:
    confidence = np.linspace(0, 1, 50)
    for _, interval in AREAS:
        low, high = interval(confidence, np.zeros(50, dtype=bool), np.arange(50) // 2)
        assert low == 0
        assert 0.02 < high < 0.2
        assert interval(confidence, np.ones(50, dtype=bool))[1] == pytest.approx(
            1.0 if interval is aurc_interval else 0.51
        )


def test_intervals_over_clusters_hold_the_area_of_the_population() -> None:
    """Nominal 95 %: places of one to eight locations that succeed and fail together."""
    rng = np.random.default_rng(0)
    sizes = rng.choice([1, 1, 1, 2, 4, 8], 400)
    numbers, starts = np.repeat(np.arange(400), sizes), np.concatenate(([0], np.cumsum(sizes)))
    effects = [np.sqrt(0.5) * (rng.normal(size=400)[numbers] + rng.normal(size=len(numbers))) for _ in range(2)]
    confidence = 1 / (1 + np.exp(-0.5 - 1.5 * effects[0]))
    wrong = norm.cdf(effects[1]) > confidence
    held = np.zeros((2, 400))
    for i in range(400):
        drawn = rng.integers(400, size=80)
        index = np.concatenate([np.arange(starts[c], starts[c + 1]) for c in drawn])
        clusters = np.repeat(np.arange(80), sizes[drawn])
        for k, (area, interval) in enumerate(AREAS):
            low, high = interval(confidence[index], wrong[index], clusters)
            held[k, i] = low <= area(confidence, wrong) <= high
    assert (held.mean(axis=1) > 0.92).all()
    assert (held.mean(axis=1) < 0.99).all()


def test_the_curve_ends_at_the_error_of_all() -> None:
    coverage, risk = risk_coverage([0.9, 0.8, 0.8, 0.1], [False, True, False, True])
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1.0]
    assert risk == pytest.approx([0.0, 0.25, 1 / 3, 0.5])


def test_a_better_order_has_a_smaller_area() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.random(2000)
    wrong = rng.random(2000) > confidence
    assert aurc(confidence, wrong) < aurc(rng.random(2000), wrong) - 0.1
    assert augrc(confidence, wrong) < augrc(rng.random(2000), wrong) - 0.05
    assert aurc(np.ones(2000), wrong) == pytest.approx(wrong.mean())  # no order at all
    assert augrc(np.ones(2000), wrong) == pytest.approx(wrong.mean() / 2, rel=1e-3)


def test_a_threshold_by_hand() -> None:
    confidence = np.linspace(1.0, 0.01, 100)
    wrong = np.arange(100) >= 60  # of the first n > 60, n − 60 are wrong
    found = find_threshold(confidence, wrong, 0.2, delta=0.1)
    n = found.n_kept
    assert [binom.cdf(k - 60, k, 0.2) <= 0.1 for k in (n, n + 1)] == [True, False]
    assert found.below == confidence[n - 1]
    assert (found.coverage, found.error) == (n / 100, (n - 60) / n)
    assert found.error < found.bound <= 0.2
    assert int((~abstains(confidence, found.below)).sum()) == n


def test_answers_of_one_confidence_are_kept_together() -> None:
    confidence = np.repeat([0.9, 0.5], 50)
    found = find_threshold(confidence, np.arange(100) >= 52, 0.2)
    assert (found.below, found.n_kept, found.error) == (0.9, 50, 0.0)


@pytest.mark.parametrize("max_error", [0.2, 0.4])
def test_few_draws_let_more_errors_through_than_were_wanted(max_error: float) -> None:
    """The true error at the threshold exceeds the wanted one in at most a tenth of the draws of locations."""
    rng = np.random.default_rng(1)
    grid = np.linspace(0, 1, 4001)
    exceeded, kept = [], []
    for _ in range(400):
        confidence = rng.random(300)
        try:
            found = find_threshold(confidence, rng.random(300) > confidence**0.7, max_error)
        except ValueError:
            exceeded.append(False)
            continue
        exceeded.append((1 - grid[grid >= found.below] ** 0.7).mean() > max_error)
        kept.append(found.coverage)
    assert np.mean(exceeded) <= 0.1 + 2 * np.sqrt(0.09 / 400)
    assert len(kept) > 300
    right = np.array([(1 - grid[grid >= t] ** 0.7).mean() for t in grid[:-1]])
    assert np.mean(kept) > 0.6 * (1 - grid[:-1][right <= max_error].min())  # and not by keeping next to nothing


def test_what_cannot_be_reached_is_refused() -> None:
    with pytest.raises(ValueError, match="no threshold keeps answers of which at most 10 % are wrong"):
        find_threshold(np.linspace(0, 1, 50), np.ones(50, bool), 0.1)
    with pytest.raises(ValueError, match="must be between 0 and 1, got 20"):
        find_threshold([0.5], [False], 20)
