"""The table of a sweep as text."""

import re
from typing import Any

from geocell.reports.sweeps import sweep_text


def line(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "head": "a", "partition": "h3", "seeds": 1, "n_cells": 1234, "top1": 0.25, "median_km": 1050.04,
        "balscore": 0.5, "balscore_low": 0.45, "balscore_high": 0.55, "balscore_seeds_low": None,
        "published_cells": None, "published_top1": None, "published_balscore": None,
    }  # fmt: skip
    return values | changes


def cells(text: str) -> list[list[str]]:
    return [re.split(r"\s{2,}", row.strip()) for row in text.splitlines()]


def test_a_row_has_percent_and_km() -> None:
    header, _, row, note = cells(sweep_text([line()], "centroid, val", {}))
    assert header == ["head", "partition", "cells", "seeds", "top-1", "median km", "balscore", "95 %"]
    assert row == ["a", "h3", "1,234", "1", "25.0", "1,050.0", "50.0", "[45.0, 55.0]"]
    assert note[0].startswith("centroid, val")
    assert "seeds:" not in note[0]


def test_seeds_have_half_their_interval() -> None:
    header, _, several, one, note = cells(sweep_text([line(seeds=3, balscore_seeds_low=0.47), line()], "n", {}))
    assert header[-1] == "± seeds"
    assert several[-1] == "3.0"
    assert not re.search(r"\d", one[-1])
    assert "± seeds" in note[0]


def test_published_numbers_are_shown_where_there_are_any() -> None:
    header, _, row, other, note = cells(
        sweep_text([line(published_cells=2059, published_balscore=0.615), line()], "n", {})
    )
    assert header[-2:] == ["published cells", "published balscore"]
    assert row[-2:] == ["2,059", "61.5"]
    assert not any(re.search(r"\d", text) for text in other[-2:])
    assert "by their authors" in note[0]


def test_what_was_not_fitted_is_a_row_without_numbers_and_a_reason() -> None:
    nothing = dict.fromkeys(("n_cells", "top1", "median_km", "balscore", "balscore_low", "balscore_high"))
    text = sweep_text([line(head="b", seeds=0, **nothing)], "n", {"b": "no cells."})
    assert text.splitlines()[-1] == "b was not fitted: no cells."
    row = cells(text)[2]
    assert row[:2] == ["b", "h3"]
    assert [cell for cell in row[2:] if re.search(r"\d", cell)] == ["0"]
