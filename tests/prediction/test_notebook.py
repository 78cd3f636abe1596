"""What a notebook shows of answers, and their tables."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from geocell.prediction.notebook import predictions_display, summary_text
from geocell.prediction.predictions import Predictions, predict_locations
from geocell.prediction.records import unanswered
from tests.prediction.test_predictions import PLACES, bare, head_with
from tests.worlds import make_locations


@pytest.fixture(scope="module")
def answers() -> Predictions:
    """Four locations, the last without an answer."""
    locations = make_locations(np.array([[50.0, 10.0], [50.0, 12.0], [50.0, 41.0]]), np.zeros((3, 2)))
    found = predict_locations(
        head_with([0.7, 0.12, 0.1, 0.08], bare(PLACES)), locations, top_k=2, names=lambda p: ["a <b> town"] * len(p)
    )
    items = (replace(found[0], abstained=True), *found.items[1:], unanswered("=broken", "centroid", "no <image>"))
    return Predictions(items, found.partition)


def test_some_lines(answers: Predictions) -> None:
    lines = repr(answers).split("\n")
    median = np.median([item.distance_km for item in answers.items[:3]])
    assert lines[0] == (
        f"<Predictions: 4 locations, 3 answered, 1 withheld, median {median:,.1f} km from the truth, known of 3>"
    )
    assert lines[1].startswith("  loc0: 50.0000, 10.0000 (a <b> town); 90 % within ")
    assert lines[1].endswith("; 0.0 km from the truth; withheld")
    assert lines[4:] == ["  and 1 more"]
    assert repr(answers[3]) == "<Prediction =broken: no answer: no <image>>"
    assert repr(answers[1]) == f"<Prediction {answers[1].line}>"
    assert repr(answers[:0]) == "<Predictions: 0 locations>"


def test_in_a_notebook(answers: Predictions) -> None:
    shown = predictions_display(answers.items, len(answers.partition))
    assert shown.tables[0].header == ["location", "place", "lat", "lon", "90 % within", "≤ 200 km", "off by", "remark"]
    assert [len(row) for row in shown.tables[0].rows] == [8] * 4
    assert shown.tables[0].rows[0][-2:] == ["0.0 km", "withheld"]
    assert shown.tables[0].rows[3] == ["=broken", *"––––––", "no <image>"]
    page = answers._repr_html_()
    assert "a &lt;b&gt; town" in page
    assert "<b>" not in page
    assert page.count("<svg") == 1
    plain = [replace(item, place="", truth=None) for item in answers]
    assert predictions_display(plain, 4).tables[0].header == [
        "location",
        "lat",
        "lon",
        "90 % within",
        "≤ 200 km",
        "remark",
    ]
    assert summary_text(plain) == "4 locations, 3 answered, 1 withheld"
    assert "<svg" not in answers[3:]._repr_html_()
    assert answers[:0]._repr_html_()


def test_one_answer(answers: Predictions) -> None:
    page = answers[1]._repr_html_()
    assert page.count("70.0 %") == 1
    assert "a &lt;b&gt; town" in page
    assert "no &lt;image&gt;" in answers[3]._repr_html_()


def test_tables(answers: Predictions) -> None:
    frame = answers.to_pandas()
    assert frame["location"].tolist() == ["loc0", "loc1", "loc2", "=broken"]  # as it is: no spreadsheet reads it
    assert frame["lat"].dtype == frame["probability_2"].dtype == np.float64
    assert frame["abstained"].tolist() == [True, False, False, False]
    assert frame["outside_region"].isna().all()
    assert frame["distance_km"].tolist()[:3] == [item.distance_km for item in answers.items[:3]]
    assert np.isnan(frame["lat"][3])
    assert frame["cell_1"].tolist() == ["c0", "c0", "c0", None]
    points = answers.to_geopandas()
    assert points.crs == "EPSG:4326"
    assert [None if p is None else (p.y, p.x) for p in points.geometry] == [(50.0, 10.0)] * 3 + [None]
    pd.testing.assert_frame_equal(pd.DataFrame(points.drop(columns="geometry")), frame)
    assert list(answers[:0].to_pandas().columns) == [c for c in frame.columns if not c.endswith(("_1", "_2"))]
