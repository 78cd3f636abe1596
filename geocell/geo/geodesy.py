"""Geometry on the sphere: conversion between degrees and unit vectors, distances, means.

Public coordinates are ``(lat, lon)`` in degrees, float64, shape (P, 2). Distances are in kilometres on a sphere of
the mean Earth radius. Everything here is pure.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

EARTH_RADIUS_KM = 6371.0088
"""Mean Earth radius R1 of the IUGG (WGS84), used throughout this package."""

_MIN_MEAN_LENGTH = 1e-9
"""Below this length the mean of unit vectors has no direction: 6 mm on the ground seen from the Earth's centre."""

_BLOCK = 1 << 15  # points at a time: what is computed on the way stays in the cache of a core

Floats = NDArray[np.float64]


def as_latlon(latlon: ArrayLike, what: str = "latlon") -> Floats:
    """Return coordinates as a validated float64 array.

    Args:
        latlon: (P, 2) or (2,) degrees, latitude first.
        what: name of the array in error messages.

    Returns:
        (P, 2) float64, C-contiguous.

    Raises:
        ValueError: for a wrong shape, NaN or infinity, or values outside [-90, 90] x [-180, 180].
    """
    array = np.asarray(latlon, dtype=np.float64)
    if array.shape == (2,):
        array = array[None]
    if array.ndim != 2 or array.shape[1] != 2:
        raise ValueError(f"{what} must be degrees (lat, lon) of shape (P, 2), got shape {array.shape}.")
    if len(array) and _within(array[:, 0], 90.0) and _within(array[:, 1], 180.0):
        return np.ascontiguousarray(array)
    finite = np.isfinite(array).all(axis=1)
    if not finite.all():
        row = int(np.flatnonzero(~finite)[0])
        raise ValueError(
            f"{what} must be finite degrees (lat, lon), got {array[row].tolist()} in row {row} "
            f"({int((~finite).sum())} such rows): remove or repair them."
        )
    wrong = (np.abs(array[:, 0]) > 90) | (np.abs(array[:, 1]) > 180)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        swapped = bool((np.abs(array[:, 1]) <= 90).all() and (np.abs(array[:, 0]) <= 180).all())
        hint = (
            "the columns look swapped: latitude comes first"
            if swapped
            else "latitude lies in [-90, 90] and longitude in [-180, 180]"
        )
        raise ValueError(
            f"{what} must be degrees (lat, lon), got {array[row].tolist()} in row {row} "
            f"({int(wrong.sum())} such rows): {hint}."
        )
    return np.ascontiguousarray(array)


def _within(values: Floats, limit: float) -> bool:
    """Return whether all of (P,) values, P >= 1, are numbers in [-limit, limit]; one that is NaN is in no range."""
    return bool(values.min() >= -limit and values.max() <= limit)


def swap_latlon_to_xy(latlon: ArrayLike) -> Floats:
    """Return ``(lon, lat)`` for planar geometry libraries, and ``(lat, lon)`` again when applied twice.

    >>> swap_latlon_to_xy([[48.1, 11.5]]).tolist()
    [[11.5, 48.1]]
    """
    return np.ascontiguousarray(np.asarray(latlon, dtype=np.float64)[..., ::-1])


def unit_vectors(latlon: ArrayLike) -> Floats:
    """Return unit vectors of coordinates.

    Args:
        latlon: (..., 2) degrees.

    Returns:
        (..., 3) float64 vectors of length 1: x towards (0, 0), y towards (0, 90), z towards the north pole.
    """
    degrees = np.asarray(latlon, dtype=np.float64)
    vectors = np.empty((*degrees.shape[:-1], 3))
    rows, out = degrees.reshape(-1, 2), vectors.reshape(-1, 3)
    for start in range(0, len(rows), _BLOCK):
        radians = np.radians(rows[start : start + _BLOCK])
        lat, lon, part = radians[:, 0], radians[:, 1], out[start : start + _BLOCK]
        cos_lat = np.cos(lat)
        np.multiply(cos_lat, np.cos(lon), out=part[:, 0])
        np.multiply(cos_lat, np.sin(lon), out=part[:, 1])
        np.sin(lat, out=part[:, 2])
    return vectors


