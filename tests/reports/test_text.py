"""Tables: numbers, percent, what is absent, and what all rows share."""

from __future__ import annotations

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
    rows = [{"partition": name, **gc.audit(partition, places, dim=8).to_dict()} for name in ("a", "b")]
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


def test_fitted_decoders_have_few_digits() -> None:
    spec = "balscore:0.3137254901,0.61,0.9000000001,places=8"
    text = score_table([{**SCORES, "decoder": spec}])
    assert "decoder balscore:0.314,0.61,0.9,places=8 ·" in text
