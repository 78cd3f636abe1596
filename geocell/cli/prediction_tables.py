"""What `score` and `compare` do with tables of predictions instead of heads; nothing here loads torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from geocell.cli.output import UsageError, emit
from geocell.evaluation.benchmarks import Benchmark, Missing
from geocell.metrics.clusters import PLACE

if TYPE_CHECKING:
    from geocell.metrics.scores import Scores

T = TypeVar("T")


def require_tables(predictions: T | None, truth: Path | None, of_heads: Mapping[str, object]) -> tuple[T, Path]:
    """Return predictions and truth; refuse the one without the other, and both together with what heads need."""
    if predictions is None or truth is None:
        lacking = "--predictions" if predictions is None else "--truth"
        raise UsageError(f"--predictions and --truth go together, and {lacking} is missing: add it.")
    given = [name for name, value in of_heads.items() if value is not None]
    if given:
        raise UsageError(f"--predictions needs no head, got {given[0]} as well: leave one of them out.")
    return predictions, truth


def require_no_table_flags(preset: Benchmark | None, missing: Missing) -> None:
    """Refuse flags that say how tables are read where there are none."""
    if preset is not None or missing != "error":
        raise UsageError("--preset and --missing belong to --predictions, and there are none: add them.")


def score_tables(
    tables: tuple[Path, Path],
    preset: Benchmark | None,
    missing: Missing,
    cluster: str | None,
    out: Path | None,
    overwrite: bool,
    json: bool,
) -> None:
    """Score a table of predictions against a table of the truth, and print the scores or write them to `out`."""
    from geocell.evaluation.predictions import score_predictions
    from geocell.files import require_new, write_json
    from geocell.reports.text import score_table

    if out is not None:
        require_new(out, overwrite)
    predictions, truth = tables
    scores = score_predictions(predictions, truth, preset=preset, missing=missing, cluster=cluster or PLACE)
    row = {"head": predictions.name, "partition": "–", **scores.to_dict()}
    try:
        emit(scores.to_dict(), f"{score_table([row])}\n{_points_text(scores)}", json)
    finally:
        if out is not None:
            write_json(out, scores.to_dict())


def compare_tables(
    tables: tuple[tuple[Path, Path], Path],
    preset: Benchmark | None,
    missing: Missing,
    cluster: str | None,
    json: bool,
) -> None:
    """Compare two tables of predictions of the same truth, and print how far they are apart."""
    from geocell.evaluation.predictions import compare_predictions
    from geocell.reports.comparisons import comparison_text

    pair, truth = tables
    comparison = compare_predictions(*pair, truth, preset=preset, missing=missing, cluster=cluster or PLACE)
    a, b = map(str, pair)
    said = {"sentence": comparison.sentence(a, b)}
    emit(
        {"predictions_a": a, "predictions_b": b, **comparison.to_dict(), **said},
        comparison_text(comparison, a, b),
        json,
    )


def _points_text(scores: Scores) -> str:
    """Return GeoScore, quantiles and the number of missing rows as a line."""
    quantiles = ", ".join(f"{km:,.1f} km {100 * share:.0f} %" for share, km in (scores.quantiles_km or {}).items())
    return (
        f"GeoScore {scores.geoscore:,.1f} ({scores.geoscore_rounded:,.1f} with points rounded) · within {quantiles} · "
        f"{scores.n_missing:,} locations without a prediction"
    )
