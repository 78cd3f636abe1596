"""Near-duplicate views: how alike the features of locations are to those of training locations."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geocell.features.locations import Locations

NEAR_DUPLICATE = 0.999
"""Cosine from which on two views count as nearly the same image: the same frame, scaled or encoded again."""

_VIEWS = 4096  # of either side at a time: with 1,024 numbers each, and their cosines, 100 MB

Floats32 = NDArray[np.float32]


def largest_cosines(locations: Locations, train: Locations, views: int = _VIEWS) -> Floats32:
    """Return the (P,) largest cosine between a view of each location and a view of a training location.

    All pairs are compared, in blocks of views, so memory does not grow with the number of locations.

    Args:
        locations: P locations.
        train: training locations, at least one.
        views: of either side that are held at a time.
    """
    best = np.full(locations.n_views, -1.0, dtype=np.float32)
    for first in range(0, locations.n_views, views):
        ours = _normalised(locations, first, views)
        for start in range(0, train.n_views, views):
            cosines = ours @ _normalised(train, start, views).T
            np.maximum(best[first : first + views], cosines.max(axis=1), out=best[first : first + views])
    return np.maximum.reduceat(best, locations.offsets[:-1])


def _normalised(locations: Locations, first: int, views: int) -> Floats32:
    """Return the (k, D) features of some views as unit vectors; one of zeros stays so."""
    rows = np.asarray(locations.features[locations.rows[first : first + views]], dtype=np.float32)
    norms = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return np.asarray(rows / norms, dtype=np.float32)
