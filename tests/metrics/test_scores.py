"""The JSON form of scores."""

import json
from dataclasses import replace

import numpy as np
import pytest

from geocell.metrics.scores import BALSCORE_TEXT, SCORE_LABELS, Scores, flat_scores, score_label, score_unit
from tests.metrics.test_outcomes import scores_at


def test_json_round_trip() -> None:
    scores = scores_at([0.5, 20, 100], hits=(np.array([True, False, False]), np.array([True] * 3)), n_outside=1)
    value = json.loads(json.dumps(scores.to_dict()))
    assert value["format"] == 1
    assert value["within"]["25"] == pytest.approx(2 / 3)
    assert Scores.from_dict(value) == scores


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, r"scores must be of format 1, got 2"),
        ({"extra": 1}, r"scores must have the keys .*got .*'extra'"),
    ],
)
def test_strange_json(change: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Scores.from_dict({**scores_at([1.0]).to_dict(), **change})


def test_files_from_before_a_key_are_read_and_written_as_they_were() -> None:
    value = scores_at([1.0, 30.0]).to_dict()
    assert "n_trained_on" not in value
    assert Scores.from_dict(value).n_trained_on is None
    assert Scores.from_dict({**value, "n_trained_on": 3}).to_dict()["n_trained_on"] == 3
    with pytest.raises(ValueError, match="n_trained_on"):
        Scores.from_dict({**value, "n_trained_on": "3"})


def test_flat_scores_have_every_label_and_no_other() -> None:
    flat = scores_at([1.0, 30.0, 500.0]).flat()
    assert list(flat) == list(SCORE_LABELS)
    assert (flat["within_25"], flat["within_750"], flat["top1"]) == (pytest.approx(1 / 3), 1.0, None)
    assert flat == flat_scores(scores_at([1.0, 30.0, 500.0]).to_dict())
    assert flat_scores({"cells": 3, "balscore": 62.1, "within": {"25": 31.4}}) == {"balscore": 62.1, "within_25": 31.4}
    assert [score_label(name) for name in ("within_25", "within_10", "top1")] == [
        "within 25 km",
        "within 10 km",
        "top-1",
    ]
    assert [score_unit(name) for name in ("median_km", "balscore")] == ["km", "%"]


def test_the_definition_of_balscore_is_the_one_that_is_computed() -> None:
    assert "(within 25 km × within 200 km × within 750 km)^(1/3)" in BALSCORE_TEXT
    flat = scores_at([1.0, 30.0, 500.0, 2000.0]).flat()
    product = flat["within_25"] * flat["within_200"] * flat["within_750"]
    assert flat["balscore"] == pytest.approx(product ** (1 / 3))


BASELINE = {
    "n_locations": 2, "balscore": 0.5, "median_km": 1.0, "mean_km": 1.0, "geoscore": 4000.0,
    "within": {"1": 0.1, "25": 0.2, "200": 0.3, "750": 0.4, "2500": 0.5}, "intervals": {"balscore": [0.1, 0.9]},
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"macro": {"n_countries": "3"}}, "scores macro must have a number as 'n_countries'"),
        ({"macro": {"n_countries": 3, "balscore": None}}, "scores macro must have a number as 'balscore'"),
        ({"levels": {"level_0": {"n_groups": 2}}}, "scores levels level_0 must have 'accuracy'"),
        ({"baselines": {"1-NN": {**BASELINE, "within": {}}}}, "scores baselines 1-NN within must have"),
        ({"baselines": {"1-NN": {**BASELINE, "intervals": {}}}}, "1-NN intervals must have 'balscore'"),
        ({"baselines": {"1-NN": {**BASELINE, "intervals": {"balscore": ["a", 1]}}}}, "must have a number as 'low'"),
        ({"baselines": {"1-NN": {**BASELINE, "intervals": {"balscore": [1.0]}}}}, "scores"),
        ({"baselines": {"1-NN": 3}}, "must be a JSON object"),
    ],
)
def test_strange_further_scores(change: dict[str, object], message: str) -> None:
    value = scores_at([1.0, 30.0]).to_dict()
    assert Scores.from_dict({**value, "baselines": {"1-NN": BASELINE}}).baselines == {"1-NN": BASELINE}
    with pytest.raises(ValueError, match=message):
        Scores.from_dict({**value, **change})


def test_it_shows_itself_in_a_line_and_in_a_notebook() -> None:
    scores = scores_at([0.5, 20, 100], hits=(np.array([True, False, False]), np.array([True] * 3)), n_outside=1)
    low, high = scores.intervals["balscore"]
    text = repr(replace(scores, split=""))
    assert text.startswith("<Scores, 3 locations, decoder centroid: balscore ")
    assert f"{100 * scores.balscore:.1f} % [{100 * low:.1f}, {100 * high:.1f}], median 20.0 km, within 25 km" in text
    assert repr(replace(scores, split="a")).startswith("<Scores of split a, 3 locations")
    page = replace(scores, split="<b>", baselines={"1-NN": {"balscore": 0.5, "median_km": 7.0}})._repr_html_()
    for cell in ("66.7 %", "1-NN", "50.0 %", "&lt;b&gt;", "20.0 km"):
        assert f">{cell}</td>" in page
