"""Outlines of countries for maps and for a partition by country: Natural Earth 1:50m, in the public domain."""

from __future__ import annotations

import gzip
import json
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.files import write_text
from geocell.geo.geodesy import Floats, as_latlon, swap_latlon_to_xy, unit_vectors

if TYPE_CHECKING:
    import geopandas
    import shapely
    from scipy.spatial import cKDTree
    from shapely.geometry.base import BaseGeometry

    from geocell.geo.shapes import Geometries

EUROPE: tuple[float, float, float, float] = (34.3, -25.0, 71.6, 45.0)
"""South, west, north, east of Europe in degrees."""


def _text() -> bytes:
    """Return the GeoJSON of `geocell/geo/data/countries.geojson.gz`."""
    return gzip.decompress(files("geocell.geo.data").joinpath("countries.geojson.gz").read_bytes())


@cache
def _properties() -> list[dict[str, str]]:
    """Return what is known of every outline besides its shape, without parsing the coordinates."""
    return [json.loads(found) for found in re.findall(rb'"properties":({[^{}]*})', _text())]


@cache
def country_shapes() -> Geometries:
    """Return the (O,) outlines of `country_outlines` without their names, in the order of the file; not to be changed.

    Without geopandas: scores of prediction files know countries where it is not installed.
    """
    import shapely

    shapes = shapely.get_parts(shapely.from_geojson(_text()))
    shapes.flags.writeable = False
    return np.asarray(shapes)


@cache
def valid_country_shapes() -> Geometries:
    """Return the (O,) outlines of `country_shapes`, those that touch themselves mended; not to be changed."""
    import shapely

    shapes = np.asarray(shapely.make_valid(country_shapes()))
    shapes.flags.writeable = False
    return shapes


def country_outlines() -> geopandas.GeoDataFrame:
    """Return every country of the world once per outline, ordered by code and name.

    Returns:
        Columns `iso_a2` (alpha-2 code, "" where there is none), `name`, `continent` (GeoNames' two letters) and
        `geometry` (valid polygons, degrees, EPSG:4326, 0.001°). Each call returns a new
        frame.
    """
    import geopandas

    frame = geopandas.GeoDataFrame(_properties(), geometry=country_shapes().copy(), crs="EPSG:4326")
    return frame[["iso_a2", "name", "continent", "geometry"]]


def countries_of(latlon: ArrayLike) -> NDArray[np.str_]:
    """Return the alpha-2 code of the country of every point; offshore, that of the nearest vertex of an outline.

    Args:
        latlon: (P, 2) degrees.
    """
    points = as_latlon(latlon)
    holder, codes = outlines_around(points)
    offshore = np.flatnonzero(holder == len(codes))
    if len(offshore):
        vertices, owner = _outline_vertices()
        holder[offshore] = owner[vertices.query(unit_vectors(points[offshore]))[1]]
    return np.asarray(codes[holder])


def outlines_around(points: Floats) -> tuple[NDArray[np.int64], NDArray[np.str_]]:
    """Return which outline each of (P, 2) degrees lies in, the number of outlines for none, and their (O,) codes."""
    import shapely

    tree, codes = _outline_tree()
    holder = np.full(len(points), len(codes), dtype=np.int64)
    places = np.asarray(shapely.points(swap_latlon_to_xy(points)))
    rows, shapes = tree.query(places)  # by boxes: the query would prepare points, and outlines are what pays
    inside = shapely.intersects(tree.geometries[shapes], places[rows])
    rows, shapes = rows[inside], shapes[inside]
    np.minimum.at(holder, rows, shapes)  # of two outlines that share a border point, the first
    return holder, codes


def outline_boxes(code: str) -> Floats:
    """Return (K, 4) west, south, east, north in degrees of the polygons of a country; K is 0 for an unknown code."""
    import shapely

    tree, codes = _outline_tree()
    return np.asarray(shapely.bounds(shapely.get_parts(tree.geometries[codes == code]))).reshape(-1, 4)


@cache
def _outline_tree() -> tuple[shapely.STRtree, NDArray[np.str_]]:
    """Return the outlines of countries that have a code as a tree, and their codes."""
    import shapely

    codes = np.array([properties["iso_a2"] for properties in _properties()])
    shapes = country_shapes()[codes != ""]
    shapely.prepare(shapes)
    return shapely.STRtree(shapes), codes[codes != ""]


