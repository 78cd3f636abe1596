"""Predictions as files: a table, points for a GIS program, a map to look at."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geocell.files import csv_text, write_text
from geocell.heads.calibration import COVERAGES
from geocell.prediction.records import Prediction
from geocell.prediction.sets import polygons_of, set_polygon

if TYPE_CHECKING:
    import geopandas
    import pandas as pd

    from geocell.partitioners.base import Partition

SUFFIXES = (".csv", ".geojson", ".html")

_COLUMNS = (
    "location", "lat", "lon", "place", "decoder", "radius_50_km", "radius_90_km", "confidence", "calibrated",
    "abstained", "sets", "area_50_km2", "area_90_km2", "outside_region", "outside_score", "doubt", "problem",
    "truth_lat", "truth_lon", "distance_km",
)  # fmt: skip


_NUMBERS = (
    "lat", "lon", "radius_50_km", "radius_90_km", "confidence", "area_50_km2", "area_90_km2", "outside_score",
    "truth_lat", "truth_lon", "distance_km",
)  # fmt: skip
_FLAGS = ("calibrated", "abstained", "outside_region")


def require_prediction_file(path: Path) -> None:
    """Raise ValueError unless predictions can be written to a file of this name."""
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"predictions are written to a {', '.join(SUFFIXES)} file, got {path}: choose one of these.")


def save_predictions(predictions: Sequence[Prediction], partition: Partition, path: Path) -> Path:
    """Write predictions; see `Predictions.save`."""
    require_prediction_file(path)
    if path.suffix.lower() == ".csv":
        write_text(path, to_csv(predictions))
    elif path.suffix.lower() == ".geojson":
        write_text(path, to_geojson(predictions, partition) + "\n")
    else:
        from geocell.prediction.page import write_answers

        write_answers(path, predictions, partition)
    return path


def to_csv(predictions: Sequence[Prediction]) -> str:
    """Return one line per location, and three columns, as `cell_1`, `place_1` and `probability_1`, for each cell."""
    return csv_text(map(_row, predictions), _columns(predictions))


def _columns(predictions: Sequence[Prediction]) -> list[str]:
    k = max((len(item.cells) for item in predictions), default=0)
    return [*_COLUMNS, *(f"{what}_{i}" for i in range(1, k + 1) for what in ("cell", "place", "probability"))]


def prediction_frame(predictions: Sequence[Prediction]) -> pd.DataFrame:
    """Return the table of `to_csv`, texts as they are; see `Predictions.to_pandas`."""
    import pandas as pd

    columns = _columns(predictions)
    rows = [[row.get(name) for name in columns] for row in map(_row, predictions)]
    frame = pd.DataFrame(rows, columns=columns, dtype=object)
    for name in columns:
        if name in _NUMBERS or name.startswith("probability_"):
            frame[name] = frame[name].astype(np.float64)
        elif name in _FLAGS:
            frame[name] = frame[name].astype("boolean")
    return frame


def prediction_points(predictions: Sequence[Prediction]) -> geopandas.GeoDataFrame:
    """Return the same with points; see `Predictions.to_geopandas`."""
    import geopandas
    import shapely

    points = [shapely.Point(item.lon, item.lat) if item.answered else None for item in predictions]
    return geopandas.GeoDataFrame(prediction_frame(predictions), geometry=points, crs="EPSG:4326")


def _row(item: Prediction) -> dict[str, Any]:
    """Return a line of the table; what is unknown is empty."""
    value = item.to_dict()
    truth = value["truth"] or {}
    row = {name: value[name] for name in _COLUMNS if name in value}
    row |= {"truth_lat": truth.get("lat"), "truth_lon": truth.get("lon")}
    for i, cell in enumerate(item.cells, start=1):
        row |= {f"cell_{i}": cell.name, f"place_{i}": cell.place, f"probability_{i}": cell.probability}
    return row


def to_geojson(predictions: Sequence[Prediction], partition: Partition | None = None) -> str:
    """Return a FeatureCollection (RFC 7946) of points with everything else as properties, and polygons of their sets.

    A location without an answer is a feature without a geometry, as the RFC has it. Where predictions keep the cells of
    their sets, each is followed by two polygons with `location`, `sets`, `coverage` in percent and `area_km2`.

    Args:
        predictions: the answers.
        partition: the cells that were answered with, for polygons of sets.
    """
    import geopandas
    import shapely

    polygons = None
    if partition is not None and any(item.set_cells is not None for item in predictions):
        polygons = polygons_of(partition)
    shapes: list[Any] = []
    rows: list[dict[str, Any]] = []
    for item in predictions:
        row = item.to_dict()
        shapes.append(None if row["lat"] is None else shapely.Point(row["lon"], row["lat"]))
        rows.append({name: value for name, value in row.items() if name not in ("lat", "lon")})
        if polygons is None or item.set_cells is None:
            continue
        for coverage, cells in zip(COVERAGES, item.set_cells, strict=True):
            shapes.append(set_polygon(polygons, cells))
            area = row[f"area_{coverage}_km2"]
            rows.append({"location": item.location, "sets": item.sets, "coverage": coverage, "area_km2": area})
    table = geopandas.GeoDataFrame(geometry=shapes, crs="EPSG:4326")
    collection = json.loads(table.to_json(drop_id=True, to_wgs84=True))
    for feature, row in zip(collection["features"], rows, strict=True):
        feature["properties"] = row
    return json.dumps(collection, ensure_ascii=False)
