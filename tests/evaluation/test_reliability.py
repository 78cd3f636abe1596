"""Radii and confidence against a count by hand."""

import numpy as np
import pytest

from geocell.evaluation.reliability import confidence_errors, radius_coverage


def test_coverage_by_hand() -> None:
    found = radius_coverage(np.array([1.0, 5, 10, 20]), np.array([1.0, 4, np.nan, 30]))
    assert found is not None
    assert (found["n_locations"], found["coverage"], found["median_km"]) == (3, 2 / 3, 4.0)
    assert 0 < found["interval"][0] < 2 / 3 < found["interval"][1] <= 1
    assert radius_coverage(np.ones(2), np.full(2, np.nan)) is None


def test_confidence_by_hand() -> None:
    found = confidence_errors(np.array([200.0, 201, 3, 4]), np.array([0.5, 0.25, 1.0, np.nan]))
    assert found == {
        "n_locations": 3,
        "within_km": 200,
        "mean": pytest.approx(1.75 / 3),
        "share": 2 / 3,
        "ece": pytest.approx((0.25 + 0.5 + 0) / 3),
        "brier": pytest.approx((0.25**2 + 0.5**2) / 3),
    }
    assert confidence_errors(np.ones(1), np.full(1, np.nan)) is None
