"""Losses over the cells of one partition, each term a small pure function of tensors, and their sum.

P is the number of locations in a batch, C the number of cells; distances are kilometres. A fit takes the same sum with
its gradient written out, from `geocell.training.gradients`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import torch
from torch import Tensor

from geocell.geo.geodesy import EARTH_RADIUS_KM
from geocell.training.smoothed_targets import centroid_distances_km, near_targets

Term: TypeAlias = "Callable[[Tensor, Tensor, Tensor, LossTerms], Tensor]"
"""A term beside the cross-entropy: (P, C) log-probabilities, (P,) int64 cells, (P, 3) unit vectors of the true points,
and the cells -> (P,). Its weighted mean over the batch is added to the loss."""

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
    """What the loss of a fit is made of: the cells, the settings of the cross-entropy, and the weight of every term.

    Attributes:
        centroids: (C, 3) unit vectors.
        weights: (C,) class weights of the cross-entropy.
        ancestors: level -> (C,) int64 group of every cell, for the hierarchy.
        label_smoothing: share of the target spread evenly over all cells.
        smoothing_km: τ of `near_targets`; 0 for the one true cell.
        smoothing_normalized: see `near_targets`.
        near: (C, K) what `near_cells` returns, to spread targets over these alone; None for all cells.
        hierarchy_decay: weight of a level of the hierarchy relative to the next finer one.
        weight_of: term -> its weight in the sum; a term that is missing, or has weight 0, is left out.
        own: term -> function, for terms that are not in `TERMS`.
    """

    centroids: Tensor
    weights: Tensor
    ancestors: Mapping[str, Tensor]
    label_smoothing: float = 0.0
    smoothing_km: float = 0.0
    smoothing_normalized: bool = True
    near: Tensor | None = None
    hierarchy_decay: float = 1.0
    weight_of: Mapping[str, float] = field(default_factory=dict)
    own: Mapping[str, Term] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse unknown terms, and a hierarchy on cells that have none."""
        unknown = sorted(set(self.weight_of) - {*TERMS, *self.own})
        if unknown:
            raise ValueError(f"terms of the loss must be among {', '.join({**TERMS, **self.own})}, got {unknown[0]!r}.")
        if self.weight("hierarchy") and not self.ancestors:
            raise ValueError(
                "hierarchy needs a partition with coarser levels, and the cells of this one have none: use one of kind "
                "h3, s2, quadtree, kdtree, nuts or semantic, or leave hierarchy at 0."
            )

    @classmethod
    def from_settings(
        cls,
        centroids: Tensor,
        weights: Tensor,
        ancestors: Mapping[str, Tensor],
        **settings: Any,  # noqa: ANN401
    ) -> LossTerms:
        """Return the terms of settings by name: attributes of this class, and the weights of the terms in `TERMS`."""
        weight_of = {name: float(settings.pop(name)) for name in TERMS if name in settings}
        return cls(centroids, weights, ancestors, **settings, weight_of=weight_of)

    def weight(self, term: str) -> float:
        """Return the weight of a term, 0 for one that is left out."""
        return self.weight_of.get(term, 0.0)

    def active(self) -> dict[str, tuple[float, Term]]:
        """Return name -> weight and function of every term that is not left out."""
        functions = {**TERMS, **self.own}
        return {name: (weight, functions[name]) for name, weight in self.weight_of.items() if weight}

    def level_weights(self) -> list[float]:
        """Return the weight of each level in the mean over the levels, coarsest first; they sum to 1."""
        raw = [self.hierarchy_decay**finer for finer in reversed(range(len(self.ancestors)))]
        return [weight / sum(raw) for weight in raw]


def _haversine(log_p: Tensor, _target: Tensor, truth: Tensor, terms: LossTerms) -> Tensor:
    return posterior_mean_distance_km(log_p.exp(), terms.centroids, truth)


def _expected_distance(log_p: Tensor, _target: Tensor, truth: Tensor, terms: LossTerms) -> Tensor:
    return expected_distance_km(log_p.exp(), centroid_distances_km(truth, terms.centroids))


def _hierarchy(log_p: Tensor, target: Tensor, _truth: Tensor, terms: LossTerms) -> Tensor:
    p = log_p.exp()
    levels = [group_nll(p, target, groups, int(groups.max()) + 1) for groups in terms.ancestors.values()]
    return torch.stack([weight * nll for weight, nll in zip(terms.level_weights(), levels, strict=True)]).sum(dim=0)


TERMS: Mapping[str, Term] = {
    "expected_distance": _expected_distance,
    "haversine": _haversine,
    "hierarchy": _hierarchy,
}
"""Field of `FitConfig` with the weight of a term -> the term. A new term is one function here and one field there; its
gradient is taken by autograd unless `geocell.training.gradients` has it written out."""


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
    near = None
    if terms.smoothing_km:
        cells = None if terms.near is None else terms.near.index_select(0, target)
        distances = centroid_distances_km(truth, terms.centroids, cells)
        near = near_targets(distances, terms.smoothing_km, terms.smoothing_normalized)
        if cells is not None:
            near = torch.zeros_like(log_p).scatter_add(1, cells.clamp_min(0), near)
    loss = cross_entropy(log_p, target, terms.weights, terms.label_smoothing, near)
    for weight, term in terms.active().values():
        loss = loss + weight * term(log_p, target, truth, terms).mean()
    return loss
