"""Temperature scaling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocell.uncertainty.temperature import RANGE, fit_temperature, scaled


def drawn(temperature: float, n: int = 4000, cells: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return a posterior that is too sure by a factor, and the cells drawn from the right one."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (n, cells))
    right = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    cells_drawn = (right.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    sure = np.exp(temperature * logits)
    return (sure / sure.sum(axis=1, keepdims=True)).astype(np.float32), cells_drawn


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_finds_how_much_too_sure_a_posterior_is(temperature: float) -> None:
    assert fit_temperature(*drawn(temperature)) == pytest.approx(temperature, rel=0.05)


def test_is_that_of_scikit_learn_where_every_cell_has_a_location() -> None:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.frozen import FrozenEstimator

    class Known(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
        classes_ = np.arange(6)
        n_features_in_ = 6

        def __sklearn_is_fitted__(self) -> bool:
            return True

        def fit(self, x: object, y: object) -> "Known":  # noqa: ARG002
            return self

        def decision_function(self, x: np.ndarray) -> np.ndarray:
            return x

        def predict(self, x: np.ndarray) -> np.ndarray:
            return x.argmax(axis=1)

    posterior, cells = drawn(2.0, 500)
    logits = np.log(posterior.astype(np.float64))
    oracle = CalibratedClassifierCV(FrozenEstimator(Known()), method="temperature").fit(logits, cells)
    assert scaled(posterior, fit_temperature(posterior, cells)) == pytest.approx(oracle.predict_proba(logits), abs=2e-3)


def test_a_cell_without_a_location_is_no_obstacle() -> None:
    posterior, cells = drawn(2.0)
    kept = cells != 3
    assert 0.5 < fit_temperature(posterior[kept], cells[kept]) < 4.0


def test_probabilities_that_are_0_are_survived() -> None:
    posterior = np.array([[1.0, 0.0], [1.0, 0.0]], dtype=np.float32)
    assert fit_temperature(posterior, [0, 1]) == pytest.approx(RANGE[1], rel=0.01)
    assert fit_temperature(posterior, [0, 0]) >= RANGE[0]  # any will do: all are right


@settings(deadline=None)
@given(seed=st.integers(0, 1000), temperature=st.floats(0.1, 10.0))
def test_scaling_is_softmax_over_the_temperature(seed: int, temperature: float) -> None:
    logits = np.random.default_rng(seed).normal(0, 3, (5, 8))
    posterior = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = np.exp(logits / temperature)
    expected /= expected.sum(axis=1, keepdims=True)
    found = scaled(posterior.astype(np.float32), temperature)
    assert found == pytest.approx(expected, abs=1e-5)
    assert (found.argmax(axis=1) == posterior.argmax(axis=1)).all()


@pytest.mark.parametrize(
    ("cells", "words"), [([], "P >= 1 true cells"), ([0, 1], "P >= 1"), ([6], "of 0 to 5, got 6"), ([-1], "got -1")]
)
def test_cells_that_do_not_belong(cells: list[int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        fit_temperature(np.full((1, 6), 1 / 6), np.array(cells, dtype=np.int64))
