"""Predictions as files: a table, points for a GIS program, a map to look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocell.files import csv_text, write_text
from geocell.prediction.records import Prediction

if TYPE_CHECKING:
    from geocell.partitioners.base import Partition

SUFFIXES = (".csv", ".geojson", ".html")

_COLUMNS = (
    "location", "lat", "lon", "place", "decoder", "radius_50_km", "radius_90_km", "confidence", "calibrated",
    "outside_region", "outside_score", "doubt", "problem", "truth_lat", "truth_lon", "distance_km",
)  # fmt: skip


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
        write_text(path, to_geojson(predictions) + "\n")
    else:
        from geocell.prediction.page import write_answers

        write_answers(path, predictions, partition)
    return path


def to_csv(predictions: Sequence[Prediction]) -> str:
    """Return one line per location, and three columns, as `cell_1`, `place_1` and `probability_1`, for each cell."""
    k = max((len(item.cells) for item in predictions), default=0)
    names = [*_COLUMNS, *(f"{what}_{i}" for i in range(1, k + 1) for what in ("cell", "place", "probability"))]
    return csv_text(map(_row, predictions), names)


def _row(item: Prediction) -> dict[str, Any]:
    """Return a line of the table; what is unknown is empty."""
    value = item.to_dict()
    truth = value["truth"] or {}
    row = {name: value[name] for name in _COLUMNS if name in value}
    row |= {"truth_lat": truth.get("lat"), "truth_lon": truth.get("lon")}
    for i, cell in enumerate(item.cells, start=1):
        row |= {f"cell_{i}": cell.name, f"place_{i}": cell.place, f"probability_{i}": cell.probability}
    return row


def to_geojson(predictions: Sequence[Prediction]) -> str:
    """Return a FeatureCollection (RFC 7946) of points with everything else as properties.

    A location without an answer is a feature without a geometry, as the RFC has it.
    """
    import geopandas
    import shapely

    rows = [item.to_dict() for item in predictions]
    points = [None if row["lat"] is None else shapely.Point(row["lon"], row["lat"]) for row in rows]
    properties = [{name: value for name, value in row.items() if name not in ("lat", "lon")} for row in rows]
    frame = geopandas.GeoDataFrame(properties, geometry=points, crs="EPSG:4326")
    return str(frame.to_json(drop_id=True, to_wgs84=True, ensure_ascii=False))
