"""Answers as a table and as points: every number comes back, whatever the images are called."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geocell.prediction.predictions import Predictions, predict_locations
from geocell.prediction.records import Prediction, unanswered
from tests.prediction.test_predictions import PLACES, bare, head_with
from tests.worlds import make_locations

NAMES = ['a, "b".jpg', "line\nbreak.jpg", "ä/ö.jpg"]


@pytest.fixture
def answers() -> Predictions:
    locations = make_locations(np.array([[0.0, 0.0], [np.nan, np.nan], [50.0, 12.0]]), np.zeros((3, 2)))
    locations.ids[:] = NAMES
    made = predict_locations(head_with([0.46, 0.06, 0.04, 0.44], bare(PLACES)), locations, top_k=2)
    return Predictions((replace(made[0], doubt="it is dark, and cold"), *made[1:]), made.partition)


def test_a_table(answers: Predictions, tmp_path: Path) -> None:
    with answers.save(tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["location"] for row in rows] == NAMES
    for row, answer in zip(rows, answers, strict=True):
        assert isinstance(answer, Prediction)
        for name in ("lat", "lon", "radius_50_km", "radius_90_km"):
            assert float(row[name]) == getattr(answer, name)
        assert (row["decoder"], row["doubt"]) == ("centroid", answer.doubt)
        assert [row["cell_1"], row["cell_2"]] == ["c0", "c3"]
        assert float(row["probability_2"]) == answer.cells[1].probability
    assert float(rows[0]["distance_km"]) == answers[0].distance_km
    assert (rows[0]["truth_lat"], rows[0]["truth_lon"]) == ("0.0", "0.0")
    assert (rows[1]["truth_lat"], rows[1]["distance_km"]) == ("", "")


def test_whether_it_is_outside_the_region_is_in_tables_and_points(answers: Predictions, tmp_path: Path) -> None:
    known = replace(answers[0], outside_region=True, outside_score=2.5)
    both = Predictions((known, answers[1]), answers.partition)
    with both.save(tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        rows = [(row["outside_region"], row["outside_score"]) for row in csv.DictReader(file)]
    assert rows == [("True", "2.5"), ("", "")]
    features = json.loads(both.save(tmp_path / "a.geojson").read_text(encoding="utf-8"))["features"]
    found = [(f["properties"]["outside_region"], f["properties"]["outside_score"]) for f in features]
    assert found == [(True, 2.5), (None, None)]


def test_a_location_without_an_answer_is_a_row_with_its_reason(answers: Predictions, tmp_path: Path) -> None:
    bad = unanswered("broken.jpg", "centroid", "no such file", (1.0, 2.0))
    both = Predictions((bad, *answers[:1]), answers.partition)
    with both.save(tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        row = next(csv.DictReader(file))
    assert (row["location"], row["problem"], row["lat"], row["radius_50_km"]) == ("broken.jpg", "no such file", "", "")
    assert (row["cell_1"], row["probability_1"], row["distance_km"], row["truth_lon"]) == ("", "", "", "2.0")
    feature, other = json.loads(both.save(tmp_path / "a.geojson").read_text(encoding="utf-8"))["features"]
    assert feature["geometry"] is None
    assert feature["properties"]["problem"] == "no such file"
    assert feature["properties"]["truth"] == {"lat": 1.0, "lon": 2.0}
    assert other["geometry"]["type"] == "Point"
    assert json.loads(json.dumps(both.to_dict(), allow_nan=False))["predictions"][0]["lat"] is None


def test_points(answers: Predictions, tmp_path: Path) -> None:
    value = json.loads(answers.save(tmp_path / "a.geojson").read_text(encoding="utf-8"))
    assert value["type"] == "FeatureCollection"
    assert [f["properties"]["location"] for f in value["features"]] == NAMES
    feature, answer = value["features"][0], answers[0]
    assert feature["geometry"] == {"type": "Point", "coordinates": [answer.lon, answer.lat]}
    assert feature["properties"]["cells"][1]["name"] == "c3"
    assert feature["properties"]["radius_50_km"] == answer.radius_50_km
    assert set(feature) == {"type", "properties", "geometry"}
    assert "crs" not in value  # RFC 7946 knows one
    assert not {"lat", "lon"} & set(feature["properties"])


def test_no_answers_are_an_empty_file_but_no_map(answers: Predictions, tmp_path: Path) -> None:
    none = answers[:0]
    assert len(none) == 0
    assert none.save(tmp_path / "a.csv").read_text().count("\n") == 1
    assert json.loads(none.save(tmp_path / "a.geojson").read_text())["features"] == []
    with pytest.raises(ValueError, match="a map needs at least one prediction, got none"):
        none.save(tmp_path / "a.html")


def test_other_files_are_refused(answers: Predictions, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"are written to a \.csv, \.geojson, \.html file, got .*a\.kml"):
        answers.save(tmp_path / "a.kml")
    assert list(tmp_path.iterdir()) == []
