"""Radii with coverage."""

import numpy as np
import pytest

from geocell.uncertainty.conformal import conformal_factor, conformal_quantile, conformal_radius_km


def test_is_the_rank_of_the_scores() -> None:
    # scores 1 to 19: 50 % is the 10th of 20, 90 % the 18th, 95 % the 19th
    away, radii = np.arange(1, 20) * 100.0, np.full(19, 50.0)
    assert [conformal_factor(away, radii, coverage) for coverage in (0.5, 0.9, 0.95)] == [10.0, 18.0, 19.0]
    assert conformal_radius_km(10.0, np.array([50.0, 0.0])).tolist() == [1000.0, 500.0]
    with pytest.raises(ValueError, match=r"coverage of 0\.96 needs at least 24 locations, got 19"):
        conformal_factor(away, radii, 0.96)


@pytest.mark.parametrize(("nominal", "low", "high"), [(0.5, 0.48, 0.52), (0.9, 0.88, 0.92), (0.95, 0.93, 0.97)])
def test_covers_what_was_asked_for(nominal: float, low: float, high: float) -> None:
    """On average over calibrations and new locations, whatever the radii are worth."""
    rng = np.random.default_rng(1)
    covered = []
    for _ in range(400):
        radii = rng.gamma(1.0, 300.0, 400)
        away = rng.exponential(1.0, 400) * (radii if rng.random() < 0.5 else 200.0)
        q = conformal_factor(away[:100], radii[:100], nominal)
        covered.append((away[100:] <= conformal_radius_km(q, radii[100:])).mean())
    assert low <= np.mean(covered) <= high


def test_a_share_without_a_finite_score_has_no_finite_threshold() -> None:
    scores = [0.1, 0.2, 0.3, np.inf, np.inf, np.inf, np.inf, np.inf, np.inf, np.inf]
    assert conformal_quantile(scores, 0.25) == 0.3
    assert conformal_quantile(scores, 0.9) == np.inf


def test_the_number_that_a_coverage_needs_is_enough() -> None:
    scores = np.arange(9.0)
    with pytest.raises(ValueError, match=r"coverage of 0\.9 needs at least 9 locations, got 8"):
        conformal_quantile(scores[:8], 0.9)
    assert conformal_quantile(scores, 0.9) == 8.0
    with pytest.raises(ValueError, match="a coverage must be between 0 and 1, got 1: ask for another"):
        conformal_quantile(scores, 1.0)
