"""Voronoi cells on the sphere as polygons, for K-Means cells and the parts of semantic ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.geo.geodesy import Floats, latlon_from_unit, unit_vectors
from geocell.geo.shapes import GRID, Geometries, great_circle_polygons, only_polygons

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

_NEIGHBOURS = 24  # sites that cut a cell first; nearly all have fewer sides


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
    # An octant whose corners are all nearer to one neighbour is outside the cell.
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
