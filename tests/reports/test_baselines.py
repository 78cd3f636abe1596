"""Rows and sentences of baselines."""

import numpy as np

from geocell.evaluation.baselines import baselines_of
from geocell.metrics.outcomes import Outcomes
from geocell.partitioners import KMeansPartitioner
from geocell.reports.baselines import baseline_rows, baselines_text
from geocell.reports.text import score_table
from tests.evaluation.test_baselines import TEST, TRAIN


def test_rows_stand_below_the_head_and_its_intervals() -> None:
    partition = KMeansPartitioner(k=2, seed=0).fit(TRAIN.latlon)
    found = baselines_of(partition, TEST, TRAIN)
    row = {
        "head": "mine", "n_cells": 2, "decoder": "centroid", "n_locations": 2, "within": {"200": 0.5}, "balscore": 0.5,
        "intervals": {"within_200": [0.25, 0.75]},
    }  # fmt: skip
    rows = baseline_rows(found, row)
    assert [(line["head"], line.get("n_cells"), line["decoder"]) for line in rows] == [
        ("majority cell", 2, "centroid"),
        ("1-NN", None, "centroid"),
    ]
    lines = score_table([row], beside=rows).splitlines()
    assert lines[2].startswith("mine")
    assert "[25.0, 75.0]" in lines[3]
    assert [line.split("  ")[0] for line in lines[4:6]] == ["majority cell", "1-NN"]
    assert lines[6].startswith("decoder centroid · 2 locations")


def test_the_sentence_is_about_the_hardest_of_them() -> None:
    partition = KMeansPartitioner(k=2, seed=0).fit(TRAIN.latlon)
    text = baselines_text(baselines_of(partition, TEST, TRAIN, Outcomes(np.array([5000.0, 5000.0]))))
    assert "1-NN: the nearest of 3 training locations by features" in text
    assert "the head or 1-NN" in text.splitlines()[-1]
    assert (
        "majority cell"
        in baselines_text(baselines_of(partition, TEST, None, Outcomes(np.array([1.0, 2.0])))).split("\n")[-1]
    )
    assert baselines_text({}) == ""