def latlon_from_unit(vectors: ArrayLike) -> Floats:
    """Return degrees (lat, lon) of vectors of any positive length; the inverse of `unit_vectors`.

    Longitudes lie in [-180, 180]. That of a pole is the one that `unit_vectors` was given, since the cosine of 90° is
    not quite 0 in float64; that of a vector (0, 0, z) is 0.
    """
    array = np.asarray(vectors, dtype=np.float64)
    x, y, z = array[..., 0], array[..., 1], array[..., 2]
    lat = np.arctan2(z, np.hypot(x, y))
    return np.stack((np.degrees(lat), np.degrees(np.arctan2(y, x))), axis=-1)


def unit_distance_km(u: ArrayLike, v: ArrayLike) -> Floats:
    """Return great-circle distances between unit vectors, with broadcasting.

    The half-angle form ``2 R atan2(|u - v|, |u + v|)`` is accurate to centimetres from one metre to antipodes,
    where ``arccos`` of the dot product is blind below two kilometres in float32 (Kahan, "How Futile are Mindless
    Assessments of Roundoff in Floating-Point Computation?", section 12).

    Args:
        u: (..., 3) unit vectors.
        v: (..., 3) unit vectors.

    Returns:
        (...) kilometres.
    """
    a, b = np.asarray(u), np.asarray(v)
    difference = np.linalg.norm(a - b, axis=-1)
    total = np.linalg.norm(a + b, axis=-1)
    return np.asarray(2.0 * EARTH_RADIUS_KM * np.arctan2(difference, total))


def distance_km(a: ArrayLike, b: ArrayLike) -> Floats:
    """Return great-circle distances between coordinates, with broadcasting.

    Args:
        a: (..., 2) degrees.
        b: (..., 2) degrees.

    Returns:
        (...) kilometres.

    >>> round(float(distance_km([52.5200, 13.4050], [48.8566, 2.3522])), 1)
    877.5
    """
    return unit_distance_km(unit_vectors(a), unit_vectors(b))


def distance_matrix_km(a: ArrayLike, b: ArrayLike) -> Floats:
    """Return all distances between two sets of coordinates by one matrix product.

    Args:
        a: (P, 2) degrees.
        b: (C, 2) degrees.

    Returns:
        (P, C) kilometres. The product rounds at 1e-16, which is up to 20 cm for points closer than that and
        below a centimetre from one metre on; `distance_km` has no such floor.
    """
    dots = np.clip(unit_vectors(a) @ unit_vectors(b).T, -1.0, 1.0)
    return np.asarray(2.0 * EARTH_RADIUS_KM * np.arctan2(np.sqrt(1.0 - dots), np.sqrt(1.0 + dots)))


def chord_from_km(km: float) -> float:
    """Return the length of the straight chord between unit vectors that are `km` apart on the ground."""
    return float(2.0 * np.sin(min(km / EARTH_RADIUS_KM, np.pi) / 2.0))


def circle(latlon: ArrayLike, radius_km: float, n: int = 90) -> Floats:
    """Return points on a circle around a centre.

    Args:
        latlon: (2,) degrees, the middle.
        radius_km: their distance from it.
        n: how many.

    Returns:
        (n, 2) degrees, evenly spaced, clockwise from the north.
    """
    bearing = np.arange(n) * (2.0 * np.pi / n)
    return moved(as_latlon(latlon), radius_km * np.stack((np.sin(bearing), np.cos(bearing)), axis=-1))


def tangent_offsets_km(centre: ArrayLike, point: ArrayLike) -> Floats:
    """Return the offsets of points from a centre on the tangent plane, east and north of it.

    The azimuthal equidistant projection (Snyder 1987, "Map Projections: A Working Manual", section 25): distance and
    bearing from the centre are true. At a pole, east and north are those of the centre's longitude. The antipode lies
    in every direction, and one of them is returned.

    Args:
        centre: (..., 2) degrees.
        point: (..., 2) degrees.

    Returns:
        (..., 2) kilometres, as long as the great-circle distance.
    """
    u, v = unit_vectors(centre), unit_vectors(point)
    plane = np.stack([((v - u) * axis).sum(axis=-1) for axis in _east_and_north(centre)], axis=-1)
    length = np.linalg.norm(plane, axis=-1, keepdims=True)
    bearing = np.divide(plane, length, out=np.broadcast_to([0.0, 1.0], plane.shape).copy(), where=length > 0)
    return np.asarray(unit_distance_km(u, v)[..., None] * bearing)


