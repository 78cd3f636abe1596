"""The map of answers: one file with everything inside, cells where they are known, circles of the right size."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geocell.geo.geodesy import distance_km
from geocell.partitioners import KMeansPartitioner
from geocell.prediction.predictions import Predictions, predict_locations
from tests.prediction.test_predictions import PLACES, bare, head_with
from tests.worlds import make_locations


def answers(known: bool = True) -> Predictions:
    partition = KMeansPartitioner(k=4, seed=0).fit(PLACES) if known else bare(PLACES)
    locations = make_locations(np.zeros((2, 2)), np.zeros((2, 2)))
    locations.ids[:] = ["</script><b>.jpg", "{{DATA}}.jpg"]
    return predict_locations(head_with([0.6, 0.2, 0.15, 0.05], partition), locations, top_k=3)


def data_of(page: str) -> dict[str, Any]:
    packed = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert packed is not None
    value = json.loads(packed[1])
    assert isinstance(value, dict)
    return value


def corners(ring: list[int], units: float) -> np.ndarray:
    return np.cumsum(np.reshape(ring, (-1, 2)), axis=0)[:, ::-1] / units


def test_it_is_one_file(tmp_path: Path) -> None:
    page = answers().save(tmp_path / "a.html").read_text()
    assert not re.search(r"(src|href)=|https?://|@import|url\(|fetch\(|XMLHttpRequest", page)
    assert not re.search(r"\{\{(STYLE|SCRIPT|TITLE|CAPTION)\}\}", page)
    data = data_of(page)
    assert [a["location"] for a in data["answers"]] == ["</script><b>.jpg", "{{DATA}}.jpg"]
    assert "<h1>Where was it taken? 2 locations</h1>" in page


def test_cells_are_those_that_were_answered(tmp_path: Path) -> None:
    asked = answers()
    data = data_of(asked.save(tmp_path / "a.html").read_text())
    assert data["names"] == [cell.name for cell in asked[0].cells]
    assert len(data["cells"]) == 3
    for ring, centroid in zip(data["cells"], data["centroids"], strict=True):
        outline = corners(ring[0], data["units"])
        assert (outline.min(axis=0) <= centroid).all()
        assert (outline.max(axis=0) >= centroid).all()
    assert [p for _, p in data["answers"][0]["cells"]] == pytest.approx([0.6, 0.2, 0.15], abs=1e-5)


def test_circles_reach_as_far_as_they_say(tmp_path: Path) -> None:
    asked = answers()
    data = data_of(asked.save(tmp_path / "a.html").read_text())
    for ring, radius in zip(data["answers"][0]["circles"], (asked[0].radius_50_km, asked[0].radius_90_km), strict=True):
        away = distance_km((asked[0].lat, asked[0].lon), corners(ring, data["units"]))
        assert away == pytest.approx(np.full(90, radius), abs=0.1)


def test_a_circle_around_half_the_earth_is_left_out(tmp_path: Path) -> None:
    far = Predictions((replace(answers()[0], radius_90_km=9000.0),), answers().partition)
    half, most = data_of(far.save(tmp_path / "a.html").read_text())["answers"][0]["circles"]
    assert len(half) == 180
    assert most == []


def test_without_cells_there_are_centroids(tmp_path: Path) -> None:
    data = data_of(answers(known=False).save(tmp_path / "a.html").read_text())
    assert data["cells"] == [[], [], []]
    assert data["centroids"] == PLACES[:3].tolist()
