"""Temperature scaling: one number that makes probabilities as sure as they are right."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

RANGE = (0.05, 50.0)
"""Temperatures that are looked at. One at an end means that the posterior says nothing about these locations."""

_TINY = float(np.finfo(np.float32).tiny)
_CHUNK = 1024  # locations at a time: 45 MB of float64 at 5,444 cells


def scaled(posterior: ArrayLike, temperature: float, bias: ArrayLike | None = None) -> NDArray[np.float32]:
    """Return the posterior at a temperature, ``softmax(log p / T + b)``: without b, softmax of the logits over T.

    Args:
        posterior: (P, C) probabilities.
        temperature: T, above 0.
        bias: (C,) b of vector scaling, in nats; none for temperature scaling.

    Returns:
        (P, C) float32.
    """
    p = np.asarray(posterior)
    result = np.empty(p.shape, dtype=np.float32)
    for start in range(0, len(p), _CHUNK):
        logits = logits_of(p[start : start + _CHUNK]) / temperature
        if bias is not None:
            logits += np.asarray(bias, dtype=np.float64)
        logits -= logits.max(axis=1, keepdims=True)
        np.exp(logits, out=logits)
        result[start : start + _CHUNK] = logits / logits.sum(axis=1, keepdims=True)
    return result


def fit_temperature(posterior: ArrayLike, cells: ArrayLike) -> float:
    """Return the temperature with the least negative log-likelihood (Guo et al. 2017, "On Calibration ...").

    The likelihood is log-concave in 1/T, so the minimum is found wherever the search starts. scikit-learn's
    `CalibratedClassifierCV(method="temperature")` finds the same, but needs a location in every cell.

    Args:
        posterior: (P, C) probabilities of locations that the head was not trained on, P >= 1.
        cells: (P,) their true cells.

    Returns:
        T, within `RANGE`.

    Raises:
        ValueError: when there is no location, or a cell is none of the C.
    """
    from scipy.optimize import minimize_scalar

    p, truth = np.asarray(posterior), np.asarray(cells)
    require_cells(p, truth)

    def loss(log_t: float) -> float:
        return _nll_at(p, truth, float(np.exp(log_t)))

    found = minimize_scalar(loss, bounds=tuple(np.log(RANGE)), method="bounded", options={"xatol": 1e-4})
    return float(np.exp(found.x))


def require_cells(posterior: NDArray[np.floating], cells: NDArray[np.integer]) -> None:
    """Raise ValueError unless there is one true cell of the C for each of P >= 1 rows of a posterior."""
    if posterior.ndim != 2 or len(posterior) == 0 or cells.shape != (len(posterior),):
        raise ValueError(
            f"calibration needs a posterior (P, C) and P >= 1 true cells, got {posterior.shape} and {cells.shape}."
        )
    if cells.min() < 0 or cells.max() >= posterior.shape[1]:
        raise ValueError(
            f"true cells must be of 0 to {posterior.shape[1] - 1}, got {int(cells.min())} to {int(cells.max())}: leave "
            "out locations outside every cell."
        )


def _nll_at(p: NDArray[np.floating], cells: NDArray[np.integer], temperature: float) -> float:
    total = 0.0
    for start in range(0, len(p), _CHUNK):
        logits = logits_of(p[start : start + _CHUNK]) / temperature
        largest = logits.max(axis=1)
        norm = largest + np.log(np.exp(logits - largest[:, None]).sum(axis=1))
        chosen = cells[start : start + _CHUNK]
        total += float((norm - logits[np.arange(len(chosen)), chosen]).sum())
    return total / len(p)


def logits_of(p: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the logarithms of probabilities; of 0, that of the smallest float32."""
    return np.asarray(np.log(np.maximum(p, _TINY), dtype=np.float64))
