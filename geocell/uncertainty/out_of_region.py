"""How unlike the training locations a location is: scores that rise with it, of features and of posteriors; pure numpy.

Which one tells other regions apart best is measured by `benchmarks/doubt.py`; `RegionModel` uses `angle_to_subspace`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.uncertainty.moments import Moments

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

_ROWS = 1024  # features at a time: 4 MB of float32 at D = 1024
_TINY = float(np.finfo(np.float64).tiny)


def principal_components(moments: Moments, variance: float) -> Singles:
    """Return the fewest principal components that hold a share of the variance, at most D - 1 of them.

    Args:
        moments: of the training features.
        variance: the share, between 0 and 1.

    Returns:
        (K, D) float32 orthonormal rows, of the largest variance first.

    Raises:
        ValueError: for a share out of range, or features that are all alike.
    """
    if not 0 < variance < 1:
        raise ValueError(f"the share of the variance must be between 0 and 1, got {variance:g}.")
    values, vectors = np.linalg.eigh(moments.scatter)  # ascending
    values = np.maximum(values[::-1], 0.0)
    if not values[0] > _TINY:
        raise ValueError("principal components need features that differ, and these are all alike.")
    held = np.cumsum(values) / values.sum()
    k = min(int(np.searchsorted(held, variance)) + 1, len(values) - 1)
    return np.ascontiguousarray(vectors[:, ::-1][:, :k].T, dtype=np.float32)


def subspace_residual(features: ArrayLike, mean: ArrayLike, components: ArrayLike) -> Floats:
    """Return the (P,) norm of features outside the principal subspace of the training features: ‖(I − VᵀV)(x − μ)‖.

    Source: the residual of ViM (Wang et al. 2022, "ViM: Out-Of-Distribution with Virtual-logit Matching", equation 4),
    with the mean feature as the origin.

    Args:
        features: (P, D).
        mean: (D,) μ.
        components: (K, D) orthonormal rows V.
    """
    return _residuals(features, mean, components)[0]


def angle_to_subspace(features: ArrayLike, mean: ArrayLike, components: ArrayLike) -> Floats:
    """Return the (P,) sine of the angle between centred features and the principal subspace, 0 to 1.

    It is `subspace_residual` over ‖x − μ‖: the share of the norm that lies outside, the same for features that are
    all scaled, shifted or rotated. A feature that is the mean has 0.

    Args:
        features: (P, D).
        mean: (D,).
        components: (K, D) orthonormal rows.
    """
    residual, norm = _residuals(features, mean, components)
    return np.minimum(residual / np.where(norm > 0, norm, 1.0), 1.0)


def _residuals(features: ArrayLike, mean: ArrayLike, components: ArrayLike) -> tuple[Floats, Floats]:
    x, basis = np.asarray(features), np.asarray(components, dtype=np.float64)
    residual, norm = np.empty(len(x)), np.empty(len(x))
    for rows in _pieces(len(x)):
        centred = x[rows].astype(np.float64) - np.asarray(mean, dtype=np.float64)
        residual[rows] = np.linalg.norm(centred - (centred @ basis.T) @ basis, axis=1)
        norm[rows] = np.linalg.norm(centred, axis=1)
    return residual, norm


def precision(moments: Moments, ridge: float = 0.1) -> Floats:
    """Return the (D, D) inverse of a covariance that is shrunk towards its mean variance.

    ``((1 − a) S + a tr(S) / D · I)⁻¹`` with a = ridge, which has an inverse where there are fewer locations than
    dimensions, too (Ledoit and Wolf 2004, with a fixed share).

    Raises:
        ValueError: for features that are all alike, or a ridge that is not between 0 and 1.
    """
    covariance = moments.scatter / moments.count
    variance = float(np.trace(covariance)) / len(covariance)
    if not variance > _TINY or not 0 < ridge < 1:
        raise ValueError(f"a precision needs features that differ and a ridge between 0 and 1, got {ridge:g}.")
    return np.asarray(np.linalg.inv((1 - ridge) * covariance + ridge * variance * np.eye(len(covariance))))


def mahalanobis(features: ArrayLike, means: ArrayLike, inverse: ArrayLike) -> Floats:
    """Return the (P,) least squared Mahalanobis distance to the mean of a class.

    Source: Lee et al. 2018, "A Simple Unified Framework for Detecting Out-of-Distribution Samples", equation 2: one
    covariance for all classes. The score of Ren et al. 2021 ("A Simple Fix to Mahalanobis Distance ...") is this less
    the distance to the mean of all by the precision of all.

    Args:
        features: (P, D).
        means: (C, D) of the classes.
        inverse: (D, D) precision within classes.
    """
    root = np.linalg.cholesky(np.asarray(inverse, dtype=np.float64))  # Λ = L Lᵀ: distances of x L
    x, centres = np.asarray(features), np.asarray(means, dtype=np.float64)
    origin = centres.mean(axis=0)  # near the features, so that squares of small differences keep their digits
    classes = (centres - origin) @ root
    squares = np.einsum("cd,cd->c", classes, classes)
    least = np.empty(len(x))
    for rows in _pieces(len(x)):
        asked = (x[rows].astype(np.float64) - origin) @ root
        products = squares - 2.0 * (asked @ classes.T)
        least[rows] = np.einsum("pd,pd->p", asked, asked) + products.min(axis=1)
    return np.maximum(least, 0.0)


def neighbour_distance(cosines: ArrayLike) -> Floats:
    """Return the (P,) 1 − cosine to the k-th nearest training feature, of (P, k) of `NeighbourIndex.nearest`.

    Source: Sun et al. 2022, "Out-of-Distribution Detection with Deep Nearest Neighbors"; the features of the index are
    centred first.
    """
    return np.asarray(1.0 - np.asarray(cosines, dtype=np.float64)[:, -1])


def largest_probability(posterior: ArrayLike) -> Floats:
    """Return (P,) 1 less the largest of (P, C) probabilities (Hendrycks and Gimpel 2017, "A Baseline ...")."""
    return np.asarray(1.0 - np.asarray(posterior).max(axis=1).astype(np.float64))


def entropy(posterior: ArrayLike) -> Floats:
    """Return the (P,) entropy of (P, C) probabilities in nats."""
    p = np.asarray(posterior)
    result = np.empty(len(p))
    for rows in _pieces(len(p)):
        part = p[rows].astype(np.float64)
        result[rows] = -(part * np.log(np.maximum(part, _TINY))).sum(axis=1)
    return result


def energy(logits: ArrayLike, temperature: float = 1.0) -> Floats:
    """Return the (P,) energy −T log Σ exp(z / T) of (P, C) logits (Liu et al. 2020, "Energy-based Out-of-...").

    It is of logits and not of a posterior, which has lost their sum.
    """
    z = np.asarray(logits)
    result = np.empty(len(z))
    for rows in _pieces(len(z)):
        part = z[rows].astype(np.float64) / temperature
        largest = part.max(axis=1)
        result[rows] = -temperature * (largest + np.log(np.exp(part - largest[:, None]).sum(axis=1)))
    return result


def auroc(inside: ArrayLike, outside: ArrayLike) -> float:
    """Return the probability that a score outside is larger than one inside, ties counting half.

    Args:
        inside: (n,) scores of locations of the region, n >= 1.
        outside: (m,) scores of others, m >= 1.
    """
    from scipy.stats import rankdata

    a, b = np.asarray(inside, dtype=np.float64), np.asarray(outside, dtype=np.float64)
    ranks = rankdata(np.concatenate((a, b)))[len(a) :]
    return float((ranks.sum() - len(b) * (len(b) + 1) / 2) / (len(a) * len(b)))


def _pieces(n: int) -> Iterator[slice]:
    for start in range(0, n, _ROWS):
        yield slice(start, min(start + _ROWS, n))
