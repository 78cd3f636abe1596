"""A map of cells as one HTML file that needs no network: geometry as whole numbers, drawn by a little script."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geocell.files import write_text
from geocell.partitioners.cell_polygons import class_areas_km2, class_polygons
from geocell.plots.panel import countries_and_sea
from geocell.plots.paths import Box
from geocell.plots.style import COLOURS, count_range

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from geocell.partitioners.base import Partition

UNITS = 1e4  # whole numbers per degree: 11 m
_FINEST, _COARSEST = 2.0 / UNITS, 0.02  # degrees that an outline may lose


def write_page(out: Path, partition: Partition, title: str, box: Box, caption: str = "") -> Path:
    """Write the map as HTML; see `geocell.plots.draw_cells`.

    Outlines are simplified by up to a hundredth of a typical cell.

    Args:
        out: file to write; an existing one is replaced.
        partition: one that assigns.
        title: heading of the page.
        box: south, west, north, east in degrees that it begins with.
        caption: what a reader must know about the locations.

    Returns:
        `out`.
    """
    import shapely

    polygons = class_polygons(partition)
    sizes = np.sqrt(shapely.area(polygons))
    tolerance = float(np.clip(0.01 * np.median(sizes), _FINEST, _COARSEST))
    data = {
        **ground(box),
        "colours": COLOURS,
        "range": count_range(np.maximum(partition.counts, 1)),
        "names": partition.names,
        "labels": [] if partition.labels == partition.names else partition.labels,
        "counts": partition.counts.tolist(),
        "centroids": np.round(partition.centroids, 4).tolist(),
        "areas": [float(f"{area:.3g}") for area in class_areas_km2(partition)],
        "cells": [rings(shape) for shape in shapely.simplify(polygons, tolerance)],
    }
    return fill_template(out, "cells.html", title, caption, data)


def ground(box: Box) -> dict[str, Any]:
    """Return what every map page has: the box it begins with, countries and land as whole numbers."""
    import shapely

    countries, _ = countries_and_sea((-90.0, -180.0, 90.0, 180.0))
    south, west, north, east = box
    near = shapely.intersects(countries, shapely.box(west, south, east, north))
    fine = 0.02 if east - west > 180.0 else 0.005
    countries = np.where(near, shapely.simplify(countries, fine), shapely.simplify(countries, 0.05))
    return {
        "units": UNITS,
        "box": box,
        "countries": [rings(shape) for shape in countries],
        "land": rings(shapely.union_all(shapely.make_valid(countries))),
    }


def fill_template(
    out: Path, template: str, title: str, caption: str, data: Mapping[str, Any], room: str = "geocell.plots"
) -> Path:
    """Write a page of one file: a template of a package, with style, script and data inside."""
    folder = files("geocell.plots")
    text = files(room).joinpath(template).read_text(encoding="utf-8")
    parts = {
        "STYLE": folder.joinpath("page.css").read_text(encoding="utf-8").rstrip("\n"),
        "SCRIPT": folder.joinpath("page.js").read_text(encoding="utf-8").rstrip("\n"),
        "TITLE": html.escape(title),
        "CAPTION": html.escape(caption),
        "DATA": json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"),
    }
    for key, value in parts.items():
        text = text.replace(f"{{{{{key}}}}}", value)
    write_text(out, text)
    return out


def rings(shape: BaseGeometry) -> list[list[int]]:
    """Return the rings of polygons as x, y of the first corner and then steps, in whole numbers."""
    import shapely

    corners_of = []
    for ring in shapely.get_rings(shapely.get_parts(shape)):
        corners = np.round(shapely.get_coordinates(ring)[:-1] * UNITS).astype(np.int64)
        corners_of.append(np.diff(corners, axis=0, prepend=0).ravel().tolist())
    return corners_of
