"""A map of predictions as one HTML file that needs no network: the cells of each answer, and how far it reaches."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geocell.geo.geodesy import circle
from geocell.partitioners.base import Partition
from geocell.partitioners.cell_polygons import class_polygons
from geocell.plots.paths import extent
from geocell.plots.style import COLOURS
from geocell.plots.web import UNITS, fill_template, ground, rings
from geocell.prediction.records import Prediction

if TYPE_CHECKING:
    from geocell.geo.geodesy import Floats

_FINEST = 0.002  # degrees that an outline may lose
_FARTHEST_KM = 5000.0  # a circle that is wider says nothing


def write_answers(out: Path, predictions: Sequence[Prediction], partition: Partition, title: str = "") -> Path:
    """Write predictions as a page to move about in: a list of them, and the cells of the one that is chosen.

    Args:
        out: HTML file to write; an existing one is replaced.
        predictions: at least one.
        partition: the cells that were answered with.
        title: heading of the page; the number of locations when empty.

    Returns:
        `out`.

    Raises:
        ValueError: when there is none.
    """
    if not len(predictions):
        raise ValueError("a map needs at least one prediction, got none.")
    used = sorted({cell.cell for item in predictions for cell in item.cells})
    places = np.array([(item.lat, item.lon) for item in predictions])
    labels = [partition.labels[c] for c in used]
    names = [partition.names[c] for c in used]
    data = {
        **ground(extent(np.vstack([places, partition.centroids[used]]), margin=0.15)),
        "colours": COLOURS,
        "names": names,
        "labels": [] if labels == names else labels,
        "centroids": np.round(partition.centroids[used], 4).tolist(),
        "cells": _outlines(partition, used),
        "answers": [_answer(item, {cell: i for i, cell in enumerate(used)}) for item in predictions],
    }
    many = f"{len(predictions):,} locations" if len(predictions) > 1 else predictions[0].location
    caption = f"Decoder {predictions[0].decoder}; a head always answers, also where it knows nothing."
    heading = title or f"Where was it taken? {many}"
    return fill_template(out, "answers.html", heading, caption, data, room="geocell.prediction")


def _outlines(partition: Partition, used: list[int]) -> list[list[list[int]]]:
    """Return the polygons of cells; none where only their centroids are known."""
    import shapely

    if not partition.can_assign:
        return [[] for _ in used]
    return [rings(shape) for shape in shapely.simplify(class_polygons(partition)[used], _FINEST)]


def _answer(item: Prediction, index: dict[int, int]) -> dict[str, Any]:
    radii = (item.radius_50_km, item.radius_90_km)
    around = [_steps(circle((item.lat, item.lon), km)) if km <= _FARTHEST_KM else [] for km in radii]
    return {
        "location": item.location,
        "lat": round(item.lat, 5),
        "lon": round(item.lon, 5),
        "radius": round(item.radius_50_km, 1),
        "doubt": item.doubt,
        "cells": [[index[cell.cell], round(cell.probability, 5)] for cell in item.cells],
        "circles": around,
    }


def _steps(ring: Floats) -> list[int]:
    """Return a ring as `rings` does, going on past ±180° instead of jumping."""
    lon = np.unwrap(ring[:, 1], period=360.0)
    corners = np.round(np.stack((lon, ring[:, 0]), axis=1) * UNITS).astype(np.int64)
    return [int(step) for step in np.diff(corners, axis=0, prepend=0).ravel()]
