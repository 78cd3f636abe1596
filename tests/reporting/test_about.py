"""What a report says a head is."""

import json
from dataclasses import replace

from geocell.heads.head import Head
from geocell.reporting.about import about_head, short
from tests.reporting.conftest import HOSTILE
from tests.zeroshot.worlds import made as zero_shot


def test_head_cells_fit_and_calibration(head: Head) -> None:
    about = about_head(head, HOSTILE)
    json.dumps(about, allow_nan=False)
    assert about["name"] == short(HOSTILE)
    assert "\x1b" not in about["name"]
    assert (about["kind"], about["sha256"]) == ("head", head.sha256)
    assert about["encoder"]["name"] == "tiny"
    assert about["partition"] | {"parameters": {}} == {
        "kind": "kmeans",
        "n_cells": 6,
        "sha256": head.partition.sha256,
        "parameters": {},
        "n_train": 75,
        "assigns": True,
    }
    assert about["partition"]["parameters"]["k"] == "6"
    assert about["fit"]["n_train"] == 75
    assert about["fit"]["config"]["epochs"] == 20
    assert head.calibration is not None
    assert about["calibration"]["temperature"] == head.calibration.temperature
    assert about["calibration"]["n_locations"] == 30
    assert about_head(replace(head, calibration=None), "x")["calibration"] is None


def test_no_path_of_a_partition_is_told(head: Head) -> None:
    partition = replace(head.partition, parameters={"path": "/home/me/secret.geojson", "k": 6})
    assert "secret" not in json.dumps(about_head(replace(head, partition=partition), "x"))


def test_a_zero_shot_classifier_is_its_texts() -> None:
    about = about_head(zero_shot(), "zs")
    assert about["kind"] == "zero-shot classifier"
    assert about["fit"]["templates"]["city"] == "A Street View photo from {city}."
    assert about["partition"]["assigns"] is False
    assert about["partition"]["n_train"] is None


def test_texts_of_others_are_bounded() -> None:
    assert short("a" * 120) == "a" * 120
    assert short("a" * 121) == "a" * 119 + "…"
