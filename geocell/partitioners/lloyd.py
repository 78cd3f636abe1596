"""K-Means on the sphere: k-means++ on a sample, then Lloyd's iterations with a tree over the centres.

The tree makes an iteration cost P log k instead of P k. The same points give the same bytes whatever the number of
threads: queries do not depend on each other, and sums are added in the order of the points.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from geocell.geo.geodesy import Floats
from geocell.partitioners.merging import Ints
from geocell.partitioners.rule import workers_for

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController

_SAMPLE = 100  # points per cluster in the sample of k-means++, whose cost is their number times k
_FEW, _MANY = 50_000, 200_000  # at least and, unless that is under 10 per cluster, at most
_MAX_STEPS = 300
_TOLERANCE = 1e-4  # of the variance: scikit-learn's rule for when the centres have stopped moving
_MIN_MEAN_LENGTH = 1e-9  # below this, the direction of a mean vector is rounding noise


def kmeans_centres(vectors: Floats, weights: Ints, k: int, seed: int) -> Floats:
    """Return the centres of K-Means clusters of unit vectors.

    Args:
        vectors: (P, 3) distinct unit vectors, P >= k; fastest when neighbours are near each other.
        weights: (P,) how many locations each stands for.
        k: number of clusters.
        seed: of the sample and of k-means++.

    Returns:
        (k, 3) unit vectors.
    """
    from scipy.spatial import cKDTree

    centres = _first_centres(vectors, weights, k, seed)
    tolerance = _TOLERANCE * float(np.mean(np.var(vectors, axis=0)))
    for _ in range(_MAX_STEPS):
        distance, nearest = cKDTree(centres).query(vectors, workers=workers_for(len(vectors)))
        moved = _means(vectors, weights, np.asarray(nearest), centres)
        empty = np.flatnonzero(np.bincount(nearest, minlength=k) == 0)
        farthest = np.argsort(-np.asarray(distance), kind="stable")[: len(empty)]
        moved[empty] = vectors[farthest]
        shift = float(((moved - centres) ** 2).sum())
        centres = moved
        if shift <= tolerance and len(empty) == 0:
            break
    return centres


def _first_centres(vectors: Floats, weights: Ints, k: int, seed: int) -> Floats:
    from sklearn.cluster import kmeans_plusplus

    rows = np.arange(len(vectors))
    size = min(max(_SAMPLE * k, _FEW), max(_MANY, 10 * k))
    if len(vectors) > size:
        rows = np.sort(np.random.default_rng(seed).choice(len(vectors), size, replace=False))
    with _libraries().limit(limits=1):  # matrix products may round differently with several threads
        centres, _ = kmeans_plusplus(vectors[rows], k, sample_weight=weights[rows].astype(float), random_state=seed)
    return np.asarray(centres, dtype=np.float64)


@cache
def _libraries() -> ThreadpoolController:
    """Return the controller of the numerical libraries' threads; creating it takes longer than a small fit."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _means(vectors: Floats, weights: Ints, nearest: Ints, centres: Floats) -> Floats:
    """Return the direction of the mean of each cluster, and the old centre where it has none."""
    k = len(centres)
    sums = np.stack([np.bincount(nearest, vectors[:, i] * weights, minlength=k) for i in range(3)], axis=1)
    lengths = np.linalg.norm(sums, axis=1)
    total = np.bincount(nearest, weights, minlength=k)
    clear = lengths > _MIN_MEAN_LENGTH * np.maximum(total, 1.0)
    return np.where(clear[:, None], sums / np.where(clear, lengths, 1.0)[:, None], centres)
