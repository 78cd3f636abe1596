"""Shapes on the sphere as planar polygons in degrees, as in GeoJSON: x = longitude, cut at ±180°.

Sides of such a polygon are straight in degrees, so great circles are approximated by many short sides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.geo.geodesy import EARTH_RADIUS_KM, Floats, latlon_from_unit, unit_vectors

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

Geometries = NDArray[np.object_]

STRAY_KM = 0.1
"""Maximum distance of a side that is straight in degrees from the great circle that it approximates."""

GRID = 1e-9
"""Degrees (0.1 mm) to which corners are rounded, so that cells share them exactly."""

_POLE = 90.0 - GRID
_AT_POLE = 1e-7  # degrees


def great_circle_polygons(rings: Sequence[ArrayLike]) -> Geometries:
    """Return the polygons inside rings of great circles.

    Args:
        rings: R arrays (n, 2) of degrees, counter-clockwise as seen from above, without a repeated first corner. Each
            encloses less than a hemisphere, with or without a pole or the antimeridian.

    Returns:
        (R,) polygons and multipolygons in (lon, lat) degrees; empty where fewer than three corners are distinct.
    """
    import shapely

    latlon, ring = _dense(*_corners(rings))
    after = _after(ring)
    special = np.zeros(len(rings), dtype=np.bool_)
    special[ring[np.abs(latlon[after, 1] - latlon[:, 1]) >= 180.0 - 1e-6]] = True
    special[ring[np.abs(latlon[:, 0]) > _POLE]] = True
    polygons = np.full(len(rings), shapely.Polygon(), dtype=object)
    plain = ~special[ring]
    if plain.any():
        which, index = np.unique(ring[plain], return_inverse=True)
        polygons[which] = shapely.polygons(shapely.linearrings(latlon[plain][:, ::-1], indices=index))
    for i in np.flatnonzero(special):
        first, last = np.searchsorted(ring, [i, i + 1])
        polygons[i] = _cut(_unrolled(latlon[first:last]))
    return polygons


def box_polygons(boxes: ArrayLike) -> Geometries:
    """Return the (R,) polygons of (R, 4) boxes: south, west, north, east in degrees; east may be above 180."""
    import shapely

    south, west, north, east = np.asarray(boxes, dtype=np.float64).reshape(-1, 4).T
    polygons = np.asarray(shapely.box(west, south, east, north), dtype=object)
    for i in np.flatnonzero(east > 180.0):
        polygons[i] = _cut(polygons[i])
    return polygons


def areas_km2(polygons: Geometries) -> Floats:
    """Return the (R,) areas on the sphere of polygons in (lon, lat) degrees, whose sides are straight in degrees.

    Exact for such sides: a ring's area is ``R² |∮ sin φ dλ|``, and along a side ``sin φ`` has the mean
    ``(cos φ₁ - cos φ₂) / (φ₂ - φ₁)``.
    """
    import shapely

    parts, owner = shapely.get_parts(np.asarray(polygons, dtype=object), return_index=True)
    rings, part = shapely.get_rings(parts, return_index=True)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    radians = np.radians(xy)
    first, last = np.flatnonzero(ring[1:] == ring[:-1]), np.flatnonzero(ring[1:] == ring[:-1]) + 1
    middle, half = (radians[last, 1] + radians[first, 1]) / 2, (radians[last, 1] - radians[first, 1]) / 2
    mean_sine = np.sin(middle) * np.sinc(half / np.pi)
    along = np.bincount(ring[first], weights=(radians[last, 0] - radians[first, 0]) * mean_sine, minlength=len(rings))
    outer = np.concatenate(([True], part[1:] != part[:-1])) if len(part) else np.empty(0, dtype=np.bool_)
    signed = np.where(outer, 1.0, -1.0) * np.abs(along)
    areas = np.bincount(owner[part], weights=signed, minlength=len(polygons))
    return np.asarray(areas, dtype=np.float64) * EARTH_RADIUS_KM**2


def only_polygons(shape: BaseGeometry) -> BaseGeometry:
    """Return a valid polygon or multipolygon without the points and lines that an intersection may contain."""
    import shapely

    valid = shape if shape.is_valid else shapely.make_valid(shape)
    if valid.geom_type in ("Polygon", "MultiPolygon"):
        return valid
    parts = [part for part in _leaves(valid) if isinstance(part, shapely.Polygon) and not part.is_empty]
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def _leaves(shape: BaseGeometry) -> Iterator[BaseGeometry]:
    import shapely

    for part in shapely.get_parts(shape):
        if hasattr(part, "geoms"):
            yield from _leaves(part)
        else:
            yield part


def _corners(rings: Sequence[ArrayLike]) -> tuple[Floats, NDArray[np.int64]]:
    """Return the (n, 2) degrees of the corners of rings, to 9 decimals, and the ring of each.

    A corner a centimetre from a pole is at the pole, where its longitude means something. None comes twice in a row,
    and rings with fewer than three are left out.
    """
    parts = [np.asarray(ring, dtype=np.float64) for ring in rings]
    ring = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    latlon = np.round(np.concatenate([np.empty((0, 2)), *parts]), 9)
    latlon[np.abs(latlon[:, 0]) > 90.0 - _AT_POLE] = np.sign(latlon[np.abs(latlon[:, 0]) > 90.0 - _AT_POLE]) * [90, 0]
    places = np.stack((latlon[:, 0], np.mod(latlon[:, 1], 360.0)), axis=1)
    differs = (places != places[_after(ring)]).any(axis=1)
    latlon, ring = latlon[differs], ring[differs]
    enough = np.bincount(ring, minlength=len(parts))[ring] >= 3
    return latlon[enough], ring[enough]


def _after(ring: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the (n,) row after each row in its ring, the first after the last."""
    after = np.arange(1, len(ring) + 1)
    ends = np.flatnonzero(np.diff(ring, append=-1))
    after[ends] = np.concatenate(([0], ends[:-1] + 1))[: len(ends)]
    return after


