"""Tables: numbers, percent, what is absent, what all rows share, and the text of one prediction."""

from __future__ import annotations

import re

import numpy as np
import pytest

import geocell as gc
from geocell.evaluation.score import scores_of
from geocell.metrics.outcomes import outcomes_of
from geocell.partitioners import KDTreePartitioner
from geocell.reports.tables import percent
from geocell.reports.text import (
    COLUMNS,
    audit_table,
    country_table,
    markdown_table,
    prediction_text,
    predictions_text,
    score_table,
)

SCORES = {
    "format": 1,
    "decoder": "centroid",
    "split": "test",
    "n_locations": 5600,
    "n_cells": 1898,
    "n_outside": 0,
    "top1": 0.297,
    "top5": 0.586,
    "median_km": 51.9,
    "mean_km": 1122.64,
    "within": {"1": 0.001, "25": 0.314, "200": 0.81, "750": 0.986, "2500": 1.0},
    "balscore": 0.63059,
    "intervals": {"balscore": [0.61, 0.6502]},
    "partition_sha256": "ab" * 32,
}


def table(text: str) -> list[list[str]]:
    """The fields of every line of a table; columns stand at least two spaces apart."""
    return [line.split() for line in text.split("\n")]


def test_numbers_and_their_columns() -> None:
    lines = table(score_table([{"head": "v13", "partition": "h3", **SCORES}]))
    assert " ".join(lines[0]) == ("head partition cells top-1 top-5 median km mean km ≤1 ≤25 ≤200 ≤750 ≤2500 balscore")
    assert " ".join(lines[2]) == "v13 h3 1,898 29.7 58.6 51.9 1,122.6 0.1 31.4 81.0 98.6 100.0 63.1 [61.0, 65.0]"


def test_what_all_rows_share_stands_below() -> None:
    rows = [{"head": "a", **SCORES}, {"head": "b", **SCORES}]
    note = score_table(rows).split("\n")[-1]
    assert note.startswith("decoder centroid · split test · 5,600 locations · ")
    assert "95 % interval" in note
    assert "decoder" not in score_table(rows).split("\n")[0]


def test_what_rows_do_not_share_is_a_column() -> None:
    lines = score_table([{"head": "a", **SCORES}, {"head": "b", **SCORES, "decoder": "mean"}]).split("\n")
    assert "decoder" in lines[0]
    assert "centroid" in lines[2]
    assert "mean" in lines[3]
    assert "decoder" not in lines[-1]


def test_columns_are_aligned() -> None:
    rows = [{"head": "short", **SCORES}, {"head": "much longer", **SCORES, "n_cells": 7, "median_km": 4321.0}]
    header, rule, first, second, _ = score_table(rows).split("\n")
    assert len(rule) == len(first) == len(second)
    assert first.index("1,898") + len("1,898") == second.index(" 7 ") + 2 == header.index("cells") + len("cells")
    assert second.startswith("much longer  ")
    assert set(rule) == {"─"}


def test_absent_values_are_dashes_and_empty_columns_vanish() -> None:
    known = {"head": "a", **SCORES}
    unknown = {"head": "b", **SCORES, "top1": None, "top5": None, "intervals": {}}
    assert table(score_table([known, unknown]))[3][2:4] == ["–", "–"]
    assert "top-1" not in score_table([unknown]).split("\n")[0]
    assert "[" not in score_table([unknown])


def test_locations_outside_get_a_column_only_when_there_are_some() -> None:
    assert "outside" not in score_table([{"head": "a", **SCORES}])
    lines = table(score_table([{"head": "a", **SCORES, "n_outside": 3}]))
    assert lines[2][lines[0].index("outside")] == "3"


def test_named_columns() -> None:
    rows = [{"head": "a", "something": "else", **SCORES}]
    lines = score_table(rows, ["balscore", "decoder", "head"]).split("\n")
    assert lines[0].split() == ["balscore", "decoder", "head"]
    assert lines[2].split() == ["63.1", "[61.0,", "65.0]", "centroid", "a"]
    assert "else" not in score_table(rows)
    assert score_table(rows, ["head", "top1"]).split("\n")[0].split() == ["head", "top-1"]
    assert score_table(rows, ["head", "median_km"]).count("\n") == 2  # nothing in %: no note


def test_unknown_columns_and_no_rows_are_refused() -> None:
    with pytest.raises(ValueError, match=r"columns must be among head, .*, balscore, got accuracy"):
        score_table([SCORES], ["head", "accuracy"])
    with pytest.raises(ValueError, match="at least one row, got none"):
        markdown_table([])


@pytest.mark.parametrize("bad", ["0.3", True, [0.3]])
def test_a_score_that_is_no_number_is_refused(bad: object) -> None:
    with pytest.raises(TypeError, match="must hold a number or null as 'top1'"):
        score_table([{**SCORES, "top1": bad}])


