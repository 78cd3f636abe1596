"""Errors and coverage of halves: the parts that `test_calibrate` does not ask for."""

import numpy as np
import pytest

from geocell.evaluation.held_out import half_of_places, risk_record
from geocell.uncertainty.selective import aurc, aurc_interval


def test_a_place_is_in_one_half() -> None:
    latlon = np.repeat(np.random.default_rng(0).uniform(-80, 80, (100, 2)), 3, axis=0)
    half = half_of_places(latlon).reshape(100, 3)
    assert (half == half[:, :1]).all()
    assert half[:, 0].sum() == 50


def test_a_long_curve_is_thinned_and_keeps_its_ends() -> None:
    rng = np.random.default_rng(0)
    confidence, wrong = rng.random(1000), rng.random(1000) < 0.5
    record = risk_record(confidence, wrong)
    assert record["aurc"] == aurc(confidence, wrong)
    assert record["aurc_interval"] == list(aurc_interval(confidence, wrong))
    assert len(record["curve"]) == 100
    assert record["curve"][0][0] == 0.001
    assert record["curve"][-1] == pytest.approx([1.0, wrong.mean()])


def test_one_cluster_has_no_interval() -> None:
    confidence, wrong = np.array([0.3, 0.7]), np.array([True, False])
    assert "aurc_interval" not in risk_record(confidence, wrong, np.zeros(2, dtype=np.int64))
    assert "aurc_interval" in risk_record(confidence, wrong)