def _dense(here: Floats, ring: NDArray[np.int64]) -> tuple[Floats, NDArray[np.int64]]:
    """Return (n, 2) rounded degrees along rings, dense enough for straight lines between, and the ring of each."""
    there = here[_after(ring)]
    # From the lower corner to the higher one, in either direction of the ring, as neighbours do.
    flip = (here[:, 0] > there[:, 0]) | ((here[:, 0] == there[:, 0]) & (here[:, 1] > there[:, 1]))
    a, b = (unit_vectors(np.where(flip[:, None], *pair)) for pair in ((there, here), (here, there)))
    angle = 2.0 * np.arctan2(np.linalg.norm(a - b, axis=1), np.linalg.norm(a + b, axis=1))
    pieces = _pieces(a, b, angle)
    row = np.repeat(np.arange(len(here)), pieces)
    step = np.arange(len(row)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    share = np.where(flip[row], pieces[row] - step, step) / pieces[row]
    weights = np.sin(np.stack((1.0 - share, share)) * angle[row])
    points = np.round(latlon_from_unit(weights[0][:, None] * a[row] + weights[1][:, None] * b[row]), 9)
    points[step == 0] = here
    return points, ring[row]


def _pieces(a: Floats, b: Floats, angle: Floats) -> NDArray[np.int64]:
    """Return the number of straight sides that approximate each great circle from a to b.

    An arc of d km at latitude φ deviates by ``d² tan φ / 8R`` from its chord in degrees; meridians are straight.
    """
    middle = a + b
    sine = np.abs(np.stack((a, b, middle / np.maximum(np.linalg.norm(middle, axis=1), 1e-12)[:, None]))[..., 2]).max(
        axis=0
    )
    sine = np.minimum(sine, np.sin(np.radians(89.99)))
    step_km = np.sqrt(8.0 * EARTH_RADIUS_KM * STRAY_KM * np.sqrt(1.0 - sine**2) / np.maximum(sine, 1e-3))
    from_axis = np.stack([np.hypot(corner[:, 0], corner[:, 1]) for corner in (a, b)])
    meridian = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) <= 1e-12 * from_axis.prod(axis=0)
    meridian &= a[:, 0] * b[:, 0] + a[:, 1] * b[:, 1] > 0.0  # else it runs over a pole
    step_km[meridian | (from_axis.min(axis=0) < 1e-12)] = np.inf
    longest = np.radians(10.0) * EARTH_RADIUS_KM  # the formula is for short arcs
    step_km[np.isfinite(step_km)] = np.minimum(step_km[np.isfinite(step_km)], longest)
    return np.asarray(np.maximum(1, np.ceil(angle * EARTH_RADIUS_KM / step_km)), dtype=np.int64)


