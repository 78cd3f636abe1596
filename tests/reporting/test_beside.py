"""Scores beside others: each row has its own, and the paired difference to the head."""

import numpy as np
import pytest

from geocell.evaluation.comparison import compare
from geocell.evaluation.score import score
from geocell.features import FeatureCache
from geocell.heads.head import Head
from geocell.metrics.outcomes import Outcomes
from geocell.reporting.beside import score_row
from geocell.reporting.measured import Measured
from geocell.splits.splits import Splits


def test_rows_are_what_score_and_compare_say(made: Measured, head: Head, world: object) -> None:
    folder = str(world)
    splits = Splits.load(f"{folder}/splits.json")
    test = splits.select(FeatureCache.open(f"{folder}/cache").locations(), "test")
    own, other, *baselines = made.value["rows"]
    scores = score(head, test, "within:200")
    assert own["values"]["balscore"] == scores.balscore
    assert own["intervals"]["median_km"] == list(scores.intervals["median_km"])
    assert "difference" not in own
    assert [row["name"] for row in (own, other)] == ["mine", "other"]
    assert {row["name"] for row in baselines} == {"1-NN", "majority cell"}
    from geocell.heads.head import load_head

    compared = compare(head, load_head(f"{folder}/head"), test, "within:200")
    for name, (difference, low, high) in other["difference"].items():
        assert difference == pytest.approx(compared.differences[name])
        assert (low, high) == pytest.approx(compared.intervals[name]), name
    for row in baselines:
        assert row["values"]["country_accuracy"] <= 1
        for name, (difference, low, high) in row["difference"].items():
            assert difference == pytest.approx(own["values"][name] - row["values"][name])
            assert low <= difference <= high


def test_a_single_place_has_no_interval_of_its_mean() -> None:
    row = score_row("a", "", "", Outcomes(np.array([3.0])), None)
    assert row["values"]["mean_km"] == 3.0
    assert "mean_km" not in row["intervals"]