def moved(centre: ArrayLike, offsets_km: ArrayLike) -> Floats:
    """Return the points at offsets from a centre; the inverse of `tangent_offsets_km`.

    Args:
        centre: (..., 2) degrees.
        offsets_km: (..., 2) kilometres east and north.

    Returns:
        (..., 2) degrees.
    """
    radians = np.asarray(offsets_km, dtype=np.float64) / EARTH_RADIUS_KM
    angle = np.linalg.norm(radians, axis=-1, keepdims=True)
    east, north = _east_and_north(centre)
    along = radians[..., :1] * east + radians[..., 1:] * north
    return latlon_from_unit(np.cos(angle) * unit_vectors(centre) + np.sinc(angle / np.pi) * along)


def _east_and_north(latlon: ArrayLike) -> tuple[Floats, Floats]:
    """Return the (..., 3) unit vectors that point east and north at (..., 2) degrees."""
    radians = np.radians(np.asarray(latlon, dtype=np.float64))
    lat, lon = radians[..., 0], radians[..., 1]
    east = np.stack((-np.sin(lon), np.cos(lon), np.zeros_like(lon)), axis=-1)
    return east, np.stack((-np.sin(lat) * np.cos(lon), -np.sin(lat) * np.sin(lon), np.cos(lat)), axis=-1)


def spherical_mean(latlon: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Return the direction of the mean unit vector of coordinates.

    Args:
        latlon: (P, 2) degrees, P >= 1.
        weights: (P,) non-negative weights, equal when omitted.

    Returns:
        (2,) degrees.

    Raises:
        ValueError: when there are no points, or the mean has no direction (antipodal points, say).
    """
    means, lengths = grouped_spherical_means(latlon, np.zeros(len(np.atleast_2d(latlon)), dtype=np.int64), 1, weights)
    if not lengths[0] > _MIN_MEAN_LENGTH:
        raise ValueError(
            "the spherical mean needs points on one side of the earth, got none or points that cancel out: "
            "use a medoid instead."
        )
    return np.asarray(means[0])


def grouped_spherical_means(
    latlon: ArrayLike, groups: NDArray[np.int64], n_groups: int, weights: ArrayLike | None = None
) -> tuple[Floats, Floats]:
    """Return the spherical mean of every group of coordinates.

    Args:
        latlon: (P, 2) degrees.
        groups: (P,) group of every point, in 0 … n_groups-1.
        n_groups: number of groups.
        weights: (P,) non-negative weights, equal when omitted.

    Returns:
        (n_groups, 2) degrees and (n_groups,) lengths of the mean vector: 1 for coinciding points, 0 where the mean
        has no direction (its coordinates are then meaningless).
    """
    return grouped_mean_directions(unit_vectors(np.atleast_2d(latlon)), groups, n_groups, weights)


def grouped_mean_directions(
    vectors: Floats, groups: NDArray[np.int64], n_groups: int, weights: ArrayLike | None = None
) -> tuple[Floats, Floats]:
    """Return the `grouped_spherical_means` of (P, 3) unit vectors, in degrees."""
    w = np.ones(len(vectors)) if weights is None else np.asarray(weights, dtype=np.float64)
    sums = np.stack([np.bincount(groups, weights=vectors[:, i] * w, minlength=n_groups) for i in range(3)], axis=1)
    total = np.bincount(groups, weights=w, minlength=n_groups)
    lengths = np.linalg.norm(sums, axis=1) / np.where(total > 0, total, 1.0)
    return latlon_from_unit(sums), lengths


def grouped_coordinates(latlon: ArrayLike, groups: NDArray[np.int64], n_groups: int) -> Floats:
    """Return one coordinate per group: the common one where its points agree, to the bit, else their spherical mean.

    Args:
        latlon: (P, 2) degrees.
        groups: (P,) group of every point, in 0 … n_groups-1, every group having a point.
        n_groups: number of groups.

    Returns:
        (n_groups, 2) degrees.
    """
    points = np.asarray(latlon, dtype=np.float64)
    if n_groups == len(points):  # one each
        alone = np.empty_like(points)
        alone[groups] = points
        return alone
    means, _ = grouped_spherical_means(points, groups, n_groups)
    first = np.full(n_groups, len(points))
    np.minimum.at(first, groups, np.arange(len(points)))
    deviates = (points != points[first][groups]).any(axis=1)
    agree = np.bincount(groups, weights=deviates, minlength=n_groups) == 0
    return np.where(agree[:, None], points[first], means)
