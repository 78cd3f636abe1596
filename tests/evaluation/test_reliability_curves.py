"""Reliability before and after a calibration, noted in pieces."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from geocell.evaluation.reliability_curves import ReliabilityRecorder, curve_bins
from geocell.heads.calibration import Calibration
from geocell.partitioners import KMeansPartitioner
from geocell.uncertainty.errors import calibration_errors, reliability
from tests.prediction.test_predictions import PLACES, head_with
from tests.worlds import make_locations

CALIBRATION = Calibration(2.0, {25: 0.1, 200: 0.5, 750: 0.9}, "centroid", {50: 1.0, 90: 2.0})


def noted(calibration: Calibration | None, posterior: np.ndarray, latlon: np.ndarray) -> tuple[dict[str, Any], Any]:
    partition = KMeansPartitioner(k=4, seed=0).fit(PLACES)
    head = replace(head_with([0.6, 0.2, 0.15, 0.05], partition), calibration=calibration)
    recorder = ReliabilityRecorder(head, make_locations(latlon, np.zeros((len(latlon), 2))))
    for first in range(0, len(latlon), 7):
        rows = slice(first, min(first + 7, len(latlon)))
        recorder(rows, posterior[rows], latlon[rows])
    assert np.allclose(recorder.largest, posterior.max(axis=1))
    return recorder.to_dict(), partition.assign(latlon)


def test_pieces_give_what_the_whole_gives() -> None:
    rng = np.random.default_rng(0)
    latlon = PLACES[rng.integers(0, len(PLACES), 60)] + rng.normal(0, 0.3, (60, 2))
    posterior = rng.dirichlet(np.full(4, 0.7), 60).astype(np.float32)
    found, cells = noted(CALIBRATION, posterior, latlon)
    assert list(found) == ["before", "after"]
    for when, p in (("after", posterior), ("before", CALIBRATION.undone(posterior))):
        for name, value in calibration_errors(p, cells).to_dict().items():
            assert found[when][name] == pytest.approx(value, rel=1e-5), (when, name)
        curve = reliability(p.max(axis=1), p.argmax(axis=1) == cells, 6)
        assert np.allclose(found[when]["reliability"], curve, atol=1e-4)


def test_without_a_calibration_there_is_one_curve() -> None:
    posterior = np.tile(np.float32([0.4, 0.3, 0.2, 0.1]), (8, 1))
    found, _ = noted(None, posterior, PLACES[:8] if len(PLACES) >= 8 else np.repeat(PLACES, 2, axis=0)[:8])
    assert list(found) == ["before"]


def test_a_bin_has_ten_locations_where_it_can() -> None:
    assert [curve_bins(n) for n in (1, 2, 29, 31, 60, 149, 1000)] == [1, 2, 3, 3, 6, 14, 15]
