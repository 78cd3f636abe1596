"""A page of predictions as one HTML file that needs no network: each answer with its cells and areas on a map."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geocell.decoders.base import decoder_label
from geocell.files import printable, write_text
from geocell.geo.geodesy import EARTH_RADIUS_KM, circle, swap_latlon_to_xy
from geocell.partitioners.base import Partition
from geocell.plots.paths import WORLD, extent, great_circle, split_at_antimeridian
from geocell.plots.web import GEONAMES, MERCATOR, OUTLINES, cell_rings, filled_template, ground, page_box, steps
from geocell.prediction.names import shortened
from geocell.prediction.records import Area, Prediction

if TYPE_CHECKING:
    from geocell.geo.geodesy import Floats

MOST_ANSWERS = 300
"""Locations on a page: it stays below 3 MB, and nobody reads more."""

_MOST_THUMBNAIL_BYTES = 700_000  # of all JPEG files together
_MOST_CELL_CHARS = 500_000  # of the outlines of cells as JSON
_MOST_COUNTRY_CHARS = 550_000


def write_answers(out: Path, predictions: Sequence[Prediction], partition: Partition, title: str = "") -> Path:
    """Write predictions as a page: a map with the cells and areas of the chosen answer, and a list of all.

    Everything that a page needs is in it, and it asks for nothing: outlines of countries, of the cells of the answers,
    and small copies of the first images. Absolute paths of images are shown without the folder that they share, so that
    a page does not tell where they lie on this machine.

    Args:
        out: HTML file to write; an existing one is replaced.
        predictions: at least one; the first `MOST_ANSWERS` are shown.
        partition: the cells that were answered with.
        title: heading of the page; the number of locations when empty.

    Returns:
        `out`.

    Raises:
        ValueError: when there is none.
    """
    write_text(out, answers_page(predictions, partition, title))
    return out


def answers_page(predictions: Sequence[Prediction], partition: Partition, title: str = "") -> str:
    """Return the HTML of the page of predictions; see `write_answers`."""
    if not len(predictions):
        raise ValueError("a map needs at least one prediction, got none.")
    shown = predictions[:MOST_ANSWERS]
    located = [item for item in shown if item.answered]
    places = {cell.cell: cell.place for item in located for cell in item.cells}
    used = sorted({cell for item in located for cell, _ in _shaded(item)})
    short = shortened([item.location for item in shown])
    labels, names = ([printable(all_[c]) for c in used] for all_ in (partition.labels, partition.names))
    points = np.array([point for item in located for point in _points(item)]).reshape(-1, 2)
    box = extent(points, margin=0.15) if len(points) else WORLD
    data = {
        **ground(page_box(box), _MOST_COUNTRY_CHARS),
        "names": names,
        "labels": labels,
        "places": [printable(places.get(c, "")) for c in used],
        "centroids": np.round(partition.centroids[used], 4).tolist(),
        "cells": cell_rings(partition, used, _MOST_CELL_CHARS),
        "answers": _answers(shown, {cell: i for i, cell in enumerate(used)}, short),
    }
    what = _count(len(predictions)) if len(predictions) > 1 else short(shown[0].location)
    heading = title or f"Where was it taken? {what}"
    named = any(item.place for item in located)
    return filled_template(
        "answers.html",
        heading,
        _caption(shown, len(predictions)),
        data,
        room="geocell.prediction",
        parts={"PAGE_STYLE": "answers.css", "PAGE_SCRIPT": "answers.js"},
        credits_=f"{OUTLINES}. {GEONAMES}" if named else OUTLINES,
    )


def _count(n: int) -> str:
    return f"{n:,} locations"


def _caption(shown: Sequence[Prediction], total: int) -> str:
    part = f"The first {len(shown)} of {_count(total)}. " if len(shown) < total else ""
    known = "calibrated on locations like those of its validation" if shown[0].calibrated else "not calibrated"
    warning = f"Probabilities are {known}, and a head always answers, also where it knows nothing."
    if any(item.outside_region is not None for item in shown):
        warning += " Photographs unlike those of its region are doubted, at the stated rate of false alarms."
    return f"{part}Decoder {decoder_label(shown[0].decoder)}. {warning}"


def _points(item: Prediction) -> list[tuple[float, float]]:
    return [(item.lat, item.lon), *([] if item.truth is None else [item.truth])]


def _shaded(item: Prediction) -> list[tuple[int, float]]:
    """Return cells and their probabilities, most probable first: those that are named, and the rest of its area."""
    named = [(cell.cell, cell.probability) for cell in item.cells]
    area = item.area or Area(np.empty(0, np.int32), np.empty(0, np.float32))
    known = {cell for cell, _ in named}
    rest = zip(area.cells.tolist(), area.probability.tolist(), strict=True)
    return [*named, *((cell, p) for cell, p in rest if cell not in known)]


def _answers(
    predictions: Sequence[Prediction], index: dict[int, int], short: Callable[[str], str]
) -> list[dict[str, Any]]:
    """Return what the page says of each location; thumbnails until their bytes are spent."""
    left = _MOST_THUMBNAIL_BYTES
    answers = []
    for item in predictions:
        answer = _answer(item, index, short)
        size = sum(map(len, item.thumbnails))
        if size <= left:
            answer["thumbnails"] = [base64.b64encode(data).decode("ascii") for data in item.thumbnails]
            left -= size
        answers.append(answer)
    return answers


def _answer(item: Prediction, index: dict[int, int], short: Callable[[str], str]) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "location": printable(short(item.location)),
        "problem": printable(short(item.problem)),
        "place": printable(item.place),
        "thumbnails": [],
        "cells": [],
    }
    if not item.answered:
        return answer
    radii = (item.radius_50_km, item.radius_90_km)
    point = (item.lat, item.lon)
    answer |= {
        "lat": round(item.lat, 5),
        "lon": round(item.lon, 5),
        "radii": [round(km, 3) for km in radii],
        "doubt": printable(item.doubt),
        "calibrated": item.calibrated,
        "sets": item.sets,
        "km2": [item.area_50_km2, item.area_90_km2],
        "abstained": item.abstained,
        "cells": [[index[cell], round(p, 5)] for cell, p in _shaded(item)],
        "named": len(item.cells),
        "areas": [_area(point, km) for km in radii],
        "boxes": dict(zip(("50", "90"), (_box_around(point, km) for km in radii), strict=True)),
    }
    if item.truth is not None:
        answer |= {
            "truth": [round(degrees, 5) for degrees in item.truth],
            "away": round(item.distance_km or 0.0, 3),
            "arc": arc(item.truth, point),
        }
        answer["boxes"]["truth"] = _box_of_two(point, item.truth)
    return answer


def arc(a: tuple[float, float], b: tuple[float, float]) -> list[list[int]]:
    """Return the shortest way between two points in degrees as lines of a map page, cut at ±180°."""
    return [steps(swap_latlon_to_xy(piece)) for piece in split_at_antimeridian(_way(a, b))]


def _way(truth: tuple[float, float], point: tuple[float, float]) -> Floats:
    """Return the shortest way between two points; of one place, twice that."""
    return great_circle(truth, point, step_km=150.0)


def _pole(point: tuple[float, float], km: float) -> int | None:
    """Return which pole a circle goes around: 1 north, -1 south, 0 none, and None for both."""
    reach = np.degrees(km / EARTH_RADIUS_KM)
    north, south = point[0] + reach >= 90.0, point[0] - reach <= -90.0
    return None if north and south else int(north) - int(south)


def _area(point: tuple[float, float], km: float) -> dict[str, Any] | None:
    """Return the circle around an answer, None where it is most of the earth.

    A ring crosses ±180° and goes on. Around a pole it is no ring on the map, but a line from edge to edge, 360° long.
    """
    pole = _pole(point, km)
    if pole is None:
        return None
    ring = circle(point, km, n=90)
    if pole < 0:
        ring = np.roll(ring, 45, axis=0)  # begins beyond the pole, so that the point is in the middle of the line
    lon = np.unwrap(ring[:, 1], period=360.0)
    xy = np.stack((lon, ring[:, 0]), axis=1)
    if pole:
        xy = np.vstack([xy, [lon[0] + np.sign(lon[-1] - lon[0]) * 360.0, ring[0, 0]]])
    middle = (xy[:, 0].min() + xy[:, 0].max()) / 2.0
    xy[:, 0] += 360.0 * round((point[1] - middle) / 360.0)
    return {"ring": steps(xy), "pole": pole}


def _box_around(point: tuple[float, float], km: float) -> list[float]:
    """Return the box of the circle around a point, as far as the map shows it; east may be above 180."""
    reach = np.degrees(km / EARTH_RADIUS_KM)
    lat, lon = point
    south, north = max(-MERCATOR, lat - reach), min(MERCATOR, lat + reach)
    half = 180.0
    if _pole(point, km) == 0:  # the meridian that touches a circle: sin(half) = sin(reach) / cos(lat)
        half = float(np.degrees(np.arcsin(min(1.0, np.sin(np.radians(reach)) / np.cos(np.radians(lat))))))
    return [round(float(degrees), 4) for degrees in (south, lon - half, north, lon + half)]


def _box_of_two(point: tuple[float, float], truth: tuple[float, float]) -> list[float]:
    """Return a box around the shortest way between two points, going on past ±180°."""
    way = _way(truth, point)
    lon = np.unwrap(way[:, 1], period=360.0)
    pad_lat, pad_lon = (max(0.02, 0.08 * float(np.ptp(values))) for values in (way[:, 0], lon))
    south, north = float(way[:, 0].min()) - pad_lat, float(way[:, 0].max()) + pad_lat
    box = (max(-MERCATOR, south), float(lon.min()) - pad_lon, min(MERCATOR, north), float(lon.max()) + pad_lon)
    return [round(degrees, 4) for degrees in box]
