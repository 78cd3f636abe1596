"""The loss of a fit with its gradient written out, in blocks of rows that stay in the cache of a CPU.

Every term is a function of the probabilities, so that with ``e_c = ∂L/∂p_c`` the gradient of a row of logits is
``p_c (e_c - Σ_j p_j e_j)``; the cross-entropy adds ``p_c Σ_j y_j - y_c``. One softmax serves all of them. `fit_loss`
is the same number by autograd.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import torch
from torch import Tensor

from geocell.geodesy import EARTH_RADIUS_KM
from geocell.losses import (
    MIN_MEAN_LENGTH,
    MIN_SQUARED_CHORD,
    LossTerms,
    centroid_distances_km,
    mean_distance_km,
    near_targets,
)

_CPU_BLOCK = 2**19
"""Numbers per block on a CPU: with the few temporaries of a block, what the caches of a core hold."""
_LEAST_BLOCK = 2**16
"""Numbers per block at least, however many cores there are: below that, calling the operations takes longest."""
_DEVICE_BLOCK = 2**26
"""Numbers per block elsewhere, where blocks only bound the memory."""


def value_and_gradient(
    logits: Tensor, target: Tensor, truth: Tensor, terms: LossTerms, batch: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Return the loss and its gradient with respect to the logits, which take the memory of the logits.

    Args:
        logits: (P, C), overwritten; computed with in float32 at least.
        target: (P,) int64 cells.
        truth: (P, 3) unit vectors of the true points.
        terms: the cells and the weights of the terms.
        batch: int64 cells of the whole batch, when these rows are a share of it: the value is then their part in the
            loss of the batch.

    Returns:
        () the loss, and (P, C) the gradient in the dtype of the logits.
    """
    n, c = logits.shape
    batch = target if batch is None else batch
    threads = torch.get_num_threads() if logits.device.type == "cpu" else 1
    largest = _CPU_BLOCK if logits.device.type == "cpu" else _DEVICE_BLOCK
    rows = max(1, min(largest // c, max(-(-n // threads), _LEAST_BLOCK // c)))
    total = terms.weights.index_select(0, batch).sum()
    share = (1.0 - terms.label_smoothing) * terms.weights.index_select(0, target) / total
    even = terms.label_smoothing / (c * total) * terms.weights

    def block(start: int) -> Tensor:
        part = slice(start, start + rows)
        value, gradient = _block(logits[part], target[part], truth[part], share[part], even, terms, 1.0 / len(batch))
        logits[part] = gradient
        return value

    starts = range(0, n, rows)
    values = _workers(threads, os.getpid()).map(block, starts) if min(threads, len(starts)) > 1 else map(block, starts)
    return torch.stack([total.new_zeros(()), *values]).sum(), logits


@cache
def _workers(threads: int, pid: int) -> ThreadPoolExecutor:  # noqa: ARG001 - a forked process has none of the threads
    """Return threads in which torch computes on one core each.

    A block is a few dozen small operations. Whole blocks side by side meet once per batch; one operation after the
    other, each spread over all cores, they would meet after every one, and wait for the slowest core each time.
    """
    started = threading.Barrier(threads + 1)

    def start() -> None:
        torch.set_num_threads(1)
        started.wait()

    pool = ThreadPoolExecutor(threads, "geocell", initializer=start)
    for _ in range(threads):
        pool.submit(int)  # a thread starts with its first task
    started.wait()
    torch.set_num_threads(threads)  # the last call counts for threads to come
    return pool


def _block(
    logits: Tensor, target: Tensor, truth: Tensor, share: Tensor, even: Tensor, terms: LossTerms, per_row: float
) -> tuple[Tensor, Tensor]:
    """Return the part of a block of rows in the loss, and the gradient of those rows.

    Args:
        logits: (R, C).
        target: (R,).
        truth: (R, 3).
        share: (R,) weight of the target of each row in the cross-entropy.
        even: (C,) weight of each cell in it by label smoothing.
        terms: the terms.
        per_row: weight of a row in means over the batch.
    """
    log_p = torch.log_softmax(logits, dim=1, dtype=torch.promote_types(logits.dtype, torch.float32))
    distances = centroid_distances_km(truth, terms.centroids) if terms.smoothing_km or terms.expected_distance else None
    if terms.smoothing_km and distances is not None:
        near = near_targets(distances, terms.smoothing_km, terms.smoothing_normalized).mul_(share[:, None])
        value, slope = -(near * log_p).sum(), near.sum(dim=1) + even.sum()
    else:
        near = None
        value, slope = -(share @ log_p.gather(1, target[:, None])[:, 0]), share + even.sum()
    if terms.label_smoothing:
        value = value - (log_p @ even).sum()
    p = log_p.exp_()
    cost, pull = _distance_terms(p, truth, distances, terms, per_row)
    if terms.hierarchy:
        cost_of_groups, pull_of_groups = _hierarchy_term(p, target, terms, per_row)
        cost, pull = cost + cost_of_groups, pull_of_groups if pull is None else pull.add_(pull_of_groups)
    if pull is None:
        gradient = p.mul_(slope[:, None])
    else:
        slope = slope - torch.linalg.vecdot(p, pull)
        gradient = p.mul_(pull.add_(slope[:, None]))
    if terms.label_smoothing:
        gradient -= even
    if near is None:
        gradient.scatter_add_(1, target[:, None], -share[:, None])
    else:
        gradient -= near
    return value + cost, gradient


def _distance_terms(
    p: Tensor, truth: Tensor, distances: Tensor | None, terms: LossTerms, per_row: float
) -> tuple[Tensor, Tensor | None]:
    """Return the terms in kilometres of a block, and (R, C) their derivative by the probabilities, None without any."""
    value, pull = p.new_zeros(()), None
    if terms.haversine:
        mean = p @ terms.centroids
        weight = terms.haversine * per_row
        value = weight * mean_distance_km(mean, truth).sum()
        pull = (weight * _mean_distance_slope(mean, truth)) @ terms.centroids.T
    if terms.expected_distance and distances is not None:
        distances *= terms.expected_distance * per_row
        value = value + torch.linalg.vecdot(p, distances).sum()
        pull = distances if pull is None else pull.add_(distances)
    return value, pull


def _mean_distance_slope(m: Tensor, truth: Tensor) -> Tensor:
    """Return (R, 3) the derivative of `mean_distance_km` by the means: the chords, then the scaling to the sphere."""
    length = m.square().sum(-1, keepdim=True).sqrt()
    held = length.clamp_min(MIN_MEAN_LENGTH)
    u = m / held
    difference, total = u - truth, u + truth
    a = difference.square().sum(-1, keepdim=True).clamp_min(MIN_SQUARED_CHORD)
    b = total.square().sum(-1, keepdim=True).clamp_min(MIN_SQUARED_CHORD)
    # d = 2 R atan2(√a, √b); below its floor a root is a constant
    ratio = (b / a).sqrt()
    slope = difference * (ratio * (a > MIN_SQUARED_CHORD)) - total * ((b > MIN_SQUARED_CHORD) / ratio)
    slope *= 2.0 * EARTH_RADIUS_KM / (a + b)
    radial = (slope * u).sum(-1, keepdim=True) * (length >= MIN_MEAN_LENGTH)
    return (slope - radial * u) / held


def _hierarchy_term(p: Tensor, target: Tensor, terms: LossTerms, per_row: float) -> tuple[Tensor, Tensor]:
    """Return the hierarchy of a block, and (R, C) its derivative by the probabilities."""
    value, pull = p.new_zeros(()), torch.zeros_like(p)
    tiny = torch.finfo(p.dtype).tiny
    for share, groups in zip(terms.level_weights(), terms.ancestors.values(), strict=True):
        weight = terms.hierarchy * per_row * share
        own = groups == groups.index_select(0, target)[:, None]
        sums = (p * own).sum(dim=1)
        value = value - weight * sums.clamp_min(tiny).log().sum()
        # A group at the floor is a constant, and 1 / floor would overflow the products to come.
        pull -= own * torch.where(sums > tiny, weight / sums, 0.0)[:, None]
    return value, pull
