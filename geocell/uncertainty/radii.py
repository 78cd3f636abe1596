"""How far around an answer the probability of its cells reaches: not calibrated, a reading of the posterior alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geocell.geo.geodesy import EARTH_RADIUS_KM, Floats, unit_distance_km, unit_vectors
from geocell.partitioners.base import Partition

_POINTS = 16  # of the disc that stands for a cell
_SHARES = np.sqrt((np.arange(_POINTS) + 0.5) / _POINTS)  # of its radius, where they stand
_ALONG = np.cos(np.arange(_POINTS) * np.pi * (3.0 - np.sqrt(5.0)))  # of their directions from the centre
_KEPT = 0.999  # of the probability: thousands of cells share the rest, and move no radius that is asked for
_HALF_EARTH_KM = np.pi * EARTH_RADIUS_KM


def cell_spread_km(partition: Partition) -> Floats:
    """Return the radius of the disc over which the probability of each cell is spread.

    It is the distance to the farthest training location, r, as far as the n training locations tell it: they are
    joined by one pseudo-observation (Laplace's rule of succession) at half the distance h to the nearest other
    centroid, ``sqrt((n r² + h²) / (n + 1))``. A cell of one location, or of unknown radius, is no point that way.

    Args:
        partition: the C cells.

    Returns:
        (C,) kilometres, all above 0.
    """
    half = _half_distance_to_next_km(partition.centroids)
    known = np.isfinite(partition.radius_km)
    n = np.where(known, partition.counts, 0)
    squares = n * np.where(known, partition.radius_km, 0.0) ** 2
    return np.asarray(np.sqrt((squares + half**2) / (n + 1)))


def _half_distance_to_next_km(centroids: Floats) -> Floats:
    """Return half the distance of every centroid to the nearest that differs from it; half the earth without one."""
    from scipy.spatial import cKDTree

    places, which = np.unique(unit_vectors(centroids), axis=0, return_inverse=True)
    if len(places) == 1:
        return np.full(len(centroids), _HALF_EARTH_KM)
    nearest = np.asarray(cKDTree(places).query(places, k=2)[1])[:, 1]
    return np.asarray(unit_distance_km(places, places[nearest])[which.ravel()] / 2.0)


def mass_radii_km(
    points: Floats,
    posterior: NDArray[np.float32],
    centroids: Floats,
    spread_km: Floats,
    masses: tuple[float, ...] = (0.5, 0.9),
) -> Floats:
    """Return the smallest distances from points within which shares of the probability lie.

    The probability of a cell is spread evenly over a disc around its centroid, of which equally weighted points in
    Vogel's spiral (1979, "A better way to construct the sunflower head") stand. The discs that a radius passes are
    looked at alone: the others are inside as a whole, or outside.

    Args:
        points: (P, 2) degrees.
        posterior: (P, C) probabilities.
        centroids: (C, 2) degrees.
        spread_km: (C,) of `cell_spread_km`.
        masses: M shares, each below 1.

    Returns:
        (P, M) kilometres, above 0.
    """
    vectors, around = unit_vectors(centroids), unit_vectors(points)
    spread = spread_km / EARTH_RADIUS_KM
    found = np.empty((len(around), len(masses)))
    for point, row, result in zip(around, posterior, found, strict=True):
        cells = _most_probable(row)
        away = unit_distance_km(point, vectors[cells]) / EARTH_RADIUS_KM
        p, reach = row[cells].astype(np.float64), np.minimum(spread[cells], np.pi)
        result[:] = _mass_angles(away, reach, p, p.sum() * np.asarray(masses))
    return found * EARTH_RADIUS_KM


def _most_probable(row: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the cells that hold nearly all of the probability."""
    falling = np.sort(row)[::-1]
    total = np.cumsum(falling, dtype=np.float64)
    return np.flatnonzero(row >= falling[np.searchsorted(total, _KEPT * total[-1])])


def _mass_angles(away: Floats, reach: Floats, p: Floats, masses: Floats) -> list[float]:
    """Return the angles around a point within which masses lie.

    Args:
        away: (K,) angles from the point to the centroids.
        reach: (K,) angles of the discs around these.
        p: (K,) probabilities.
        masses: (M,) of what is looked for, each below their sum.
    """
    first, last = away - reach, away + reach
    found = []
    for low, high, mass in zip(_reached(first, p, masses), _reached(last, p, masses), masses, strict=True):
        inside, passed = last < low, (last >= low) & (first <= high)
        # the spherical law of cosines: from the point to the centroid, and on to a point of the disc
        a, b = away[passed, None], reach[passed, None] * _SHARES
        cosines = (np.cos(a) * np.cos(b) + np.sin(a) * np.sin(b) * _ALONG).ravel()
        nearest = (-cosines).argsort()
        reached = p[inside].sum() + (p[passed] / _POINTS).repeat(_POINTS)[nearest].cumsum()
        index = min(int(reached.searchsorted(mass)), len(nearest) - 1)
        found.append(float(np.arccos(min(max(cosines[nearest[index]], -1.0), 1.0))))
    return found


def _reached(ends: Floats, p: Floats, masses: Floats) -> Floats:
    """Return the smallest of some angles up to which masses lie."""
    order = ends.argsort()
    index = np.minimum(p[order].cumsum().searchsorted(masses), len(order) - 1)
    return np.asarray(ends[order[index]])


def mass_within(posterior: NDArray[np.float32], points: Floats, centroids: Floats, radius_km: float) -> Floats:
    """Return the probability of the cells whose centroid is near a point: the expected share within that radius.

    Of all that a posterior says of its answer, this ranks answers best by whether they are wrong by more than the
    radius; the largest probability is that of a cell, which may have neighbours that are as right.

    Args:
        posterior: (P, C) probabilities.
        points: (P, 2) degrees.
        centroids: (C, 2) degrees.
        radius_km: the radius, inclusive.

    Returns:
        (P,) from 0 to 1.
    """
    vectors = unit_vectors(centroids)
    distinct, which = np.unique(points, axis=0, return_inverse=True)  # centroids are the answer of many locations
    masses = np.empty(len(points))
    which = which.reshape(-1)
    order = np.argsort(which, kind="stable")
    for point, rows in zip(unit_vectors(distinct), np.split(order, np.cumsum(np.bincount(which))[:-1]), strict=False):
        near = unit_distance_km(point, vectors) <= radius_km
        for row in rows.tolist():
            masses[row] = posterior[row][near].sum(dtype=np.float64)
    return np.minimum(masses, 1.0)
