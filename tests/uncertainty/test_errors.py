"""Calibration errors."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.uncertainty.errors import calibration_errors, expected_calibration_error, reliability


def test_errors_of_two_locations() -> None:
    posterior = np.array([[0.8, 0.2, 0.0], [0.5, 0.1, 0.4]], dtype=np.float32)
    found = calibration_errors(posterior, [0, 2])
    assert found.confidence == pytest.approx(0.65)
    assert found.accuracy == 0.5
    assert found.nll == pytest.approx(-(np.log(0.8) + np.log(0.4)) / 2)
    assert found.brier == pytest.approx((0.04 + 0.04 + 0.25 + 0.01 + 0.36) / 2)
    assert found.ece == pytest.approx((0.2 + 0.5) / 2)  # each location is a bin
    assert found.to_dict()["ece"] == found.ece


def slow_ece(confidence: list[float], hits: list[bool], n_bins: int) -> float:
    """Return the definition: sort, cut into bins whose sizes differ by one at most, larger ones first."""
    pairs = sorted(zip(confidence, hits, strict=True), key=lambda pair: pair[0])
    n_bins = min(n_bins, len(pairs))
    total, start = 0.0, 0
    for number in range(n_bins):
        size = len(pairs) // n_bins + (number < len(pairs) % n_bins)
        part = pairs[start : start + size]
        start += size
        total += abs(sum(c - h for c, h in part)) / len(pairs)
    return total


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60, unique_by=lambda pair: pair[0]))
def test_ece_is_its_definition(pairs: list[tuple[float, bool]]) -> None:
    confidence, hits = map(list, zip(*pairs, strict=True))
    for n_bins in (1, 4, 15):
        assert expected_calibration_error(confidence, hits, n_bins) == pytest.approx(slow_ece(confidence, hits, n_bins))


def test_hits_of_one_confidence_are_spread_over_their_bins() -> None:
    hits = np.arange(60) < 30
    assert expected_calibration_error(np.full(60, 0.5), hits) == 0.0
    assert reliability(np.full(60, 0.5), hits, 4).tolist() == [[0.5, 0.5, 0.25]] * 4
    curve = reliability([0.9, 0.2, 0.9, 0.9, 0.9, 0.2], [True, False, False, True, False, True], 2)
    assert np.allclose(curve, [[(0.2 * 2 + 0.9) / 3, 0.5, 0.5], [0.9, 0.5, 0.5]])


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.3, 1 / 3, 0.7, 1.0]), st.booleans()), min_size=1, max_size=60),
    st.randoms(use_true_random=False),
)
def test_the_order_of_rows_has_no_effect(pairs: list[tuple[float, bool]], random: Random) -> None:
    shuffled = pairs.copy()
    random.shuffle(shuffled)
    for n_bins in (1, 4, 15):
        a, b = (reliability(*zip(*rows, strict=True), n_bins) for rows in (pairs, shuffled))
        assert np.array_equal(a, b)
        confidence, hits = zip(*pairs, strict=True)
        assert np.isclose(a[:, 1] @ a[:, 2], np.mean(hits))  # bins hold all hits
        assert np.isclose(a[:, 0] @ a[:, 2], np.mean(confidence))


def test_ece_of_what_is_calibrated_is_small() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.random(50_000)
    assert expected_calibration_error(confidence, rng.random(50_000) < confidence) < 0.01
    assert expected_calibration_error(confidence, rng.random(50_000) < confidence**2) > 0.1


def test_the_curve_has_bins_of_equal_mass() -> None:
    curve = reliability(np.linspace(0, 1, 100), np.arange(100) >= 50, 4)
    assert curve.shape == (4, 3)
    assert curve[:, 2].tolist() == [0.25] * 4
    assert curve[:, 1].tolist() == [0.0, 0.0, 1.0, 1.0]


@pytest.mark.slow  # imports all of torchmetrics
@given(st.lists(st.booleans(), min_size=100, max_size=100))
def test_torchmetrics_finds_the_same_where_its_bins_of_equal_width_have_equal_mass(hits: list[bool]) -> None:
    functional = pytest.importorskip("torchmetrics.functional.classification")
    torch = pytest.importorskip("torch")
    confidence = (np.arange(100) + 0.5) / 100
    posterior = torch.tensor(np.stack([confidence, 1 - confidence], axis=1)[50:])
    cells = torch.tensor([0 if hit else 1 for hit in hits[50:]])
    theirs = functional.multiclass_calibration_error(posterior, cells, num_classes=2, n_bins=10)
    assert expected_calibration_error(confidence[50:], hits[50:], 5) == pytest.approx(float(theirs), abs=1e-6)
