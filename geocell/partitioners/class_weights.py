"""The weight of every cell in the cross-entropy."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def class_weights(counts: ArrayLike, exponent: float = 1.0, cap: float = float("inf")) -> NDArray[np.float32]:
    """Return the weight of every cell in the cross-entropy: ``min(s · n_c^-exponent, cap)``.

    The scale ``s`` is the one with which the mean weight over training *locations*, ``Σ n_c w_c / Σ n_c``, is 1, so
    that weights do not change the size of a step. With exponent 1 and no cap this is ``N / (C n_c)``, scikit-learn's
    "balanced". A cell without a training location gets weight 0: inverse frequency has no value there, no
    target ever points to it, and label smoothing must not raise a cell that nothing is known about.

    Args:
        counts: (C,) training locations per cell.
        exponent: 0 weighs all locations equally, 1 all cells equally, 0.5 is between.
        cap: largest weight, relative to the mean weight; at least 1.

    Returns:
        (C,) float32.

    Raises:
        ValueError: when no cell has a location, or a count is negative, or `cap` is below 1.
    """
    n = np.asarray(counts, dtype=np.float64)
    if n.ndim != 1 or not (n >= 0).all() or not n.sum() > 0:
        raise ValueError("class weights need non-negative counts (C,) with at least one location: none was counted.")
    if not cap >= 1:
        raise ValueError(f"the cap of class weights is relative to their mean and must be at least 1, got {cap}.")
    raw = np.where(n > 0, np.maximum(n, 1.0) ** -exponent, 0.0)
    capped = np.zeros(len(n), dtype=bool)
    while True:  # the scale grows with every cell that meets the cap, so the capped set only grows: at most C rounds
        free = n[~capped] @ raw[~capped]
        held = cap * n[capped].sum() if capped.any() else 0.0  # the cap may be infinite
        scale = (n.sum() - held) / free if free > 0 else 0.0
        over = ~capped & (raw * scale > cap * (1 + 1e-12))
        if not over.any():
            break
        capped |= over
    return np.where(capped, cap, raw * scale).astype(np.float32)
