"""The rules for the centroid of a cell, the point that it predicts."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from geocell.geo.geodesy import (
    Floats,
    distance_km,
    distance_matrix_km,
    grouped_mean_directions,
    latlon_from_unit,
    unit_vectors,
)
from geocell.partitioners.merging import Ints

CentroidRule = Literal["mean", "cell", "medoid"]
CENTROID_RULES: tuple[str, ...] = get_args(CentroidRule)

_MIN_MEAN_LENGTH = 1e-9  # below this, the direction of a mean vector is rounding noise
_BLOCK = 1 << 15  # locations at a time: what is computed on the way stays in the cache of a core
_ROUNDING = 1e-6  # of a squared chord, more than rounding takes at a millimetre
_EXACT = 2048  # distinct locations up to which every one is tried as the medoid
_CANDIDATES = 256  # tried above that: those nearest to the geometric median
_WEISZFELD_STEPS = 50


def means_of(
    latlon: Floats, groups: Ints, n_groups: int, anchors: Floats | None = None, vectors: Floats | None = None
) -> Floats:
    """Return the (G, 2) spherical mean of each group in degrees, the medoid where the mean has no direction.

    Args:
        latlon: (P, 2) degrees.
        groups: (P,) group of each location.
        n_groups: G.
        anchors: (G, 2) degrees of the groups without locations.
        vectors: (P, 3) unit vectors of the locations, where they are known.
    """
    known = unit_vectors(latlon) if vectors is None else vectors
    centroids, lengths = grouped_mean_directions(known, groups, n_groups)
    counts = np.bincount(groups, minlength=n_groups)
    for group in np.flatnonzero((lengths <= _MIN_MEAN_LENGTH) & (counts > 0)):
        centroids[group] = medoid(latlon[groups == group])
    if anchors is not None:
        centroids[counts == 0] = anchors[counts == 0]
    return centroids


def radius_of(latlon: Floats, groups: Ints, centroids: Floats, places: Floats | None = None) -> Floats:
    """Return the (G,) km from each centroid to the farthest location of its group, 0 for a group without any.

    Args:
        latlon: (P, 2) degrees.
        groups: (P,) group of each location.
        centroids: (G, 2) degrees.
        places: (P, 3) unit vectors of the locations, where they are known.
    """
    vectors, places = unit_vectors(centroids), unit_vectors(latlon) if places is None else places
    squares, farthest = np.empty(len(latlon)), np.zeros(len(centroids))
    for start in range(0, len(latlon), _BLOCK):
        rows = slice(start, start + _BLOCK)
        away = places[rows] - vectors[groups[rows]]
        np.einsum("ij,ij->i", away, away, out=squares[rows])
    np.maximum.at(farthest, groups, squares)
    radius_km = np.zeros(len(centroids))
    last = np.flatnonzero(squares >= (1.0 - _ROUNDING) * farthest[groups])  # one of them is the farthest
    np.maximum.at(radius_km, groups[last], distance_km(latlon[last], centroids[groups[last]]))
    return radius_km


def medoids_of(latlon: Floats, groups: Ints, n_groups: int) -> Floats:
    """Return the (G, 2) medoids of groups that all have locations; see `medoid`."""
    order = np.argsort(groups, kind="stable")
    ends = np.cumsum(np.bincount(groups, minlength=n_groups))
    return np.array([medoid(part) for part in np.split(latlon[order], ends[:-1])])


def medoid(latlon: Floats) -> Floats:
    """Return the location with the least sum of distances to all, the first in latitude and longitude among equals.

    Up to 2,048 distinct locations every one is tried. Above that, the 256 nearest to the geometric median are, which
    is where the sum of distances is least on the sphere.

    Args:
        latlon: (P, 2) degrees, P >= 1.
    """
    places, weights = np.unique(latlon, axis=0, return_counts=True)
    tried = places
    if len(places) > _EXACT:
        distance = distance_km(places, _geometric_median(places, weights))
        tried = places[np.sort(np.argsort(distance, kind="stable")[:_CANDIDATES])]
    rows = range(0, len(tried), 256)  # the whole matrix of distances may not fit into memory
    sums = [distance_matrix_km(tried[row : row + 256], places) @ weights for row in rows]
    return np.asarray(tried[int(np.argmin(np.concatenate(sums)))])


def _geometric_median(latlon: Floats, weights: Ints) -> Floats:
    """Return (2,) degrees of Weiszfeld's iteration on unit vectors, begun at their mean."""
    vectors = unit_vectors(latlon)
    at = (vectors * weights[:, None]).sum(axis=0) / weights.sum()
    for _ in range(_WEISZFELD_STEPS):
        pull = weights / np.maximum(np.linalg.norm(vectors - at, axis=1), 1e-12)
        at = (vectors * pull[:, None]).sum(axis=0) / pull.sum()
    return latlon_from_unit(at)
