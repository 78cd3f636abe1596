"""What `score` and `compare` do with tables of predictions instead of heads; nothing here loads torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar, get_args

from geocell.cli.output import UsageError, emit, note, said_warnings, usage_errors
from geocell.evaluation.benchmarks import Benchmark, Missing, not_pinned_remark
from geocell.metrics.clusters import PLACE

T = TypeVar("T")


@dataclass(frozen=True)
class TableFlags:
    """Flags that say how tables of predictions and of the truth are read and scored; see `score_predictions`."""

    preset: Benchmark | None = None
    missing: Missing = "error"
    truth_sha256: str | None = None
    cluster: str | None = None

    def require_none(self) -> None:
        """Refuse them where there are no tables."""
        if replace(self, cluster=None) != TableFlags():
            raise UsageError(
                "--preset, --missing and --truth-sha256 belong to --predictions, and there are none: add them."
            )

    def checked(self) -> dict[str, Any]:
        """Return them as arguments; refuse values that cannot be."""
        from geocell.evaluation.predictions import require_sha256

        with usage_errors():
            if self.truth_sha256 is not None:
                require_sha256(self.truth_sha256)
        return {**asdict(self), "cluster": self.cluster or PLACE}


def require_tables(predictions: T | None, truth: Path | None, of_heads: Mapping[str, object]) -> tuple[T, Path]:
    """Return predictions and truth; refuse the one without the other, and both together with what heads need."""
    if predictions is None or truth is None:
        lacking = "--predictions" if predictions is None else "--truth"
        raise UsageError(f"--predictions and --truth go together, and {lacking} is missing: add it.")
    given = [name for name, value in of_heads.items() if value is not None]
    if given:
        raise UsageError(f"--predictions needs no head, got {given[0]} as well: leave one of them out.")
    return predictions, truth


def require_no_table(command: str, *heads: str | None) -> None:
    """Refuse a table where a head is expected, and say how tables are named."""
    from geocell.cli.mistyped import is_table_file, tables_command

    typed = [head for head in heads if head is not None and is_table_file(head)]
    if typed:
        raise UsageError(
            f"{command} takes heads without a flag, got the table {typed[0]}: to {command} tables of predictions, "
            f"type {tables_command(command, typed)}."
        )


def score_tables(
    tables: tuple[Path, Path], flags: TableFlags, out: Path | None, overwrite: bool, by_country: bool, json: bool
) -> None:
    """Score a table of predictions against a table of the truth, and print the scores or write them to `out`."""
    from geocell.evaluation.predictions import score_predictions
    from geocell.evaluation.published import PublishedBenchmark, published_scores
    from geocell.files import require_new, write_json
    from geocell.reports.published import published_json, published_text
    from geocell.reports.score_details import countries_text, details_text
    from geocell.reports.tables import folded
    from geocell.reports.text import score_table

    read = flags.checked()
    if out is not None:
        require_new(out, overwrite)
    elif overwrite:
        raise UsageError("--overwrite replaces the file that --out names, and there is none: leave it out.")
    predictions, truth = tables
    with said_warnings():
        scores = score_predictions(predictions, truth, **read).to_dict()
    if remark := not_pinned_remark(flags.preset, flags.truth_sha256, scores["truth_sha256"]):
        note(remark)
    row = {"head": predictions.name, **scores, "n_cells": None}
    try:
        parts = [
            score_table([row]),
            folded(details_text(scores)),
            *([f"\n{countries_text(scores)}"] if by_country else []),
        ]
        shown = scores
        if flags.preset is not None and flags.preset in get_args(PublishedBenchmark):
            others = published_scores(flags.preset)
            shown = {**scores, "published": published_json(others)}
            parts.append(f"\n{published_text(others)}")
        emit(shown, "\n".join(parts), json)
    finally:
        if out is not None:
            write_json(out, scores)


def compare_tables(tables: tuple[tuple[Path, Path], Path], flags: TableFlags, json: bool) -> None:
    """Compare two tables of predictions of the same truth, and print how far they are apart."""
    from geocell.evaluation.predictions import compare_predictions
    from geocell.reports.comparisons import comparison_text

    pair, truth = tables
    read = flags.checked()
    with said_warnings():
        comparison = compare_predictions(*pair, truth, **read)
    a, b = map(str, pair)
    said = {"sentence": comparison.sentence(a, b)}
    emit(
        {"predictions_a": a, "predictions_b": b, **comparison.to_dict(), **said},
        comparison_text(comparison, a, b),
        json,
    )
