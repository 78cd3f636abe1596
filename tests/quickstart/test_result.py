"""What the quickstart returns and prints at the end."""

import csv
import json
from pathlib import Path
from typing import Any

from geocell.geo.geodesy import distance_km
from geocell.prediction.records import CellGuess, Prediction
from geocell.quickstart.result import CAPTION, QuickstartResult, write_scores


def row(head: str, **changes: Any) -> dict[str, Any]:
    scores = {
        "head": head, "fit": "train", "partition": "kmeans", "decoder": "centroid", "split": "test",
        "n_locations": 4, "n_cells": 2, "top1": 0.5, "top5": 1.0, "median_km": 100.0, "mean_km": 120.5,
        "within": {"1": 0.0, "25": 0.25, "200": 0.5, "750": 1.0, "2500": 1.0}, "balscore": 0.5,
        "intervals": {"balscore": [0.4, 0.6]}, "countries": {},
    }  # fmt: skip
    return scores | changes


def result(folder: Path) -> QuickstartResult:
    cells = (CellGuess(1, "k1", 0.75, 48.1, 11.5, "Munich, Germany"),)
    prediction = Prediction(
        "loc1", 48.1, 11.5, "centroid", 20.0, 80.0, "", cells, place="Munich, Germany", truth=(48.0, 11.0)
    )
    return QuickstartResult(
        folder, (row("kmeans"), row("1-NN", n_cells=None, top1=None, top5=None)), prediction,
        "5 km N of Town, Land",
        (folder / "a.jpg", folder / "b.jpg"), folder / "heads" / "kmeans", folder / "map.png", 12.34,
    )  # fmt: skip


def test_one_csv_line_per_row_with_a_column_per_radius(tmp_path: Path) -> None:
    rows = [row("kmeans"), row("1-NN", n_cells=None)]
    write_scores(tmp_path / "scores.csv", rows)
    with (tmp_path / "scores.csv").open() as file:
        written = list(csv.DictReader(file))
    assert [line["head"] for line in written] == ["kmeans", "1-NN"]
    assert [float(line["within_200"]) for line in written] == [0.5, 0.5]
    assert [line["n_cells"] for line in written][1] == ""
    assert not {"within", "intervals", "countries"} & set(written[0])


def test_the_json_form_is_json(tmp_path: Path) -> None:
    value = json.loads(json.dumps(result(tmp_path).to_dict()))
    assert value["synthetic"] == CAPTION
    assert value["prediction"]["truth"] == {"lat": 48.0, "lon": 11.0, "place": "5 km N of Town, Land"}
    assert value["prediction"]["distance_km"] == distance_km([48.0, 11.0], [48.1, 11.5])
    assert value["prediction"]["place"] == value["prediction"]["cells"][0]["place"] == "Munich, Germany"
    assert value["images"] == [str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg")]
    assert value["nearest_km"] == 12.34
    assert [line["head"] for line in value["scores"]] == ["kmeans", "1-NN"]
