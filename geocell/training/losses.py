"""Losses over the cells of one partition, each term a small pure function of tensors, and their sum.

P is the number of locations in a batch, C the number of cells; distances are kilometres. A fit takes the same sum with
its gradient written out, from `geocell.training.gradients`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from geocell.geo.geodesy import EARTH_RADIUS_KM
from geocell.training.smoothed_targets import centroid_distances_km, near_targets

MIN_SQUARED_CHORD = 1e-30
"""Floor under the square roots of a distance: 6 nm on the ground, where the root has no finite slope any more."""

MIN_MEAN_LENGTH = 1e-3
"""A posterior mean shorter than this is not scaled up further, which bounds the slope where it has no direction."""


def cross_entropy(
    log_p: Tensor, target: Tensor, weights: Tensor | None = None, smoothing: float = 0.0, near: Tensor | None = None
) -> Tensor:
    """Return the weighted cross-entropy with uniform label smoothing, averaged over the batch.

    The same number as ``torch.nn.functional.cross_entropy(logits, target, weight=weights,
    label_smoothing=smoothing)``, from log-probabilities that other terms share (Szegedy et al. 2016, section 7).

    Args:
        log_p: (P, C) log-probabilities.
        target: (P,) int64 cells.
        weights: (C,) class weights, equal when omitted.
        smoothing: share of the target spread evenly over all cells.
        near: (P, C) what `near_targets` returns, in place of the one true cell; the weight stays that of the true cell.

    Returns:
        () nats.
    """
    nll = -log_p.gather(1, target[:, None])[:, 0] if near is None else -(near * log_p).sum(dim=1)
    spread = -(log_p.mean(dim=1) if weights is None else (log_p @ weights) / log_p.shape[1])
    if weights is None:
        return ((1.0 - smoothing) * nll + smoothing * spread).mean()
    w = weights[target]
    return ((1.0 - smoothing) * w * nll + smoothing * spread).sum() / w.sum()


def expected_distance_km(p: Tensor, distances_km: Tensor) -> Tensor:
    """Return the expected distance ``Σ p_c d(u_c, x)`` of a draw from the posterior.

    Unlike the distance of the posterior mean it is not small where the mean lies between two peaks far from both. It
    is the risk that Bayesian decision theory minimises under the loss d (Berger 1985, section 4.4).

    Args:
        p: (P, C) probabilities.
        distances_km: (P, C) distances from the true points to the centroids.

    Returns:
        (P,) kilometres.
    """
    return (p * distances_km).sum(dim=1)


def group_nll(p: Tensor, target: Tensor, groups: Tensor, n_groups: int) -> Tensor:
    """Return the negative log-probability of the coarser group that the true cell is in (OSV-5M, Astruc et al. 2024).

    The probability of a group is the sum over its cells, added up by index. A group all but excluded counts as the
    smallest normal number, which bounds the loss at 88 nats in float32 and its gradient with it.

    Args:
        p: (P, C) probabilities.
        target: (P,) int64 cells.
        groups: (C,) int64 group of every cell.
        n_groups: number of groups.

    Returns:
        (P,) nats.
    """
    sums = p.new_zeros(len(p), n_groups).index_add(1, groups, p)
    own = sums.gather(1, groups[target][:, None])[:, 0]
    return -own.clamp_min(torch.finfo(p.dtype).tiny).log()


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
    difference = (u - v).square().sum(-1).clamp_min(MIN_SQUARED_CHORD).sqrt()
    total = (u + v).square().sum(-1).clamp_min(MIN_SQUARED_CHORD).sqrt()
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
    return mean_distance_km(p @ centroids, truth)


def mean_distance_km(m: Tensor, truth: Tensor) -> Tensor:
    """Return the distance of (P, 3) means, scaled to the sphere; see `posterior_mean_distance_km`."""
    length = m.square().sum(-1, keepdim=True).clamp_min(MIN_MEAN_LENGTH**2).sqrt()
    return chord_distance_km(m / length, truth)


def offset_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """Return ``√(1 + |o - t|²) - 1`` of offsets: half the squared length for small differences, the length for large.

    The pseudo-Huber loss of the length (Charbonnier et al. 1997), which unlike smooth L1 by coordinate does not depend
    on where north is.

    Args:
        predicted: (P, 2) offsets o, in units of the cell's radius.
        true: (P, 2) offsets t.

    Returns:
        (P,).
    """
    squared = (predicted - true).square().sum(dim=1)
    return squared / ((1.0 + squared).sqrt() + 1.0)


@dataclass(frozen=True, eq=False)
class LossTerms:
    """What the loss of a fit is made of: the cells, and the weight of every term; 0 leaves a term out.

    Attributes:
        centroids: (C, 3) unit vectors.
        weights: (C,) class weights of the cross-entropy.
        ancestors: level -> (C,) int64 group of every cell, for the hierarchy.
        label_smoothing: share of the target spread evenly over all cells.
        haversine: λ per km of the distance of the posterior mean.
        expected_distance: λ per km of the expected distance.
        smoothing_km: τ of `near_targets`; 0 for the one true cell.
        smoothing_normalized: see `near_targets`.
        near: (C, K) what `near_cells` returns, to spread targets over these alone; None for all cells.
        hierarchy: weight of the mean over the levels of `group_nll`.
        hierarchy_decay: weight of a level in that mean relative to the next finer one.
    """

    centroids: Tensor
    weights: Tensor
    ancestors: Mapping[str, Tensor]
    label_smoothing: float = 0.0
    haversine: float = 0.0
    expected_distance: float = 0.0
    smoothing_km: float = 0.0
    smoothing_normalized: bool = True
    near: Tensor | None = None
    hierarchy: float = 0.0
    hierarchy_decay: float = 1.0

    def __post_init__(self) -> None:
        """Refuse a hierarchy on cells that have none."""
        if self.hierarchy and not self.ancestors:
            raise ValueError(
                "hierarchy needs a partition with coarser levels, and the cells of this one have none: use one of kind "
                "h3, s2, quadtree, kdtree, nuts or semantic, or leave hierarchy at 0."
            )

    def level_weights(self) -> list[float]:
        """Return the weight of each level in the mean over the levels, coarsest first; they sum to 1."""
        raw = [self.hierarchy_decay**finer for finer in reversed(range(len(self.ancestors)))]
        return [weight / sum(raw) for weight in raw]


def fit_loss(logits: Tensor, target: Tensor, truth: Tensor, terms: LossTerms) -> Tensor:
    """Return the sum of all terms, from one log-softmax.

    Args:
        logits: (P, C).
        target: (P,) int64 cells.
        truth: (P, 3) unit vectors of the true points.
        terms: the cells and the weights of the terms.

    Returns:
        () the loss.
    """
    log_p = torch.log_softmax(logits, dim=1)
    p = log_p.exp()
    near = None
    if terms.smoothing_km:
        cells = None if terms.near is None else terms.near.index_select(0, target)
        distances = centroid_distances_km(truth, terms.centroids, cells)
        near = near_targets(distances, terms.smoothing_km, terms.smoothing_normalized)
        if cells is not None:
            near = torch.zeros_like(p).scatter_add(1, cells.clamp_min(0), near)
    loss = cross_entropy(log_p, target, terms.weights, terms.label_smoothing, near)
    if terms.expected_distance:
        distances = centroid_distances_km(truth, terms.centroids)
        loss = loss + terms.expected_distance * expected_distance_km(p, distances).mean()
    if terms.haversine:
        loss = loss + terms.haversine * posterior_mean_distance_km(p, terms.centroids, truth).mean()
    if terms.hierarchy:
        levels = [group_nll(p, target, g, int(g.max()) + 1).mean() for g in terms.ancestors.values()]
        loss = loss + terms.hierarchy * sum(w * nll for w, nll in zip(terms.level_weights(), levels, strict=True))
    return loss
