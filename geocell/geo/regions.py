"""Validation of polygons from files, before GEOS processes them.

GEOS trusts its input: an empty part of a multipolygon crashes the process, and a far coordinate or a very long border
takes gigabytes when the border is cut into short pieces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from geocell.geo.geodesy import Floats
from geocell.geo.shapes import Geometries, only_polygons

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

MAX_VERTICES = 12_000_000
"""Maximum number of vertices of the regions of a partition, those that `border_points` adds included: as many as a
cells.geojson within the limits of its reader has room for."""

BORDER_STEP = 0.02
"""Degrees between the points of a border: the distance to it is then at most 0.01° (1.1 km) too long."""

_RING_DEPTH = {"LineString": 0, "Polygon": 1, "MultiPolygon": 2}
_LEAST = {"LineString": 2, "Polygon": 4, "MultiPolygon": 4}


def regions_from_geojson(geometries: Sequence[object], max_vertices: int = MAX_VERTICES) -> Geometries:
    """Return validated geometries of GeoJSON features.

    Args:
        geometries: R GeoJSON geometry objects: polygons, multipolygons, or collections with one of them.
        max_vertices: in all.

    Returns:
        (R,) valid geometries; empty parts of multipolygons are dropped.

    Raises:
        ValueError: for another type, a ring that is not closed or has fewer than 4 points, a coordinate that is not
            finite or outside ±180/±90, an empty or self-intersecting region, or too many vertices.
    """
    import shapely

    budget = _Budget(max_vertices)
    shapes = np.empty(len(geometries), dtype=object)
    for i, geometry in enumerate(geometries):
        shapes[i] = shapely.geometry.shape(_checked(geometry, f"region {i}", budget))
    require_regions(shapes, max_vertices)
    return shapes


class _Budget:
    """The number of vertices that are left."""

    def __init__(self, vertices: int) -> None:
        self.most = self.left = vertices

    def take(self, n: int) -> None:
        self.left -= n
        if self.left < 0:
            raise ValueError(f"regions must have at most {self.most:,} vertices in all, got more: simplify them.")


def _checked(geometry: object, what: str, budget: _Budget) -> dict[str, Any]:
    """Return a GeoJSON geometry without empty parts, its coordinates checked."""
    if not isinstance(geometry, Mapping):
        raise ValueError(f"{what} must be a GeoJSON geometry, got {type(geometry).__name__}.")  # noqa: TRY004
    kind = geometry.get("type")
    if kind == "GeometryCollection":  # make_valid may have returned one
        parts = geometry.get("geometries")
        if not isinstance(parts, list):
            raise ValueError(f"{what} must have a list of geometries.")
        return {"type": kind, "geometries": [_checked(part, what, budget) for part in parts]}
    if not isinstance(kind, str) or kind not in _RING_DEPTH:
        raise ValueError(f"{what} must be a Polygon or MultiPolygon, got {kind!r:.40}.")
    coordinates = _without_empty(geometry.get("coordinates"), _RING_DEPTH[kind], what)
    if not coordinates:
        raise ValueError(f"{what} must have an area, and is empty.")
    rings = [coordinates]
    for _ in range(_RING_DEPTH[kind]):
        rings = [ring for part in rings for ring in part]
    for ring in rings:
        _require_ring(ring, _LEAST[kind], what, budget)
    return {"type": kind, "coordinates": coordinates}


def _without_empty(value: object, depth: int, what: str) -> list[Any]:
    """Return nested lists without the empty ones, down to the rings; a polygon without its outer ring is empty."""
    if not isinstance(value, list):
        raise ValueError(f"{what} must have lists of coordinates, got {type(value).__name__}.")  # noqa: TRY004
    if depth == 0:
        return value
    if depth == 1:
        rings = [_without_empty(ring, 0, what) for ring in value]
        return [ring for ring in rings if ring] if rings and rings[0] else []
    return [part for item in value if (part := _without_empty(item, depth - 1, what))]


def _require_ring(ring: list[Any], least: int, what: str, budget: _Budget) -> None:
    budget.take(len(ring))
    try:
        points = np.array(ring, dtype=np.float64)
    except (OverflowError, TypeError, ValueError):
        points = np.empty(0)
    if points.ndim != 2 or points.shape[1] not in (2, 3) or len(points) < least:
        raise ValueError(f"{what} must have rings of at least {least} points (lon, lat).")
    if not np.isfinite(points).all() or (np.abs(points[:, :2]) > [180.0, 90.0]).any():
        raise ValueError(f"{what} must have finite coordinates, longitudes within ±180 and latitudes within ±90.")
    if least == 4 and (points[0, :2] != points[-1, :2]).any():
        raise ValueError(f"{what} must have closed rings: the last point is the first.")


def mended_regions(shapes: Geometries) -> Geometries:
    """Return the polygons and multipolygons of a layer, made valid and without empty parts.

    Args:
        shapes: (R,) geometries in (lon, lat) degrees.

    Raises:
        ValueError: when one is no polygon, is empty or has no area, or for what `require_regions` refuses.
    """
    import shapely

    wrong = ~np.isin(shapely.get_type_id(shapes), (3, 6))
    if wrong.any():
        raise ValueError(f"every region must be a polygon, and {int(wrong.sum())} are not.")
    parts, owner = shapely.get_parts(shapes, return_index=True)
    empty = shapely.is_empty(parts)
    mended = shapes.copy()
    for i in np.unique(owner[empty]):
        mended[i] = shapely.MultiPolygon(list(parts[(owner == i) & ~empty]))
    if (none := shapely.is_empty(mended)).any():
        raise ValueError(f"every region must be a polygon with an area, and {int(none.sum())} are empty.")
    _require_bounded(mended, MAX_VERTICES)
    mended = np.asarray(shapely.make_valid(mended), dtype=object)
    for i in np.flatnonzero(~np.isin(shapely.get_type_id(mended), (3, 6))):
        mended[i] = only_polygons(mended[i])
    if (none := shapely.is_empty(mended)).any():
        raise ValueError(f"every region must be a polygon with an area, and {int(none.sum())} have none.")
    require_regions(mended)
    return mended


def require_regions(shapes: Geometries, max_vertices: int = MAX_VERTICES) -> None:
    """Refuse regions that GEOS could not process in bounded time and memory.

    Args:
        shapes: (R,) geometries in (lon, lat) degrees.
        max_vertices: of the regions, and of their borders with points every `BORDER_STEP` degrees.

    Raises:
        ValueError: for a coordinate that is not finite or outside ±180/±90, an empty part, a region that intersects
            itself, or too many vertices.
    """
    import shapely

    _require_bounded(shapes, max_vertices)
    if shapely.is_empty(shapely.get_parts(shapes)).any():
        raise ValueError("every part of a region must have an area, and one is empty.")
    invalid = np.flatnonzero(~shapely.is_valid(shapes))
    if len(invalid):
        reason = shapely.is_valid_reason(shapes[invalid[0]])
        raise ValueError(f"regions must be valid polygons, and region {invalid[0]} is not ({reason}).")


def _require_bounded(shapes: Geometries, max_vertices: int) -> None:
    import shapely

    vertices = int(shapely.get_num_coordinates(shapes).sum())
    if vertices > max_vertices:
        raise ValueError(
            f"regions must have at most {max_vertices:,} vertices in all, got {vertices:,}: simplify them."
        )
    xy = shapely.get_coordinates(shapes)
    if not np.isfinite(xy).all() or (np.abs(xy) > [180.0, 90.0]).any():
        finite = xy[np.isfinite(xy).all(axis=1)]
        low, high = (finite.min(axis=0), finite.max(axis=0)) if len(finite) else (np.full(2, np.nan),) * 2
        raise ValueError(
            "regions must be in degrees or name their coordinate system, got x from "
            f"{low[0]:g} to {high[0]:g} and y from {low[1]:g} to {high[1]:g}"
            f"{'' if len(finite) == len(xy) else ' and coordinates that are not finite'}."
        )
    points = vertices + float(shapely.length(shapes).sum()) / BORDER_STEP
    if points > max_vertices:
        raise ValueError(
            f"the borders of regions must come to at most {max_vertices:,} points {BORDER_STEP:g}° apart, got about "
            f"{points:,.0f}: simplify them."
        )


def border_points(shapes: Geometries) -> tuple[Floats, np.ndarray[Any, np.dtype[np.int64]]]:
    """Return (n, 2) degrees (lon, lat) along the borders of regions, at most `BORDER_STEP` apart, and their regions.

    Args:
        shapes: (R,) geometries that passed `require_regions`.
    """
    import shapely

    xy, region = shapely.get_coordinates(shapely.segmentize(shapes, BORDER_STEP), return_index=True)
    return xy, region


def geometry_to_geojson(shape: BaseGeometry) -> dict[str, Any]:
    """Return the GeoJSON geometry object of a shape."""
    import shapely.geometry

    value: dict[str, Any] = shapely.geometry.mapping(shape)
    return value
