"""What a sweep reached, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from geocell.reports.tables import ABSENT, folded, percent, text_table

PUBLISHED = ("cells", "top1", "balscore")
"""What the table shows of the published numbers, if they are there."""

Values = Mapping[str, Any]


def sweep_text(
    summary: Sequence[Values], note: str, failed: Mapping[str, str], baselines: Sequence[Values] = ()
) -> str:
    """Return the table of a sweep for the terminal, with the baselines below its rows, and what could not be fitted.

    Args:
        summary: what `SweepResult.summary` returns.
        note: decoder, split and number of locations.
        failed: name of a row -> why it could not be fitted.
        baselines: lines of `SweepResult.baselines`.
    """
    published = [name for name in PUBLISHED if any(line[f"published_{name}"] is not None for line in summary)]
    several = any(line["seeds"] > 1 for line in summary)
    header = ["head", "partition", "cells", "seeds", "top-1", "median km", "balscore", "95 %"]
    header += ["± seeds"] if several else []
    header += [f"published {name}".replace("top1", "top-1") for name in published]
    rows = [_cells(line, published, several) for line in summary]
    rows += [_baseline_cells(line, len(header)) for line in baselines]
    table = text_table(header, rows, left=2)
    remarks = f"{note} · top-1 and balscore in % · 95 %: interval over places, or what the splits kept together"
    remarks += " · ± seeds: half the 95 % interval of the mean over seeds" if several else ""
    remarks += " · published: by their authors, on their own locations" if published else ""
    reasons = [f"{name} was not fitted: {reason}" for name, reason in failed.items()]
    return "\n".join([table, folded(remarks), *reasons])


def _cells(line: Values, published: Sequence[str], several: bool) -> list[str]:
    """Return the texts of one line of the table."""
    interval = ABSENT
    if line["balscore_low"] is not None:
        interval = f"[{percent(line['balscore_low'])}, {percent(line['balscore_high'])}]"
    spread = None if line["balscore_seeds_low"] is None else line["balscore"] - line["balscore_seeds_low"]
    median = ABSENT if line["median_km"] is None else f"{line['median_km']:,.1f}"
    texts = [line["head"], line["partition"], _count(line["n_cells"]), str(line["seeds"]), _share(line["top1"])]
    texts += [median, _share(line["balscore"]), interval]
    texts += [_share(spread)] if several else []
    numbers = {name: line[f"published_{name}"] for name in published}
    return texts + [_count(value) if name == "cells" else _share(value) for name, value in numbers.items()]


def _baseline_cells(line: Values, width: int) -> list[str]:
    """Return the texts of a baseline, which has no seeds and no top-1."""
    interval = f"[{percent(line['balscore_low'])}, {percent(line['balscore_high'])}]"
    texts = [line["baseline"], line["partition"] or ABSENT, _count(line["n_cells"]), ABSENT, ABSENT]
    texts += [f"{line['median_km']:,.1f}", percent(line["balscore"]), interval]
    return texts + [ABSENT] * (width - len(texts))


def _share(value: float | None) -> str:
    return ABSENT if value is None else percent(value)


def _count(value: float | None) -> str:
    return ABSENT if value is None else f"{value:,.0f}"
