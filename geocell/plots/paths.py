"""Geometry of pictures: great circles as lines, cuts at the antimeridian, the box around points. All of it is pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from geocell.geo.geodesy import EARTH_RADIUS_KM, Floats, distance_km, latlon_from_unit, unit_vectors
from geocell.geo.maps import WORLD, Box, extent

__all__ = ["WORLD", "Box", "extent", "great_circle", "require_box", "split_at_antimeridian"]


def great_circle(a: ArrayLike, b: ArrayLike, step_km: float = 50.0) -> Floats:
    """Return points along the shortest path from `a` to `b`, both included.

    Args:
        a: (2,) degrees.
        b: (2,) degrees; between antipodes one of the many shortest paths is taken.
        step_km: largest distance between neighbouring points.

    Returns:
        (n, 2) degrees, n >= 2.
    """
    u, v = unit_vectors(a), unit_vectors(b)
    angle = float(distance_km(a, b)) / EARTH_RADIUS_KM
    tangent = v - (v @ u) * u
    if np.linalg.norm(tangent) < 1e-12:  # the same point, or antipodes: every direction is as good
        tangent = np.cross(u, np.eye(3)[int(np.argmin(np.abs(u)))])
    tangent = tangent / np.linalg.norm(tangent)
    n = max(2, int(np.ceil(angle * EARTH_RADIUS_KM / step_km)) + 1)
    theta = np.linspace(0.0, angle, n)[:, None]
    points = latlon_from_unit(np.cos(theta) * u + np.sin(theta) * tangent)
    points[0], points[-1] = a, b
    return points


def split_at_antimeridian(path: ArrayLike) -> list[Floats]:
    """Cut a path where it crosses ±180°, so that no piece runs across the whole map.

    Args:
        path: (n, 2) degrees; two neighbours whose longitudes differ by more than 180° lie on two sides of ±180°.

    Returns:
        Pieces (m, 2), in order; where the path was cut, one piece ends at ±180° and the next begins at ∓180°, at the
        latitude interpolated between the two neighbours.
    """
    points = np.asarray(path, dtype=np.float64)
    pieces, start = [], [points[:0]]
    begin = 0
    for i in np.flatnonzero(np.abs(np.diff(points[:, 1])) > 180.0):
        (lat, lon), (next_lat, next_lon) = points[i], points[i + 1]
        side = 180.0 if lon > 0 else -180.0
        span = (next_lon + 2 * side) - lon
        cut = lat + (next_lat - lat) * ((side - lon) / span if span else 0.0)
        pieces.append(np.vstack([*start, points[begin : i + 1], [[cut, side]]]))
        start, begin = [np.array([[cut, -side]])], int(i) + 1
    return [*pieces, np.vstack([*start, points[begin:]])]


def require_box(box: Box) -> Box:
    """Return a box that is south, west, north, east in degrees; east is above 180 where it goes on past ±180°.

    Raises:
        ValueError: when it is not.
    """
    south, west, north, east = box
    if not (-90 <= south < north <= 90 and -180 <= west <= 180 and west < east <= west + 360):
        raise ValueError(
            f"bbox must be degrees (south, west, north, east), got {box}: latitude comes first, and a box over ±180° "
            "has an east above 180."
        )
    return box