@cache
def _outline_vertices() -> tuple[cKDTree, NDArray[np.int64]]:
    """Return a tree of the unit vectors of all vertices of those outlines, and the outline that each is of."""
    import shapely
    from scipy.spatial import cKDTree

    xy, owner = shapely.get_coordinates(_outline_tree()[0].geometries, return_index=True)
    return cKDTree(unit_vectors(xy[:, ::-1])), np.asarray(owner, dtype=np.int64)


def country_layer() -> geopandas.GeoDataFrame:
    """Return the countries of the world as a layer for partitions of kind `polygons` and `semantic`.

    Returns:
        Columns `iso_a2`, `name`, `continent` (GeoNames' two letters) and `geometry`, one row per alpha-2 code, by code.
    """
    import geopandas
    import shapely

    frame = country_outlines()
    shapes, rows = [], []
    for code, parts in frame[frame["iso_a2"] != ""].groupby("iso_a2", sort=True):
        first = parts.iloc[0]
        shapes.append(shapely.union_all(parts.geometry.to_numpy()))
        rows.append({"iso_a2": str(code), "name": str(first["name"]), "continent": str(first["continent"])})
    return geopandas.GeoDataFrame(rows, geometry=shapes, crs="EPSG:4326")


def write_countries(out: Path) -> Path:
    """Write the countries of the world as a layer for partitions of kind `polygons` and `semantic`.

    Args:
        out: GeoJSON file to write; an existing one is replaced.

    Returns:
        `out`, with columns iso_a2, name, continent (GeoNames' two letters) and geometry, one row per alpha-2 code.
    """
    layer = country_layer()
    rows = layer.drop(columns="geometry").to_dict("records")
    return _write_layer(out, [_feature(row, shape) for row, shape in zip(rows, layer.geometry, strict=True)])


def write_nuts0(out: Path, bbox: tuple[float, float, float, float] = EUROPE) -> Path:
    """Write the countries of Europe in the shape of a NUTS boundary file.

    The boundaries of Eurostat (GISCO) may not be redistributed; these have the same columns. Codes are ISO
    alpha-2, so Greece is GR and the United Kingdom GB, where NUTS has EL and UK.

    Args:
        out: GeoJSON file to write; an existing one is replaced.
        bbox: south, west, north, east in degrees; countries are clipped to it.

    Returns:
        `out`, a GeoJSON file with columns NUTS_ID, LEVL_CODE = 0, NAME_LATN and geometry, one row per country, by code.

    Raises:
        ValueError: for a box that is empty or holds no European country.
    """
    import shapely

    south, west, north, east = bbox
    if not (-90 <= south < north <= 90 and -180 <= west < east <= 180):
        raise ValueError(f"bbox must be degrees (south, west, north, east), got {bbox}: latitude comes first.")
    frame = country_outlines()
    europe = frame[(frame["continent"] == "EU") & (frame["iso_a2"] != "")]
    box = shapely.box(west, south, east, north)
    features = []
    for code, rows in europe.groupby("iso_a2", sort=True):
        clipped = shapely.union_all(rows.geometry.to_numpy()).intersection(box)
        polygons = [part for part in shapely.get_parts(clipped) if part.geom_type == "Polygon" and not part.is_empty]
        if not polygons:
            continue
        properties = {"NUTS_ID": str(code), "LEVL_CODE": 0, "NAME_LATN": str(rows["name"].iloc[0])}
        features.append(_feature(properties, shapely.MultiPolygon(polygons)))
    if not features:
        raise ValueError(f"bbox must hold a part of Europe, got {bbox}: try {EUROPE}.")
    return _write_layer(out, features)


def _feature(properties: dict[str, Any], geometry: BaseGeometry) -> dict[str, Any]:
    import shapely.geometry

    return {"type": "Feature", "properties": properties, "geometry": shapely.geometry.mapping(geometry)}


def _write_layer(out: Path, features: list[dict[str, Any]]) -> Path:
    collection = {"type": "FeatureCollection", "features": features}
    write_text(out, json.dumps(collection, ensure_ascii=False, separators=(",", ":")) + "\n")
    return out
