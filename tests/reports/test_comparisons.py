"""Comparisons as text."""

import re

from geocell.evaluation.comparison import Comparison
from geocell.reports.comparisons import comparison_text


def comparison_with(difference: float, low: float, high: float) -> Comparison:
    return Comparison(
        decoder="centroid", split="test", n_locations=1234, a={"balscore": 0.5, "mean_km": 90.0},
        b={"balscore": 0.5 - difference, "mean_km": 80.0}, differences={"balscore": difference, "mean_km": 10.0},
        intervals={"balscore": (low, high), "mean_km": (-5.0, 25.0)}, n_same=3,
    )  # fmt: skip


def test_the_table_has_percent_and_km() -> None:
    lines = comparison_text(comparison_with(0.02, 0.01, 0.03), "one", "two").splitlines()
    assert re.split(r"\s{2,}", lines[2].strip()) == ["balscore", "50.0", "48.0", "+2.0", "+1.0", "+3.0"]
    assert re.split(r"\s{2,}", lines[3].strip()) == ["mean km", "90.0", "80.0", "+10.0", "−5.0", "+25.0"]
    assert lines[4].startswith("A one · B two · decoder centroid")
