"""A map of cells as one HTML file that needs no network: geometry as whole numbers, drawn by a small script."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geocell.files import printable, write_text
from geocell.geo.gazetteer import place_names
from geocell.geo.geodesy import circle, distance_km, unit_vectors
from geocell.geo.maps import WORLD, Box, boxes_within, is_world
from geocell.geo.shapes import great_circle_polygons
from geocell.partitioners.cell_polygons import class_areas_km2, class_polygons
from geocell.plots.style import COLOURS, count_range

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from geocell.geo.geodesy import Floats
    from geocell.geo.shapes import Geometries
    from geocell.partitioners.base import Partition

OUTLINES = "Outlines: Natural Earth (public domain)"
GEONAMES = "Place names: GeoNames (CC BY 4.0)"
MERCATOR = 84.0  # degrees of latitude that a page shows
UNITS = 1e4  # whole numbers per degree: 11 m
_DISC_KM = (0.2, 60.0)
_FINEST, _COARSEST = 2.0 / UNITS, 0.02  # degrees that an outline may lose
_TOLERANCES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2)  # the same, of many cells


def write_page(out: Path, partition: Partition, title: str, box: Box, caption: str = "") -> Path:
    """Write the map as HTML; see `geocell.plots.draw_cells`.

    Outlines are simplified by up to a hundredth of a typical cell.

    Args:
        out: file to write; an existing one is replaced.
        partition: any; one that only decodes is shown by discs around its centroids.
        title: heading of the page.
        box: south, west, north, east in degrees that it begins with.
        caption: what a reader must know about the locations.

    Returns:
        `out`.
    """
    import shapely

    polygons = class_polygons(partition) if partition.can_assign else _discs(partition)
    sizes = np.sqrt(shapely.area(polygons))
    tolerance = float(np.clip(0.01 * np.median(sizes), _FINEST, _COARSEST))
    places = place_names(partition.centroids)
    data = {
        **ground(box),
        "range": count_range(np.maximum(partition.counts, 1)),
        "names": list(map(printable, partition.names)),
        "labels": [] if partition.labels == partition.names else list(map(printable, partition.labels)),
        "places": list(map(printable, places)) if any(places) else [],
        "counts": partition.counts.tolist(),
        "centroids": np.round(partition.centroids, 4).tolist(),
        "areas": [float(f"{area:.3g}") for area in class_areas_km2(partition)] if partition.can_assign else None,
        "cells": [rings(shape) for shape in shapely.simplify(polygons, tolerance)],
    }
    credits_ = f"{OUTLINES}. {GEONAMES}" if data["places"] else OUTLINES
    write_text(out, filled_template("cells.html", title, caption, data, credits_=credits_))
    return out


def _discs(partition: Partition) -> Geometries:
    """Return a disc around each centroid that reaches a third of the way to the nearest other one, 60 km at most."""
    from scipy.spatial import cKDTree

    places = partition.centroids
    near = np.full(len(places), np.inf)
    if len(places) > 1:
        vectors = unit_vectors(places)
        near = distance_km(places, places[np.asarray(cKDTree(vectors).query(vectors, k=2)[1])[:, 1]])
    radii = np.clip(near / 3.0, *_DISC_KM).tolist()
    return great_circle_polygons([circle(place, km, n=24) for place, km in zip(places, radii, strict=True)])


def ground(box: Box, most_chars: int = 700_000) -> dict[str, Any]:
    """Return what every map page has: the box it begins with, and countries as whole numbers.

    Args:
        box: south, west, north, east in degrees, east above 180 where it goes on past ±180°; outlines are finer in it.
        most_chars: of the outlines as JSON; they are coarser where finer ones would take more.
    """
    import shapely

    from geocell.geo.countries import valid_country_shapes

    shapes = valid_country_shapes()
    windows = [shapely.box(west, south, east, north) for south, west, north, east in boxes_within(box)]
    near = np.flatnonzero(np.any([shapely.intersects(shapes, window) for window in windows], axis=0))
    countries = list(_coarse_rings())
    for fine in (0.002, 0.005, 0.01, 0.02, 0.05):
        for i, shape in zip(near.tolist(), shapely.simplify(shapes[near], fine), strict=True):
            countries[i] = rings(shape)
        if len(_json(countries)) <= most_chars:
            break
    return {
        "units": UNITS,
        "box": [round(float(degrees), 4) for degrees in box],
        "colours": COLOURS,
        "countries": countries,
        "names_of_countries": _country_names(),
    }


def page_box(box: Box) -> Box:
    """Return the box that a page begins with: a map of the world, in Web Mercator, has less of the north."""
    south, _, _, east = box
    if east > 180.0 or not is_world(box):
        return box
    return max(-MERCATOR, min(WORLD[0], south)), WORLD[1], 80.0, WORLD[3]


@cache
def _coarse_rings() -> list[list[list[int]]]:
    import shapely

    from geocell.geo.countries import valid_country_shapes

    return [rings(shape) for shape in shapely.simplify(valid_country_shapes(), 0.05)]


@cache
def _country_names() -> list[list[Any]]:
    """Return name, latitude, longitude and size in degrees of where each country is named, the largest first."""
    import shapely

    from geocell.geo.countries import country_outlines, valid_country_shapes

    found = []
    for name, shape in zip(country_outlines()["name"], valid_country_shapes(), strict=True):
        parts = shapely.get_parts(shape)
        largest = parts[int(np.argmax(shapely.area(parts)))]
        at = largest.representative_point()
        found.append([printable(str(name)), round(at.y, 2), round(at.x, 2), round(float(np.sqrt(largest.area)), 2)])
    return sorted(found, key=lambda row: -row[3])


def filled_template(
    template: str,
    title: str,
    caption: str,
    data: Mapping[str, Any],
    *,
    room: str = "geocell.plots",
    parts: Mapping[str, str] | None = None,
    fragments: Mapping[str, str] | None = None,
    credits_: str = OUTLINES,
) -> str:
    """Return the HTML of a page that asks for nothing: a template of a package, with style, script and data inside.

    The head of every page, whose policy forbids all requests, is `head.html`.

    Args:
        template: file of `room` with `{{NAMES}}` to fill in.
        title: of the page.
        caption: below it.
        data: what the script draws, JSON.
        room: package of the template.
        parts: further name -> file of `room` whose text stands for it.
        fragments: further name -> HTML that stands for it as it is: whatever somebody else wrote is escaped in it.
        credits_: where outlines and names come from.
    """
    values = {
        "THEME": _text("geocell.plots", "theme.css"),
        "STYLE": _text("geocell.plots", "page.css"),
        "SCRIPT": _text("geocell.plots", "page.js"),
        **{key: _text(room, name) for key, name in (parts or {}).items()},
        **(fragments or {}),
        "TITLE": html.escape(printable(title)),
        "CAPTION": html.escape(printable(caption)),
        "CREDITS": html.escape(credits_),
        "DATA": _in_script(data),
    }
    page = _text(room, template).replace("{{HEAD}}", _text("geocell.plots", "head.html"))
    # in one pass, so that no value is taken for a place to fill in
    return re.sub(r"\{\{([A-Z_]+)\}\}", lambda found: values[found[1]], page) + "\n"


def _text(room: str, name: str) -> str:
    return files(room).joinpath(name).read_text(encoding="utf-8").rstrip("\n")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _in_script(value: object) -> str:
    """Return JSON that no HTML parser takes for the end of a script, or for the start of a comment in it."""
    return _json(value).replace("<", "\\u003c").replace(">", "\\u003e").replace("\u2028", "\\u2028")


def cell_rings(partition: Partition, cells: Sequence[int], most_chars: int) -> list[list[list[int]]]:
    """Return the rings of cells as `rings` has them, coarser where there are many.

    Args:
        partition: the cells; without a rule only their centroids are known, and none has a ring.
        cells: class indices.
        most_chars: of all rings as JSON, roughly; the coarsest may have more.
    """
    import shapely

    if not partition.can_assign or not len(cells):
        return [[] for _ in cells]
    polygons = class_polygons(partition)[list(cells)]
    for tolerance in _TOLERANCES:
        outlines = [rings(shape) for shape in shapely.simplify(polygons, tolerance)]
        if rings_chars(outlines) <= most_chars:
            break
    return outlines


def rings_chars(outlines: Sequence[Sequence[Sequence[int]]]) -> int:
    """Return roughly how many characters the rings of cells are as JSON."""
    return sum(6 * len(ring) for outline in outlines for ring in outline)


def rings(shape: BaseGeometry) -> list[list[int]]:
    """Return the rings of polygons as x, y of the first corner and then steps, in whole numbers."""
    import shapely

    return [steps(shapely.get_coordinates(ring)[:-1]) for ring in shapely.get_rings(shapely.get_parts(shape))]


def steps(xy: Floats) -> list[int]:
    """Return (n, 2) degrees, longitude first, as x, y of the first point and then steps, in whole numbers."""
    corners = np.round(xy * UNITS).astype(np.int64)
    return [int(step) for step in np.diff(corners, axis=0, prepend=0).ravel()]
