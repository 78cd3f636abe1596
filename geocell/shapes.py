"""Shapes on the sphere as polygons in degrees, as maps and GeoJSON want them: x = longitude, cut at ±180°.

A straight line in such a polygon is straight in degrees, so great circles become many short ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.geodesy import EARTH_RADIUS_KM, Floats, latlon_from_unit, unit_vectors

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

Geometries = NDArray[np.object_]

STRAY_KM = 0.1
"""How far a straight line in degrees may lie from the great circle that it stands for."""

GRID = 1e-9
"""Degrees (0.1 mm) to which corners are rounded, so that cells share them exactly."""

_POLE = 90.0 - GRID
_NEIGHBOURS = 24  # sites that cut a Voronoi cell first; nearly all have fewer sides


def great_circle_polygons(rings: Sequence[ArrayLike]) -> Geometries:
    """Return the polygons inside rings of great circles.

    Args:
        rings: R arrays (n, 2) of degrees, counter-clockwise as seen from above, without a repeated first corner. Each
            encloses less than a hemisphere, with or without a pole or the antimeridian.

    Returns:
        (R,) polygons and multipolygons in (lon, lat) degrees.
    """
    import shapely

    latlon, ring = _dense(rings)
    lon_step = np.diff(latlon[:, 1], append=0.0)
    ends = np.flatnonzero(np.diff(ring, append=len(rings)))
    starts = np.concatenate(([0], ends[:-1] + 1))
    lon_step[ends] = latlon[starts, 1] - latlon[ends, 1]
    special = np.zeros(len(rings), dtype=np.bool_)
    special[ring[(np.abs(lon_step) >= 180.0 - 1e-6) | (np.abs(latlon[:, 0]) > _POLE)]] = True
    polygons = np.empty(len(rings), dtype=object)
    plain = ~special[ring]
    if plain.any():
        _, index = np.unique(ring[plain], return_inverse=True)
        polygons[~special] = shapely.polygons(shapely.linearrings(latlon[plain][:, ::-1], indices=index))
    for i in np.flatnonzero(special):
        polygons[i] = _cut(_unrolled(latlon[starts[i] : ends[i] + 1]))
    return polygons


def box_polygons(boxes: ArrayLike) -> Geometries:
    """Return the (R,) polygons of (R, 4) boxes: south, west, north, east in degrees; east may be above 180."""
    import shapely

    south, west, north, east = np.asarray(boxes, dtype=np.float64).reshape(-1, 4).T
    polygons = np.asarray(shapely.box(west, south, east, north), dtype=object)
    for i in np.flatnonzero(east > 180.0):
        polygons[i] = _cut(polygons[i])
    return polygons


def voronoi_polygons(sites: ArrayLike, within: BaseGeometry | None = None) -> Geometries:
    """Return the part of the sphere that is nearer to each site than to any other.

    Octants of the sphere are cut by the half-spaces ``(u_i - u_j) · x >= 0``, those of near sites first. That needs no
    general position: one site, two, or many on one circle are no exceptions.

    Args:
        sites: (R, 2) degrees, distinct.
        within: polygon in (lon, lat) degrees that the cells are clipped to.

    Returns:
        (R,) polygons and multipolygons in (lon, lat) degrees; they tile the sphere, or the polygon they are within.
    """
    import shapely
    from scipy.spatial import cKDTree

    vectors = unit_vectors(np.asarray(sites, dtype=np.float64).reshape(-1, 2))
    near = cKDTree(vectors).query(vectors, k=list(range(1, min(_NEIGHBOURS, len(vectors)) + 1)))[1]
    signs = np.array([(a, b, c) for a in (1, -1) for b in (1, -1) for c in (1, -1)], dtype=np.float64)
    octants = np.array([np.diag(s)[:: int(s.prod())] for s in signs])  # counter-clockwise
    normals = vectors[:, None] - vectors[near]
    # An octant all of whose corners one neighbour takes is lost to it.
    lost = np.zeros((len(vectors), len(octants)), dtype=np.bool_)
    for neighbour in range(1, normals.shape[1]):
        lost |= ((octants @ normals[:, neighbour].T).max(axis=1) < 0).T
    if within is not None:
        lost[:, ~_octants_in(signs, within.bounds)] = True
    rings: list[Floats] = []
    owner: list[int] = []
    for i, octant in np.argwhere(~lost).tolist():
        ring = _clipped(octants[octant], normals[i])
        while len(ring):  # until no site farther away is nearer to a corner
            rivals = np.unique((ring @ vectors.T).argmax(axis=1))
            smaller = _clipped(ring, vectors[i] - vectors[rivals])
            if len(smaller) == len(ring) and (smaller == ring).all():
                break
            ring = smaller
        if len(ring):
            rings.append(latlon_from_unit(ring))
            owner.append(i)
    pieces, of = great_circle_polygons(rings), np.array(owner)
    if within is not None:
        pieces = shapely.intersection(pieces, within)
        pieces, of = pieces[~shapely.is_empty(pieces)], of[~shapely.is_empty(pieces)]
    alone = np.bincount(of, minlength=len(vectors))[of] == 1
    polygons = np.full(len(vectors), shapely.Polygon(), dtype=object)
    polygons[of[alone]] = pieces[alone]
    for i in np.unique(of[~alone]):
        polygons[i] = shapely.union_all(pieces[of == i], grid_size=GRID)
    return np.array([only_polygons(polygon) for polygon in polygons], dtype=object)


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
    """Return a valid polygon or multipolygon without the points and lines that cutting leaves behind."""
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


def _dense(rings: Sequence[ArrayLike]) -> tuple[Floats, NDArray[np.int64]]:
    """Return (n, 2) rounded degrees along the rings, dense enough for straight lines between them, and their rings."""
    corners = [np.asarray(ring, dtype=np.float64) for ring in rings]
    ring = np.repeat(np.arange(len(corners)), [len(part) for part in corners])
    here = np.round(np.concatenate([np.empty((0, 2)), *corners]), 9)
    there = np.concatenate([np.empty((0, 2)), *(np.roll(part, -1, axis=0) for part in corners)])
    there = np.round(there, 9)
    # From the lower corner to the higher one, whichever way the ring goes: neighbours get the same points.
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
    """Return into how many straight lines the great circles from a to b are cut.

    An arc of d km at latitude φ strays by ``d² tan φ / 8R`` from its chord in degrees. Meridians do not, at any length.
    """
    middle = a + b
    sine = np.abs(np.stack((a, b, middle / np.maximum(np.linalg.norm(middle, axis=1), 1e-12)[:, None]))[..., 2]).max(
        axis=0
    )
    sine = np.minimum(sine, np.sin(np.radians(89.99)))
    step_km = np.sqrt(8.0 * EARTH_RADIUS_KM * STRAY_KM * np.sqrt(1.0 - sine**2) / np.maximum(sine, 1e-3))
    along_meridian = np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) < 1e-12
    step_km[along_meridian & (a[:, 0] * b[:, 0] + a[:, 1] * b[:, 1] > -1e-12)] = np.inf  # but for one over a pole
    longest = np.radians(10.0) * EARTH_RADIUS_KM  # the formula is for short arcs
    step_km[np.isfinite(step_km)] = np.minimum(step_km[np.isfinite(step_km)], longest)
    return np.asarray(np.maximum(1, np.ceil(angle * EARTH_RADIUS_KM / step_km)), dtype=np.int64)


def _unrolled(latlon: Floats) -> BaseGeometry:
    """Return the polygon of a dense ring with longitudes that run on beyond ±180°, closed over a pole inside it."""
    import shapely

    first = int(np.argmax(np.abs(latlon[:, 0]) <= _POLE))  # the longitude of a pole would be no place to begin
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
    """Return a polygon with longitudes in [-180, 180], in parts where it was not."""
    import shapely
    from shapely.affinity import translate

    west, _, east, _ = shape.bounds
    parts: list[Any] = []
    for turn in range(int(np.floor((west + 180.0) / 360.0)), int(np.ceil((east + 180.0) / 360.0))):
        window = shapely.box(360.0 * turn - 180.0, -90.0, 360.0 * turn + 180.0, 90.0)
        part = only_polygons(shape.intersection(window))
        if part.area > GRID * shape.area:
            parts.append(translate(part, -360.0 * turn))
    return only_polygons(shapely.union_all(parts, grid_size=GRID))


def _octants_in(signs: Floats, bounds: tuple[float, float, float, float]) -> NDArray[np.bool_]:
    """Return which octants, by the (8, 3) signs of their vectors, may lie in west, south, east, north in degrees."""
    west, south, east, north = bounds
    from_west = np.choose(
        (signs[:, 1] < 0) + 0, [np.where(signs[:, 0] > 0, 0, 90), np.where(signs[:, 0] > 0, -90, -180)]
    )
    from_south = np.where(signs[:, 2] > 0, 0, -90)
    lat = (from_south <= north) & (from_south + 90 >= south)
    return np.asarray(lat & (from_west <= east) & (from_west + 90 >= west))


def _clipped(ring: Floats, normals: Floats) -> Floats:
    """Return the part of a convex spherical polygon that is in all half-spaces, the deepest cut first.

    Args:
        ring: (n, 3) unit vectors, counter-clockwise.
        normals: (m, 3); the half-spaces are ``normal · x >= 0``.

    Returns:
        (n', 3) unit vectors, none when nothing is left.
    """
    scale = np.linalg.norm(normals, axis=1)
    normals = normals[scale > 0] / scale[scale > 0, None]
    while len(ring) and len(normals):
        depth = normals @ ring.T
        deepest = int(depth.argmin())
        if depth.flat[deepest] >= -1e-12:
            break
        side = depth[deepest // len(ring)]
        ring = _half(ring, np.where(np.abs(side) < 1e-13, 0.0, side))
    return ring


def _half(ring: Floats, side: Floats) -> Floats:
    """Return the part of a polygon on the positive side of a plane (Sutherland and Hodgman 1974)."""
    kept = []
    heights = side.tolist()
    for i, here in enumerate(heights):
        there = heights[i + 1 - len(heights)]
        if here >= 0.0:
            kept.append(ring[i])
        if here * there < 0.0:
            crossing = ring[i] * abs(there) + ring[i + 1 - len(heights)] * abs(here)
            kept.append(crossing / np.sqrt(crossing @ crossing))
    return np.array(kept) if len(kept) > 2 and max(heights) > 0.0 else np.empty((0, 3))
