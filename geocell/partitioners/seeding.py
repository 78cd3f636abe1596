"""Where K-Means starts: centres drawn by the squares of distances, then moved from where they are of little use.

Draws follow k-means++ (Arthur and Vassilvitskii 2007), but as many at once as there are centres already, as in
k-means|| (Bahmani et al. 2012). That is worse than one by one, and mended by what breathing K-Means does (Fritzke
2020): a centre that the inertia would hardly miss moves into a cluster that has much of it.
"""

from __future__ import annotations

import numpy as np

from geocell.geo.geodesy import Floats
from geocell.partitioners.merging import Ints
from geocell.partitioners.rule import Bools, workers_for

_ROUNDS = 12  # of moves at most; there are none left after half a dozen
_STEPS = 2  # Lloyd's iterations before each
_AROUND = 6  # centres around one that moves, which stay in that round
_SPLIT = 0.4  # of the inertia of a cluster that a second centre in it saves; half in a uniform disc
_MIN_MEAN_LENGTH = 1e-9  # below this, the direction of a mean vector is rounding noise


def first_centres(points: Floats, weights: Floats, k: int, seed: int) -> Floats:
    """Return centres to begin K-Means with.

    Args:
        points: (P, 3) distinct points, P >= k.
        weights: (P,) how many locations each stands for.
        k: number of centres.
        seed: of the draws.

    Returns:
        (k, 3) vectors.
    """
    from scipy.spatial import cKDTree

    random = np.random.default_rng(seed)
    if k <= _AROUND + 1:  # none could move
        return _drawn(points, weights, k, random)
    centres, weighted = _drawn(points, weights, k, random), np.ascontiguousarray(points.T) * weights
    for _ in range(_ROUNDS):
        for _ in range(_STEPS):
            nearest = cKDTree(centres).query(points, workers=workers_for(len(points)))[1]
            centres, _ = cluster_means(weighted, weights, np.asarray(nearest), centres)
        if not _move(points, weights, centres, random):
            break
    return centres


def cluster_means(weighted: Floats, weights: Floats, nearest: Ints, centres: Floats) -> tuple[Floats, Floats]:
    """Return the (k, 3) direction of the mean of each cluster, the old centre where it has none, and the (k,) weights.

    Args:
        weighted: (3, P) coordinates of the points times their weights.
        weights: (P,) weights.
        nearest: (P,) cluster of each point.
        centres: (k, 3) old centres.
    """
    k = len(centres)
    sums = np.empty((k, len(weighted)))
    for i, column in enumerate(weighted):
        sums[:, i] = np.bincount(nearest, column, minlength=k)
    lengths = np.sqrt((sums * sums).sum(axis=1))
    total: Floats = np.bincount(nearest, weights, minlength=k).astype(np.float64)
    clear = lengths > _MIN_MEAN_LENGTH * np.maximum(total, 1.0)
    return np.where(clear[:, None], sums / np.where(clear, lengths, 1.0)[:, None], centres), total


def _drawn(points: Floats, weights: Floats, k: int, random: np.random.Generator) -> Floats:
    """Return (k, 3) distinct points, doubled until there are enough: by their weight times their squared distance."""
    chance, rows = weights, np.empty(0, dtype=np.int64)
    while len(rows) < k:
        n = min(k - len(rows), max(len(rows), 1))
        ends = np.cumsum(chance)
        wanted = (np.arange(n) + random.random(n)) * (ends[-1] / n)  # one of each n-th: fewer fall together
        found = np.unique(np.minimum(np.searchsorted(ends, wanted, side="right"), len(points) - 1))
        found = found[chance[found] > 0.0]
        rows = np.append(rows, found if len(found) else chance.argmax())
        if len(rows) < k:
            chance = weights * _nearest_distances(points, points[rows]) ** 2
    return points[rows]


def _nearest_distances(points: Floats, centres: Floats) -> Floats:
    """Return the (P,) distance of each point from the nearest centre."""
    from scipy.spatial import cKDTree

    if len(centres) == 1:
        return np.sqrt(squared_distances(points.T, centres[0]))
    return np.asarray(cKDTree(centres).query(points, workers=workers_for(len(points)))[0])


def squared_distances(columns: Floats, centre: Floats) -> Floats:
    """Return the (P,) squared distances of (3, P) points from one centre, to the bit those of `cKDTree`."""
    offsets = columns - centre[:, None]
    offsets *= offsets
    squares: Floats = offsets[0] + offsets[1]
    squares += offsets[2]
    return squares


def _move(points: Floats, weights: Floats, centres: Floats, random: np.random.Generator) -> int:
    """Move centres, in place, to where they lower the inertia more than it grows without them; return how many."""
    from scipy.spatial import cKDTree

    k = len(centres)
    tree = cKDTree(centres)
    distance, near = tree.query(points, k=2, workers=workers_for(len(points)))
    squares, cluster = np.asarray(distance) ** 2, np.asarray(near)[:, 0]
    inertia: Floats = np.bincount(cluster, weights * squares[:, 0], minlength=k).astype(np.float64)
    use: Floats = np.bincount(cluster, weights * (squares[:, 1] - squares[:, 0]), minlength=k).astype(np.float64)
    around = np.asarray(tree.query(centres, k=list(range(1, min(_AROUND + 1, k) + 1)))[1])
    pairs = _pairs(use, inertia, around)
    if pairs:
        order = np.argsort(cluster, kind="stable")
        starts = np.searchsorted(cluster[order], np.arange(k + 1))
        for centre, into in pairs:
            rows = order[starts[into] : starts[into + 1]]
            share = np.cumsum(weights[rows] * squares[rows, 0])
            at = np.searchsorted(share, random.random() * share[-1], side="right")
            centres[centre] = points[rows[min(int(at), len(rows) - 1)]]
    return len(pairs)


def _pairs(use: Floats, inertia: Floats, around: Ints) -> list[tuple[int, int]]:
    """Return which centres move into which clusters: those of least use into those of most inertia.

    What is saved and lost counts on centres around staying, so that these take no part.
    """
    free: Bools = np.ones(len(use), dtype=np.bool_)
    into = iter(np.argsort(-inertia, kind="stable").tolist())
    pairs: list[tuple[int, int]] = []
    for centre in np.argsort(use, kind="stable").tolist():
        if not free[centre]:
            continue
        free[around[centre]] = False
        target = next((cluster for cluster in into if free[cluster]), None)
        if target is None or _SPLIT * inertia[target] <= use[centre]:
            break
        free[around[target]] = False
        pairs.append((centre, target))
    return pairs