def test_markdown_has_the_same_numbers() -> None:
    rows = [{"head": "a|b", "partition": "h3", **SCORES}]
    lines = markdown_table(rows).split("\n")
    assert lines[0].startswith("| head | partition | cells | top-1 |")
    assert lines[1].startswith("|---|---|---:|---:|")
    assert lines[2] == (
        r"| a\|b | h3 | 1,898 | 29.7 | 58.6 | 51.9 | 1,122.6 | 0.1 | 31.4 | 81.0 | 98.6 | 100.0 | 63.1 [61.0, 65.0] |"
    )
    assert lines[3] == ""
    assert lines[4] == score_table(rows).split("\n")[-1]
    assert len({line.replace(r"\|", "").count("|") for line in lines[:3]}) == 1


def test_real_scores_fit() -> None:
    truth = np.array([[48.0, 11.0], [52.0, 13.0], [40.0, -3.0], [60.0, 25.0]])
    scores = scores_of(outcomes_of(truth, truth), KDTreePartitioner(max_count=1).fit(truth), "mean", "val")
    lines = table(score_table([{"head": "perfect", **scores.to_dict()}]))
    assert " ".join(lines[2]) == "perfect 4 0.0 0.0 100.0 100.0 100.0 100.0 100.0 100.0 [54.1, 100.0]"
    keys = {column.key for column in COLUMNS}
    in_json_alone = {"geoscore", "geoscore_rounded", "quantiles_km", "n_trained_on", "countries", "head_sha256"}
    in_json_alone |= {"clustered_by", "n_clusters"}
    parts = {"format", "within", "intervals", "partition_sha256"}
    assert set(scores.to_dict()) - in_json_alone - parts <= keys


def test_a_single_row_has_the_interval_of_every_score() -> None:
    truth = np.array([[48.0, 11.0], [52.0, 13.0], [40.0, -3.0], [60.0, 25.0]])
    scores = scores_of(
        outcomes_of(truth + np.array([0, 0.1]), truth), KDTreePartitioner(max_count=1).fit(truth), "mean"
    )
    row = {"head": "near", **scores.to_dict()}
    header, _, values, intervals, _ = score_table([row]).splitlines()
    low, high = scores.intervals["median_km"]
    assert intervals[header.index("median km") - 9 :].split("]")[0].strip() == f"[{low:.1f}, {high:.1f}"
    assert intervals.count("[") == 7
    assert "]" in values.split()[-1]
    assert len(score_table([row, row]).splitlines()) == 5
    assert len(score_table([{**row, "intervals": {}}]).splitlines()) == 4


def test_audits_side_by_side() -> None:
    places = np.array([[48.0, 11.0], [48.1, 11.1], [52.0, 13.0], [40.0, -3.0]])
    partition = KDTreePartitioner(max_count=2).fit(places)
    rows = [{"partition": name, **gc.audit(partition, places).to_dict()} for name in ("a", "b")]
    cells, ceilings, advice = audit_table(rows).split("\n\n")
    lines = table(cells)
    header = "partition kind cells fewest median most single Gini weights radius km area km² parameters"
    assert " ".join(lines[0]) == header
    fields = dict(zip([*lines[0][:9], "radius"], lines[2], strict=False))
    assert fields["kind"] == "kdtree"
    assert fields["cells"] == str(len(partition))
    assert fields["most"] == str(partition.counts.max())
    assert fields["weights"] == "1–1"
    assert float(fields["radius"].replace(",", "")) == pytest.approx(np.median(partition.radius_km), abs=0.05)
    lines = table(ceilings)
    assert " ".join(lines[0]) == ("partition fallback outside median km mean km ≤1 ≤25 ≤200 ≤750 ≤2500 balscore")
    assert lines[2][:3] == ["a", "0.0", "0.0"]
    low, high = rows[0]["intervals"]["balscore"]
    assert lines[2][-3:] == [percent(rows[0]["balscore"]), f"[{percent(low)},", f"{percent(high)}]"]
    assert "4 locations · ≤km" in ceilings
    assert "balscore in % · [95 % interval over 4 places]" in ceilings
    assert "top-k" not in ceilings
    assert advice.splitlines() == [f"{name}: {text}" for name in ("a", "b") for text in rows[0]["advice"]]
    with pytest.raises(ValueError, match="at least one row"):
        audit_table([])


