"""A comparison of two heads as text."""

from __future__ import annotations

import numpy as np

from geocell.evaluation.comparison import Comparison, signed
from geocell.metrics.scores import score_unit
from geocell.reports.tables import folded, percent, text_table


def comparison_text(comparison: Comparison, a: str = "A", b: str = "B") -> str:
    """Return a table of scores, differences and intervals for the terminal, and the sentence."""
    rows = []
    for name, difference in comparison.differences.items():
        share = score_unit(name) == "%"
        form = percent if share else "{:,.1f}".format
        factor = 100 if share else 1
        low, high = (signed(factor * end) for end in comparison.intervals.get(name, (np.nan, np.nan)))
        words = name.replace("within_", "≤").replace("top", "top-").replace("quantile_", "quantile ").replace("_", " ")
        rows.append([words, form(comparison.a[name]), form(comparison.b[name]), signed(factor * difference), low, high])
    table = text_table(["score", "A", "B", "A − B", "low", "high"], rows, left=1)
    other = "" if comparison.decoder_b is None else f" for A, {comparison.decoder_b} for B"
    note = (
        f"A {a} · B {b} · decoder {comparison.decoder}{other} · shares and balscore in % · low, high: 95 % "
        f"interval of A − B, by a paired bootstrap over {comparison.drawn_text}"
    )
    return f"{table}\n{folded(note)}\n\n{folded(comparison.sentence(a, b))}"
