"""Mean and scatter of features that are read in pieces: one (D, D) matrix, however many there are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Moments:
    """The first two moments of N features.

    Attributes:
        count: N.
        mean: (D,) float64.
        scatter: (D, D) float64, the sum of (x - mean)(x - mean)ᵀ; over N it is the covariance.
    """

    count: int
    mean: Floats
    scatter: Floats


def streamed_moments(pieces: Iterable[ArrayLike]) -> Moments:
    """Return the moments of the rows of all pieces, by the update of Chan, Golub and LeVeque (1983).

    Args:
        pieces: (n, D) features each, n >= 0.

    Raises:
        ValueError: for no row at all, pieces of different widths, or a number that is not finite.
    """
    total: Moments | None = None
    for piece in pieces:
        rows = np.asarray(piece, dtype=np.float64)
        if rows.ndim != 2 or (total is not None and rows.shape[1] != len(total.mean)):
            raise ValueError(f"moments need pieces (n, D) of one D, got {rows.shape}.")
        if not np.isfinite(rows).all():
            raise ValueError("moments need finite features: leave out the locations whose features are NaN.")
        if not len(rows):
            continue
        mean = rows.mean(axis=0)
        part = Moments(len(rows), mean, (rows - mean).T @ (rows - mean))
        total = part if total is None else joined(total, part)
    if total is None:
        raise ValueError("moments need at least one location, got none.")
    return total


def joined(a: Moments, b: Moments) -> Moments:
    """Return the moments of the features of both."""
    count = a.count + b.count
    shift = b.mean - a.mean
    mean = a.mean + shift * (b.count / count)
    scatter = a.scatter + b.scatter + np.outer(shift, shift) * (a.count * b.count / count)
    return Moments(count, mean, scatter)
