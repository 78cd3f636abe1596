"""Published scores on public benchmarks, to stand beside what was measured; none of them was measured here."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, get_args

from geocell.metrics.outcomes import RADII_KM

PublishedBenchmark = Literal["im2gps", "im2gps3k"]


@dataclass(frozen=True)
class PublishedScore:
    """The shares that a model reaches on a benchmark, as its authors say.

    Attributes:
        model: what it is called, and by whom.
        source: where the numbers stand.
        within: radius in km -> fraction; radii that were not published are left out.
        zero_shot: whether the model saw no location.
    """

    model: str
    source: str
    within: Mapping[int, float]
    zero_shot: bool = False


def published_scores(benchmark: str) -> tuple[PublishedScore, ...]:
    """Return what was published on a benchmark.

    Args:
        benchmark: im2gps or im2gps3k.

    Raises:
        ValueError: for another benchmark.
    """
    if benchmark not in get_args(PublishedBenchmark):
        known = ", ".join(get_args(PublishedBenchmark))
        raise ValueError(f"published scores are known of {known}, got {benchmark!r}.")
    return _tables()[benchmark]


@cache
def _tables() -> dict[str, tuple[PublishedScore, ...]]:
    text = files("geocell.evaluation").joinpath("published.toml").read_text(encoding="utf-8")
    return {
        name: tuple(
            PublishedScore(
                row["model"],
                row["source"],
                {r: row["within"][str(r)] / 100 for r in RADII_KM if str(r) in row["within"]},
                row.get("zero_shot", False),
            )
            for row in rows
        )
        for name, rows in tomllib.loads(text).items()
    }
