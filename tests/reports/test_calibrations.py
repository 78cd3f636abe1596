"""Calibrations and comparisons of decoders as text."""

from dataclasses import replace

import pytest

from geocell.evaluation.decoders import DecoderComparison
from geocell.heads.region import fit_region
from geocell.reports.calibrations import calibration_text, combination_text, decoders_text, region_text
from tests.heads.test_calibration import LEARNED
from tests.heads.test_combination import complete
from tests.heads.test_head import make_head, world

ERRORS = {"ece": 0.2, "nll": 2.0, "brier": 0.9}


def test_a_calibration() -> None:
    record = {"before": ERRORS, "after": {**ERRORS, "ece": 0.05}, "coverage": {"50": 0.49, "90": 0.91}}
    text = calibration_text(replace(LEARNED, record=record))
    assert text.startswith(
        "temperature 2.5; the decoder balscore reaches 10.0 % within 25 km, 40.0 % within 200 km, 70"
    )
    assert text.endswith(
        "radii around the answers of balscore contain the true position: 49.0 % of the time for 50 % and 91.0 % of the "
        "time for 90 %"
    )
    lines = text.splitlines()
    assert [line.split()[-2:] for line in lines if "error" in line] == [["20", "5"]]
    assert calibration_text(LEARNED).count("\n") == 0


def test_a_region() -> None:
    region = fit_region(make_head(), world(), world(1))
    assert region_text(region) == (
        f"outside the region: flagged above {region.threshold:.2f}, by the angle to {len(region.components)} principal "
        "components of 40 training locations and the entropy; 5 % false alarms, by 40 validation locations"
    )


@pytest.mark.parametrize("asked", [True, False])
def test_a_vote_that_is_not_best_is_said(asked: bool) -> None:
    row = {"pool": "linear", "objective": -1.6}
    tried = [row, {**row, "temperature": 0.03, "share": 0.0}] if asked else [row]
    both = complete()
    silent = replace(
        both, pooling=replace(both.pooling, vote=None), neighbours=None, record={**both.record, "tried": tried}
    )
    text = combination_text(silent)
    assert ("the nearest training features do not vote" in text) is asked


def test_decoders() -> None:
    values = {
        "balscore": 0.5,
        "within_25": 0.3,
        "within_200": 0.6,
        "within_750": 0.7,
        "geoscore": 2500.0,
        "median_km": 90.0,
        "mean_km": 400.0,
    }
    comparison = DecoderComparison(
        "val", 100, {"centroid": values, "medoid": {**values, "balscore": 0.55}},
        {"medoid": {"balscore": (-0.01, 0.11)}}, {"offset": "decode offset needs offsets"}, True,
    )  # fmt: skip
    text = decoders_text(comparison)
    assert "+5.0 [−1.0, +11.0]" in text
    assert "left out: decode offset needs offsets" in text
    assert "balscore: medoid is ahead of centroid, but these locations cannot tell them apart." in text
