"""Vector scaling."""

import numpy as np
import pytest
from scipy.special import softmax

from geocell.uncertainty.temperature import fit_temperature, scaled
from geocell.uncertainty.vector import fit_scale, fit_vector


def drawn(n: int, temperature: float, bias: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return a posterior, and cells drawn from what it is at a temperature and with biases."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (n, len(bias)))
    right = softmax(logits / temperature + bias, axis=1)
    cells = (right.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return softmax(logits, axis=1).astype(np.float32), cells


def test_finds_the_biases_that_the_world_has() -> None:
    bias = np.array([1.0, -1.0, 0.5, -0.5, 0.0])
    posterior, cells = drawn(20_000, 2.0, bias)
    scale = fit_vector(posterior, cells, 10.0)
    assert scale.temperature == pytest.approx(2.0, rel=0.05)
    assert scale.bias == pytest.approx(bias, abs=0.1)
    assert scale.bias is not None
    assert scale.bias.sum() == pytest.approx(0.0, abs=1e-9)
    expected = softmax(np.log(posterior.astype(float)) / scale.temperature + scale.bias, axis=1)
    assert scale(posterior) == pytest.approx(expected, abs=1e-6)


def test_is_the_minimum_of_its_objective() -> None:
    posterior, cells = drawn(60, 0.7, np.array([0.8, 0.0, -0.8, 0.0]), 1)
    scale = fit_vector(posterior, cells, 0.5)
    assert scale.bias is not None

    def objective(temperature: float, bias: np.ndarray) -> float:
        own = softmax(np.log(posterior.astype(float)) / temperature + bias, axis=1)[np.arange(60), cells]
        return float(-np.log(own).sum() + bias @ bias / (2 * 0.5**2))

    best = objective(scale.temperature, scale.bias)
    rng = np.random.default_rng(2)
    for _ in range(200):
        step = rng.normal(0, 0.05, 5)
        assert objective(scale.temperature * np.exp(step[0]), scale.bias + step[1:]) > best - 1e-5


def test_a_cell_without_a_location_keeps_a_finite_bias() -> None:
    posterior, cells = drawn(100, 1.0, np.zeros(6))
    scale = fit_vector(posterior[cells != 5], cells[cells != 5], 1.0)
    assert scale.bias is not None
    assert -3.0 < scale.bias[5] < 0.0


def test_the_choice_is_by_locations_left_out() -> None:
    groups = np.arange(400)
    biased = drawn(400, 1.0, np.array([1.5, 0.0, -1.5, 0.0]))
    scale, losses = fit_scale(*biased, groups, "auto")
    assert scale.width > 0
    assert losses[scale.width] == min(losses.values()) < losses[0.0] - 0.05
    plain = drawn(60, 1.5, np.zeros(40), 3)
    scale, losses = fit_scale(*plain, groups[:60], "auto")
    assert (scale.width, scale.bias) == (0.0, None)
    assert losses[0.0] == min(losses.values())
    assert scale.temperature == fit_temperature(*plain)
    assert np.array_equal(scale(plain[0]), scaled(plain[0], scale.temperature))
    assert fit_scale(*biased, groups)[1] == {}
    assert fit_scale(*biased, np.zeros(400), "auto")[1] == {}  # one place: nothing can be left out
    assert fit_scale(*biased, groups, "vector", (0.3,))[0].width == 0.3


def test_groups_are_left_out_whole() -> None:
    """Biases that only tell the places of the validation apart do not pay at other places."""
    rng = np.random.default_rng(5)
    place_cells = rng.integers(0, 30, 12)
    groups = np.repeat(np.arange(12), 20)
    posterior = softmax(rng.normal(0, 0.5, (240, 30)), axis=1).astype(np.float32)
    assert fit_scale(posterior, place_cells[groups], np.arange(240), "auto")[0].width > 0
    assert fit_scale(posterior, place_cells[groups], groups, "auto")[0].width == 0


def test_bad_cells_are_refused() -> None:
    with pytest.raises(ValueError, match="true cells must be of 0 to 1, got 0 to 2"):
        fit_vector(np.full((2, 2), 0.5), np.array([0, 2]), 1.0)
    with pytest.raises(ValueError, match="P >= 1 true cells"):
        fit_scale(np.empty((0, 2)), np.empty(0, int), np.empty(0))
