"""The loss of a fit with its gradient written out, in blocks of rows that stay in the cache of a CPU.

Every term is a function of the probabilities, so that with ``e_c = ∂L/∂p_c`` the gradient of a row of logits is
``p_c (e_c - Σ_j p_j e_j)``; the cross-entropy adds ``p_c Σ_j y_j - y_c``. One softmax serves all of them, and no
logarithm of a probability is taken but of the largest of each row: ``log p_c`` is a logit less one number per row.
`fit_loss` is the same loss by autograd, which takes the
gradient of every term that is not in `WRITTEN_OUT`.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional

from geocell.compute.threads import over_cores
from geocell.geo.geodesy import EARTH_RADIUS_KM
from geocell.training.losses import MIN_MEAN_LENGTH, MIN_SQUARED_CHORD, LossTerms, mean_distance_km
from geocell.training.smoothed_targets import centroid_distances_km, near_targets

WRITTEN_OUT = ("expected_distance", "haversine", "hierarchy")
"""The terms whose gradient is written out here, 3 to 7 times as fast as autograd; all others go through autograd."""

_CPU_BLOCK = 2**19
"""Numbers per block on a CPU: more would leave the caches, and of fewer, calling the operations takes longest."""
_DEVICE_BLOCK = 2**26
"""Numbers per block elsewhere, where blocks only bound the memory."""


@dataclass(frozen=True, eq=False)
class _Rows:
    """What belongs to the locations of a batch, or of a block of it.

    Attributes:
        products: (R, C) logits without their bias; in their place comes the gradient.
        target: (R,) cells.
        truth: (R, 3) unit vectors of the true points.
        share: (R,) weight of the targets of each location in the cross-entropy.
        mean: (R, 3), to be filled in: the posterior mean.
    """

    products: Tensor
    target: Tensor
    truth: Tensor
    share: Tensor
    mean: Tensor

    def split(self, rows: int) -> list[_Rows]:
        """Return blocks of so many rows each, and what is left."""
        parts = (getattr(self, field.name).split(rows) for field in fields(self))
        return [_Rows(*part) for part in zip(*parts, strict=True)]


class LossGradient:
    """The loss of a batch and its gradient.

    It keeps the memory that it works in, as the system clears new memory page by page, which takes longer than the
    arithmetic.
    """

    def __init__(self, terms: LossTerms) -> None:
        """Keep the cells and the weights of the terms."""
        self._terms = terms
        self._by_autograd = [made for name, made in terms.active().items() if name not in WRITTEN_OUT]
        # (4, C): a row of slopes by the posterior mean, times the coordinates of the centroids, is its slope by the
        # probabilities; the ones take a number that all cells share into the same product
        self._axes = torch.cat([terms.centroids.T, torch.ones_like(terms.weights)[None]])
        self._memory = threading.local()

    def __call__(
        self, products: Tensor, bias: Tensor, target: Tensor, truth: Tensor, batch: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the loss and its gradient, which takes the memory of the products.

        Args:
            products: (P, C) logits without their bias, overwritten.
            bias: (C,) in the dtype of the terms, in which everything is computed.
            target: (P,) int64 cells.
            truth: (P, 3) unit vectors of the true points.
            batch: int64 cells of the whole batch, when these rows are a share of it: the value is then their part in
                the loss of the batch.

        Returns:
            () the loss, (P, C) its gradient with respect to the products, in their dtype, and (C,) with respect to the
            bias.
        """
        terms, (n, c) = self._terms, products.shape
        batch = target if batch is None else batch
        total, per_row = terms.weights.index_select(0, batch).sum(), 1.0 / len(batch)
        share = (1.0 - terms.label_smoothing) * terms.weights.index_select(0, target) / total
        even = terms.label_smoothing / (c * total) * terms.weights
        whole = _Rows(products, target, truth, share, mean=bias.new_empty(n, 3))
        on_cpu = products.device.type == "cpu"
        rows = max(1, min(n, (_CPU_BLOCK if on_cpu else _DEVICE_BLOCK) // c))

        def block(part: _Rows) -> tuple[Tensor, Tensor]:
            logits, p = self._room(rows)[:, : len(part.target)]
            logits.copy_(part.products).add_(bias)
            more, slope = self._autograd_terms(logits, part, per_row)
            value, gradient = self._block(logits, p, part, even, per_row)
            if slope is not None:
                value, gradient = value + more, gradient.add_(slope)
            part.products.copy_(gradient)
            return value, gradient.sum(dim=0)

        parts = [(torch.zeros_like(total), torch.zeros_like(bias))]
        parts += over_cores(block, whole.split(rows), torch.get_num_threads() if on_cpu else 1)
        values, slopes = zip(*parts, strict=True)
        value = torch.stack(values).sum()
        if terms.weight("haversine"):
            value = value + terms.weight("haversine") * per_row * mean_distance_km(whole.mean, truth).sum()
        return value, products, torch.stack(slopes).sum(dim=0)

    def _room(self, rows: int) -> Tensor:
        """Return memory of this thread for two blocks of so many rows."""
        room: Tensor | None = getattr(self._memory, "room", None)
        if room is None or room.shape[1] < rows:
            room = self._memory.room = self._axes.new_empty(2, rows, self._axes.shape[1])
        return room

    def _targets(self, target: Tensor, truth: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return (R, K) targets, and the (R, K) cells that they are of; None for all cells, in order."""
        terms = self._terms
        if not terms.smoothing_km:
            return torch.ones_like(truth[:, :1]), target[:, None]
        cells = None if terms.near is None else terms.near.index_select(0, target)
        distances = centroid_distances_km(truth, terms.centroids, cells)
        targets = near_targets(distances, terms.smoothing_km, terms.smoothing_normalized)
        return targets, None if cells is None else cells.clamp_min_(0)

    def _autograd_terms(self, logits: Tensor, part: _Rows, per_row: float) -> tuple[Tensor, Tensor | None]:
        """Return the terms whose gradient is not written out, and (R, C) their gradient; None when there are none."""
        total = logits.new_zeros(())
        if not self._by_autograd:
            return total, None
        with torch.enable_grad():
            leaf = logits.detach().clone().requires_grad_()
            log_p = torch.log_softmax(leaf, dim=1)
            for weight, term in self._by_autograd:
                total = total + weight * per_row * term(log_p, part.target, part.truth, self._terms).sum()
            (slope,) = torch.autograd.grad(total, leaf)
        return total.detach(), slope

    def _block(self, logits: Tensor, p: Tensor, part: _Rows, even: Tensor, per_row: float) -> tuple[Tensor, Tensor]:
        """Return the part of the loss that is no function of the means, and the gradient of the logits.

        Args:
            logits: (R, C), whose memory the gradient takes.
            p: (R, C), memory for the probabilities.
            part: the locations, whose means are filled in.
            even: (C,) weight of each cell in the cross-entropy by label smoothing.
            per_row: weight of a row in means over the batch.
        """
        terms, target, truth = self._terms, part.target, part.truth
        torch.softmax(logits, dim=1, out=p)
        log_sum = logits.amax(dim=1) - p.amax(dim=1).log_()  # log p_c is the logit less this
        targets, cells = self._targets(target, truth)
        targets = targets * part.share[:, None]
        mass = targets.sum(dim=1) + even.sum()
        there = logits if cells is None else logits.gather(1, cells)
        value = mass @ log_sum - torch.linalg.vecdot(targets, there).sum() - (logits @ even).sum()
        # From here on the gradient of a row is p_c (mass + pull_c) less the targets, and the logits are not needed.
        pulls = []
        if terms.weight("expected_distance"):
            pulls.append(
                centroid_distances_km(truth, terms.centroids).mul_(terms.weight("expected_distance") * per_row)
            )
            value += torch.linalg.vecdot(p, pulls[0]).sum()
        if terms.weight("hierarchy"):
            of_groups, pull_of_groups = _hierarchy_term(p, target, terms, per_row)
            pulls.append(pull_of_groups)
            value += of_groups
        for pull in pulls:
            mass -= torch.linalg.vecdot(p, pull)
        gradient = logits
        if terms.weight("haversine"):
            part.mean.copy_(functional.linear(p, self._axes)[:, :3])
            slope = _mean_distance_slope(part.mean, truth).mul_(terms.weight("haversine") * per_row)
            mass -= torch.linalg.vecdot(slope, part.mean)
            torch.mm(torch.cat([slope, mass[:, None]], dim=1), self._axes, out=gradient)
        else:
            gradient.copy_(mass[:, None])
        for pull in pulls:
            gradient += pull
        torch.addcmul(-even, p, gradient, out=gradient)
        if cells is None:
            gradient -= targets
        else:
            gradient.scatter_add_(1, cells, -targets)
        return value, gradient


def _mean_distance_slope(m: Tensor, truth: Tensor) -> Tensor:
    """Return (R, 3) the slope of `mean_distance_km` by the means.

    With u = m / |m|, a = |u - t|² and b = |u + t|², the distance 2 R atan2(√a, √b) has the slope
    ``2 R ((b - a) / (b + a) u - t) / √(a b)`` by u. It is at right angles to a u of length 1, so that scaling to the
    sphere takes nothing from it; and at a kink, where a or b is at its floor, it is 0.
    """
    held = torch.linalg.vector_norm(m, dim=1, keepdim=True).clamp_min_(MIN_MEAN_LENGTH)
    u = m / held
    difference, total = u - truth, u + truth
    a = torch.linalg.vecdot(difference, difference)[:, None].clamp_min_(MIN_SQUARED_CHORD)
    b = torch.linalg.vecdot(total, total)[:, None].clamp_min_(MIN_SQUARED_CHORD)
    by_u = 2.0 * EARTH_RADIUS_KM / (a * b).sqrt_() * (u * ((b - a) / (b + a)) - truth)
    slope: Tensor = by_u / held
    return slope


def _hierarchy_term(p: Tensor, target: Tensor, terms: LossTerms, per_row: float) -> tuple[Tensor, Tensor]:
    """Return the hierarchy of a block, and (R, C) its derivative by the probabilities."""
    value, pull, own = p.new_zeros(()), torch.zeros_like(p), torch.empty_like(p)
    tiny = torch.finfo(p.dtype).tiny
    for share, groups in zip(terms.level_weights(), terms.ancestors.values(), strict=True):
        weight = terms.weight("hierarchy") * per_row * share
        torch.eq(groups, groups.index_select(0, target)[:, None], out=own)
        sums = torch.linalg.vecdot(p, own)
        value = value - weight * sums.clamp_min(tiny).log().sum()
        # A group at the floor is a constant, and 1 / floor would overflow the products to come.
        pull.addcmul_(own, torch.where(sums > tiny, -weight / sums, 0.0)[:, None])
    return value, pull
