"""Predictions as files: a table, points for a GIS program, a map to look at."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocell.files import canonical_json, write_text
from geocell.geo.geodesy import swap_latlon_to_xy
from geocell.prediction.records import Prediction

if TYPE_CHECKING:
    from geocell.partitioners.base import Partition

SUFFIXES = (".csv", ".geojson", ".html")


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
        write_text(path, canonical_json(to_geojson(predictions)) + "\n")
    else:
        from geocell.prediction.page import write_answers

        write_answers(path, predictions, partition)
    return path


def to_csv(predictions: Sequence[Prediction]) -> str:
    """Return one line per location, and two columns, as `cell_1` and `probability_1`, for each of its K cells."""
    k = max((len(item.cells) for item in predictions), default=0)
    names = ["location", "lat", "lon", "decoder", "radius_50_km", "radius_90_km", "doubt"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, *(f"{what}_{i}" for i in range(1, k + 1) for what in ("cell", "probability"))])
    for item in predictions:
        cells = [value for cell in item.cells for value in (cell.name, cell.probability)]
        writer.writerow([*(getattr(item, name) for name in names), *cells])
    return text.getvalue()


def to_geojson(predictions: Sequence[Prediction]) -> dict[str, Any]:
    """Return a FeatureCollection of points, (lon, lat) as RFC 7946 wants it, with everything else as properties."""
    return {"type": "FeatureCollection", "features": [_feature(item) for item in predictions]}


def _feature(item: Prediction) -> dict[str, Any]:
    value = item.to_dict()
    point = swap_latlon_to_xy([value.pop("lat"), value.pop("lon")]).tolist()
    return {"type": "Feature", "geometry": {"type": "Point", "coordinates": point}, "properties": value}
