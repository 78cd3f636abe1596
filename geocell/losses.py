"""Losses over the cells of one partition, each term a small pure function of tensors.

P is the number of locations in a batch, C the number of cells; distances are kilometres.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from geocell.geodesy import EARTH_RADIUS_KM

_MIN_SQUARED_CHORD = 1e-30
"""Floor under the square roots of a distance: 6 nm on the ground, where the root has no finite slope any more."""

_MIN_MEAN_LENGTH = 1e-3
"""A posterior mean shorter than this is not scaled up further, which bounds the slope where it has no direction."""


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


def cross_entropy(log_p: Tensor, target: Tensor, weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Return the weighted cross-entropy with uniform label smoothing, averaged over the batch.

    The same number as ``torch.nn.functional.cross_entropy(logits, target, weight=weights,
    label_smoothing=smoothing)``, from log-probabilities that other terms share (Szegedy et al. 2016, section 7).

    Args:
        log_p: (P, C) log-probabilities.
        target: (P,) int64 cells.
        weights: (C,) class weights, equal when omitted.
        smoothing: share of the target spread evenly over all cells.

    Returns:
        () nats.
    """
    nll = -log_p.gather(1, target[:, None])[:, 0]
    spread = -(log_p.mean(dim=1) if weights is None else (log_p @ weights) / log_p.shape[1])
    if weights is None:
        return ((1.0 - smoothing) * nll + smoothing * spread).mean()
    w = weights[target]
    return ((1.0 - smoothing) * w * nll + smoothing * spread).sum() / w.sum()


def chord_distance_km(u: Tensor, v: Tensor) -> Tensor:
    """Return great-circle distances ``2 R atan2(|u - v|, |u + v|)`` with finite gradients everywhere.

    Accurate to a metre in float32 from one metre to antipodes, where the haversine formula errs by metres and
    ``arccos`` of the dot product by kilometres (Kahan, "How Futile are Mindless Assessments of Roundoff in
    Floating-Point Computation?", section 12). At identical points and at antipodes the distance has a kink; the floor
    under the square roots makes its gradient 0 there.

    Args:
        u: (..., 3) unit vectors.
        v: (..., 3) unit vectors.

    Returns:
        (...) kilometres.
    """
    difference = (u - v).square().sum(-1).clamp_min(_MIN_SQUARED_CHORD).sqrt()
    total = (u + v).square().sum(-1).clamp_min(_MIN_SQUARED_CHORD).sqrt()
    return 2.0 * EARTH_RADIUS_KM * torch.atan2(difference, total)


def posterior_mean_distance_km(p: Tensor, centroids: Tensor, truth: Tensor) -> Tensor:
    """Return the distance from the posterior mean ``m = Σ p_c u_c``, scaled to the sphere, to the true point.

    Where ``m`` is all but zero it has no direction; it is then left short, which makes the distance about a quarter
    of the way round the earth and keeps the gradient finite.

    Args:
        p: (P, C) probabilities.
        centroids: (C, 3) unit vectors.
        truth: (P, 3) unit vectors.

    Returns:
        (P,) kilometres.
    """
    m = p @ centroids
    length = m.square().sum(-1, keepdim=True).clamp_min(_MIN_MEAN_LENGTH**2).sqrt()
    return chord_distance_km(m / length, truth)


def fit_loss(
    logits: Tensor,
    target: Tensor,
    truth: Tensor,
    centroids: Tensor,
    weights: Tensor | None = None,
    *,
    smoothing: float = 0.0,
    haversine: float = 0.0,
) -> Tensor:
    """Return ``CE_w(smoothing) + haversine · mean distance of the posterior mean``, from one log-softmax.

    Args:
        logits: (P, C).
        target: (P,) int64 cells.
        truth: (P, 3) unit vectors of the true points.
        centroids: (C, 3) unit vectors.
        weights: (C,) class weights, equal when omitted.
        smoothing: label smoothing.
        haversine: λ per km; 0 skips the term.

    Returns:
        () the loss.
    """
    log_p = torch.log_softmax(logits, dim=1)
    loss = cross_entropy(log_p, target, weights, smoothing)
    if haversine:
        loss = loss + haversine * posterior_mean_distance_km(log_p.exp(), centroids, truth).mean()
    return loss
