"""Outlines of countries for maps and for a partition by country: Natural Earth 1:50m, in the public domain."""

from __future__ import annotations

import gzip
import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocell.files import write_text

if TYPE_CHECKING:
    import geopandas
    from shapely.geometry.base import BaseGeometry

EUROPE: tuple[float, float, float, float] = (34.3, -25.0, 71.6, 45.0)
"""South, west, north, east of Europe in degrees."""


@cache
def _collection() -> dict[str, Any]:
    """Return the GeoJSON object of `geocell/geo/data/countries.geojson.gz`."""
    packed = files("geocell.geo.data").joinpath("countries.geojson.gz").read_bytes()
    collection: dict[str, Any] = json.loads(gzip.decompress(packed))
    return collection


def country_outlines() -> geopandas.GeoDataFrame:
    """Return every country of the world once per outline, ordered by code and name.

    Returns:
        Columns `iso_a2` (alpha-2 code, "" where there is none), `name`, `continent` (GeoNames' two letters) and
        `geometry` (valid polygons, degrees, EPSG:4326, 0.001°). Each call returns a new
        frame.
    """
    import geopandas

    frame = geopandas.GeoDataFrame.from_features(_collection()["features"], crs="EPSG:4326")
    return frame[["iso_a2", "name", "continent", "geometry"]]


def write_countries(out: Path) -> Path:
    """Write the countries of the world as a layer for partitions of kind `polygons` and `semantic`.

    Args:
        out: GeoJSON file to write; an existing one is replaced.

    Returns:
        `out`, with columns iso_a2, name, continent (GeoNames' two letters) and geometry, one row per alpha-2 code.
    """
    import shapely

    frame = country_outlines()
    features = []
    for code, rows in frame[frame["iso_a2"] != ""].groupby("iso_a2", sort=True):
        first = rows.iloc[0]
        properties = {"iso_a2": str(code), "name": str(first["name"]), "continent": str(first["continent"])}
        features.append(_feature(properties, shapely.union_all(rows.geometry.to_numpy())))
    return _write_layer(out, features)


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