def test_countries_stand_with_the_worst_first() -> None:
    places = np.array([[48.0, 11.0], [48.1, 11.1], [52.0, 13.0], [40.0, -3.0]])
    partition = KDTreePartitioner(max_count=1).fit(places)
    audit = gc.audit(partition, places + np.array([[0, 0], [0, 0], [0, 0], [1, 0]]), ["DE", "DE", "DE", "ES"])
    lines = table(country_table([{"partition": "a", **audit.to_dict()}]))
    assert lines[0][:3] == ["partition", "country", "locations"]
    assert [line[:3] for line in lines[2:4]] == [["a", "ES", "1"], ["a", "DE", "3"]]
    with pytest.raises(ValueError, match="need a column 'country'"):
        country_table([{"partition": "a", **audit.to_dict(), "countries": {}}])


PREDICTION = {
    "location": "photo.jpg",
    "lat": 48.1372,
    "lon": 11.5755,
    "decoder": "centroid",
    "cells": [
        {"cell": 3, "name": "841f8ddffffffff", "probability": 0.4123, "lat": 48.1372, "lon": 11.5755},
        {"cell": 0, "name": "DE300", "probability": 0.05, "lat": -52.52, "lon": 113.405},
    ],
}


def test_prediction() -> None:
    lines = prediction_text(PREDICTION).split("\n")
    assert lines[0] == "photo.jpg: 48.1372, 11.5755  (decoder centroid)"
    assert lines[1].split() == ["probability", "cell", "centroid", "lat", "lon"]
    assert lines[2].split() == ["1", "41.2", "%", "841f8ddffffffff", "48.1372", "11.5755"]
    assert lines[3].split() == ["2", "5.0", "%", "DE300", "-52.5200", "113.4050"]
    assert len({len(line) for line in lines[1:]}) == 1


def test_prediction_with_the_truth() -> None:
    text = prediction_text({**PREDICTION, "truth": {"lat": 48.1372, "lon": 12.5755}})
    lines = text.split("\n")
    assert lines[1] == "  truth 48.1372, 12.5755, 74.2 km away"  # 111.195 km · cos(48.1372°) along the parallel
    assert lines[2].endswith("km to truth")
    assert lines[3].endswith(" 74.2")


def test_prediction_with_places_and_radii() -> None:
    cells = [dict(cell, place=place) for cell, place in zip(PREDICTION["cells"], ("Munich, Germany", ""), strict=True)]
    more = {"place": "Munich, Germany", "radius_50_km": 12.34, "radius_90_km": 1234.5, "cells": cells}
    lines = prediction_text({**PREDICTION, **more}).split("\n")
    assert lines[1] == "  Munich, Germany"
    assert lines[2] == "  50 % of the probability within 12.3 km and 90 % within 1,234.5 km (not calibrated)"
    assert lines[3].split()[:3] == ["probability", "cell", "place"]
    assert re.search("841f8ddffffffff +Munich, Germany +48.1372", lines[4])


def test_predictions_that_have_no_answer_say_why() -> None:
    bad = {"location": "x.jpg", "lat": None, "lon": None, "problem": "no such file", "cells": []}
    assert prediction_text(bad) == "x.jpg: no answer: no such file"
    away = [{**PREDICTION, "truth": {"lat": 48.0, "lon": 11.0}, "distance_km": km} for km in (10.0, 30.0)]
    blocks = predictions_text([bad, *away]).split("\n\n")
    assert blocks[0] == "x.jpg: no answer: no such file"
    assert blocks[-1] == "2 of 3 located; median distance to the truth, known for 2: 20.0 km"
    assert predictions_text([bad]) == prediction_text(bad)
    withheld = predictions_text([{**away[0], "abstained": True}, away[1]]).split("\n\n")
    assert "  withheld: less sure than asked for" in withheld[0].splitlines()
    assert withheld[-1] == (
        "2 of 2 located, 1 of these answers withheld (50.0 % answered); median distance to the truth, known for 1: "
        "30.0 km"
    )


def test_prediction_with_sets() -> None:
    areas = {"area_50_km2": 1234.5, "area_90_km2": 7_654_321.0}
    assert prediction_text({**PREDICTION, **areas, "sets": "hpd"}).split("\n")[1] == (
        "  50 % within 1,230 km² and 90 % within 7,650,000 km² (cells by hpd)"
    )
    by_mass = prediction_text({**PREDICTION, **areas, "sets": "mass"})
    assert (
        "  50 % of the probability in 1,230 km² and 90 % of the probability in 7,650,000 km² (cells by mass)" in by_mass
    )
    assert "km²" not in prediction_text({**PREDICTION, **areas, "sets": ""})


def test_prediction_without_cells_or_coordinates() -> None:
    assert prediction_text({"location": "x", "lat": 1, "lon": 2.5}) == "x: 1.0000, 2.5000"
    with pytest.raises(ValueError, match="a prediction must hold degrees as 'lat' and 'lon', got"):
        prediction_text({"location": "x"})
