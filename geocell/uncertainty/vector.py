"""Vector scaling: one bias for every cell beside the temperature, held small, and the choice between the two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.uncertainty.temperature import RANGE, fit_temperature, logits_of, require_cells, scaled

Floats = NDArray[np.float64]

Scaling = Literal["temperature", "vector", "auto"]
SCALINGS: tuple[Scaling, ...] = ("temperature", "vector", "auto")

WIDTHS = (0.25, 0.5, 1.0)
"""Standard deviations of the biases, in nats, that are tried: most cells have few validation locations, or none."""

N_FOLDS = 5
_CHUNK = 1024  # locations at a time: 45 MB of float64 at 5,444 cells
_TINY = float(np.finfo(np.float32).tiny)


class Scale(NamedTuple):
    """What a posterior is scaled by: ``softmax(log p / T + b)``.

    Attributes:
        temperature: T.
        bias: (C,) nats with a mean of 0; None for temperature scaling.
        width: standard deviation of the prior of the biases; 0 for temperature scaling.
    """

    temperature: float
    bias: Floats | None = None
    width: float = 0.0

    def __call__(self, posterior: ArrayLike) -> NDArray[np.float32]:
        """Return the (P, C) float32 scaled posterior."""
        return scaled(posterior, self.temperature, self.bias)


def fit_vector(posterior: ArrayLike, cells: ArrayLike, width: float) -> Scale:
    """Return temperature and biases of the largest posterior density: likelihood times ``N(0, width²)`` per bias.

    Vector scaling (Guo et al. 2017, section 4.2) with a ridge: without one, a cell that has no validation location
    would get the bias −∞. The objective is convex in 1/T and the biases.

    Args:
        posterior: (P, C) probabilities of locations that the head was not trained on, P >= 1.
        cells: (P,) their true cells.
        width: in nats, above 0.

    Raises:
        ValueError: when there is no location, or a cell is none of the C.
    """
    from scipy.optimize import minimize

    p, truth = np.asarray(posterior), np.asarray(cells)
    require_cells(p, truth)
    n_cells = p.shape[1]

    def loss(x: Floats) -> tuple[float, Floats]:
        inverse, bias = x[0], x[1:]
        value, slope = float(bias @ bias) / (2 * width**2), np.concatenate(([0.0], bias / width**2))
        for start in range(0, len(p), _CHUNK):
            logits = logits_of(p[start : start + _CHUNK])
            chosen = truth[start : start + _CHUNK]
            rows = np.arange(len(chosen))
            scores = inverse * logits + bias
            largest = scores.max(axis=1, keepdims=True)
            exps = np.exp(scores - largest)
            total = exps.sum(axis=1, keepdims=True)
            value += float((largest + np.log(total)).sum() - scores[rows, chosen].sum())
            exps /= total
            exps[rows, chosen] -= 1.0
            slope[0] += float((exps * logits).sum())
            slope[1:] += exps.sum(axis=0)
        return value / len(p), slope / len(p)

    start = np.concatenate(([1.0 / fit_temperature(p, truth)], np.zeros(n_cells)))
    bounds = [(1.0 / RANGE[1], 1.0 / RANGE[0]), *[(None, None)] * n_cells]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 500}).x
    return Scale(float(np.clip(1.0 / found[0], *RANGE)), np.asarray(found[1:] - found[1:].mean()), width)


def choose_width(
    posterior: ArrayLike,
    cells: ArrayLike,
    groups: ArrayLike,
    scaling: Scaling = "temperature",
    widths: Sequence[float] = WIDTHS,
) -> tuple[float, dict[float, float]]:
    """Return the width of the biases, chosen by the likelihood of locations left out where there is a choice.

    Args:
        posterior: (P, C) probabilities of locations that the head was not trained on, P >= 1.
        cells: (P,) their true cells.
        groups: (P,) numbers: locations of one group are left out together.
        scaling: `temperature`; `vector` with the best of the widths; or `auto`, the best of both.
        widths: to choose from.

    Returns:
        The width, 0 for temperature scaling; and width -> mean negative log-likelihood of the locations left out, empty
        where there was nothing to choose, or only one group.

    Raises:
        ValueError: when there is no location, or a cell is none of the C.
    """
    p, truth = np.asarray(posterior), np.asarray(cells)
    require_cells(p, truth)
    _, which = np.unique(np.asarray(groups), return_inverse=True)
    tried = {"temperature": (0.0,), "vector": tuple(widths), "auto": (0.0, *widths)}[scaling]
    n_groups = int(which.max()) + 1
    if len(tried) == 1 or n_groups == 1:
        return tried[0], {}
    fold = (np.random.default_rng(0).permutation(n_groups) % min(N_FOLDS, n_groups))[which]
    losses: dict[float, float] = {}
    for width in tried:
        total = 0.0
        for i in range(int(fold.max()) + 1):
            kept, out = fold != i, fold == i
            scale = fit_of_width(p[kept], truth[kept], width)
            own = scale(p[out])[np.arange(int(out.sum())), truth[out]]
            total -= float(np.log(np.maximum(own, _TINY), dtype=np.float64).sum())
        losses[width] = total / len(p)
    return min(losses, key=lambda width: losses[width]), losses


def fit_scale(
    posterior: ArrayLike,
    cells: ArrayLike,
    groups: ArrayLike,
    scaling: Scaling = "temperature",
    widths: Sequence[float] = WIDTHS,
) -> tuple[Scale, dict[float, float]]:
    """Return the scale of a posterior whose width `choose_width` finds, and the losses it is found by."""
    width, losses = choose_width(posterior, cells, groups, scaling, widths)
    return fit_of_width(posterior, cells, width), losses


def fit_of_width(posterior: ArrayLike, cells: ArrayLike, width: float) -> Scale:
    """Return the scale whose biases have that width: `fit_vector`, or temperature scaling for a width of 0."""
    return fit_vector(posterior, cells, width) if width > 0 else Scale(fit_temperature(posterior, cells))