def _unrolled(latlon: Floats) -> BaseGeometry:
    """Return the polygon of a dense ring with longitudes continued beyond ±180°, closed over a pole inside it."""
    import shapely

    first = int(np.argmax(np.abs(latlon[:, 0]) <= _POLE))  # a pole has no longitude to start from
    latlon = np.roll(latlon, -first, axis=0)
    points = list(_around_poles(latlon))
    lat = np.array([point[0] for point in points])
    steps = np.array([point[1] for point in points])
    lon = np.concatenate(([0.0], np.cumsum(steps)))
    lon = np.round(lon + latlon[0, 1], 9)
    ring = [*zip(lon[:-1].tolist(), lat.tolist(), strict=True)]
    if abs(lon[-1] - lon[0]) > 180.0:  # around a pole: north when it runs eastward, as the inside lies to the left
        pole = 90.0 if lon[-1] > lon[0] else -90.0
        ring += [(float(lon[-1]), float(lat[0])), (float(lon[-1]), pole), (float(lon[0]), pole)]
    return only_polygons(shapely.Polygon(ring))


def _around_poles(latlon: Floats) -> Iterator[tuple[float, float]]:
    """Yield latitude, and degrees of longitude to the next point; a pole counts once for each meridian it joins."""
    n = len(latlon)
    for i in range(n):
        (lat, lon), (next_lat, next_lon) = latlon[i], latlon[(i + 1) % n]
        step = float((next_lon - lon + 180.0) % 360.0 - 180.0)
        if abs(lat) > _POLE:
            pole = 90.0 if lat > 0 else -90.0
            yield pole, _turn(pole, float(latlon[i - 1][1]), float(next_lon))
            yield pole, 0.0
        elif abs(next_lat) > _POLE:
            yield float(lat), 0.0
        elif abs(step) > 180.0 - 1e-6:  # over the pole
            pole = 90.0 if lat + next_lat > 0 else -90.0
            yield float(lat), 0.0
            yield pole, _turn(pole, float(lon), float(next_lon))
            yield pole, 0.0
        else:
            yield float(lat), step


def _turn(pole: float, lon: float, next_lon: float) -> float:
    """Return the degrees of longitude from the meridian that comes to a pole to the one that leaves it.

    The inside lies to the left: to the west of a meridian northward, to the east of one southward.
    """
    return -((lon - next_lon) % 360.0) if pole > 0 else (next_lon - lon) % 360.0


def _cut(shape: BaseGeometry) -> BaseGeometry:
    """Return a polygon cut at ±180° and shifted into longitudes in [-180, 180]."""
    import shapely
    from shapely.affinity import translate

    if shape.is_empty:
        return shape
    west, _, east, _ = shape.bounds
    parts: list[Any] = []
    for turn in range(int(np.floor((west + 180.0) / 360.0)), int(np.ceil((east + 180.0) / 360.0))):
        window = shapely.box(360.0 * turn - 180.0, -90.0, 360.0 * turn + 180.0, 90.0)
        part = only_polygons(shape.intersection(window))
        if part.area > GRID * shape.area:
            parts.append(translate(part, -360.0 * turn))
    return only_polygons(shapely.union_all(parts, grid_size=GRID))
