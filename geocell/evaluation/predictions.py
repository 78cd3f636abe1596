"""Scores of anybody's predictions: tables of id, latitude and longitude against a table of the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from geocell.evaluation.benchmarks import BENCHMARK_ROWS, BENCHMARK_TRUTHS, Benchmark, Missing
from geocell.evaluation.clusters import clusters_at
from geocell.evaluation.comparison import Comparison, comparison_of
from geocell.evaluation.countries import ACCURACY, same_country, with_countries
from geocell.evaluation.id_columns import matched
from geocell.evaluation.point_tables import PointTable, read_points
from geocell.evaluation.reliability import RADIUS_SHARES, confidence_errors, radius_coverage
from geocell.geo.geodesy import EARTH_RADIUS_KM, distance_km
from geocell.metrics.clusters import PLACE, Clusters
from geocell.metrics.geoscore import geoscore
from geocell.metrics.outcomes import RADII_KM, Outcomes
from geocell.metrics.quantiles import distance_quantiles
from geocell.metrics.scores import Scores
from geocell.splits.grouping import COUNTRY

_FARTHEST_KM = float(np.pi * EARTH_RADIUS_KM)
_CONFIDENCE = ("confidence", "probability")

Floats = NDArray[np.float64]


def score_predictions(
    predictions: Path | str,
    truth: Path | str,
    *,
    preset: Benchmark | None = None,
    missing: Missing = "error",
    truth_sha256: str | None = None,
    cluster: str = PLACE,
) -> Scores:
    """Return the scores of a table of predictions.

    Args:
        predictions: CSV, TSV, JSON lines or Parquet with id, lat and lon, or predicted_lat and predicted_lon. The ids
            may be those of images or locations, see `geocell.evaluation.id_columns.matched`. Columns
            `radius_50_km` and `radius_90_km` (the truth should lie that near so often) and `confidence` or
            `probability` (of the truth being within 200 km) are scored too; other columns are left alone.
        truth: the same of the true points; with a column `country`, scores there are told as well.
        preset: benchmark that the truth is: the names of its columns, its number of rows and, where known, its points.
        missing: what a location without a prediction is: `error`, `worst` (answered at the antipode of its truth), or
            `drop` (left out, which makes scores of two files incomparable).
        truth_sha256: the hash that the points of the truth must have, `Scores.truth_sha256` of somebody else.
        cluster: which rows of the truth were drawn together, for the intervals: `place`, or a column of the truth;
            see `geocell.evaluation.clusters.clusters_at`.

    Raises:
        FileNotFoundError: when a table is not there.
        ValueError: for tables that are too large or do not fit together, duplicate ids, coordinates that are missing,
            out of range or exchanged, an unknown column, and another truth than that of the preset or the hash.
    """
    _require_choice(missing)
    whole = _read_truth(truth, preset, truth_sha256)
    answers, known, rows, distances = _answers(predictions, whole, preset)
    clusters = _clusters(known, cluster)
    there = rows >= 0
    kept = _kept([distances], [predictions], missing, [known.ids])
    outcome = _outcome(answers, rows, distances, known, clusters, kept)
    scored, values = outcome.distances_km, outcome.values()
    scores = Scores(
        decoder="predictions",
        split=preset or "",
        n_locations=len(scored),
        n_cells=0,
        n_outside=None,
        top1=None,
        top5=None,
        median_km=values["median_km"],
        mean_km=values["mean_km"],
        within={radius: values[f"within_{radius}"] for radius in RADII_KM},
        balscore=values["balscore"],
        intervals=outcome.intervals(),
        partition_sha256="",
        geoscore=geoscore(scored),
        geoscore_rounded=geoscore(scored, rounded=True),
        n_missing=int((~there).sum()),
        quantiles_km=distance_quantiles(scored),
        radii=_radii(answers, rows[there], distances[there], clusters.take(there)),
        confidence=_confidence(answers, rows[there], distances[there]),
        predictions_sha256=answers.file_sha256,
        truth_file_sha256=whole.file_sha256,
        truth_sha256=whole.sha256,
        id_columns={"predictions": answers.id_column, "truth": known.id_column},
        clustered_by=clusters.by,
        n_clusters=outcome.n_clusters,
    )
    names = known.texts(COUNTRY)[kept] if COUNTRY in known.names else None
    return with_countries(scores, outcome, known.latlon[kept], names)


def compare_predictions(
    predictions_a: Path | str,
    predictions_b: Path | str,
    truth: Path | str,
    *,
    preset: Benchmark | None = None,
    missing: Missing = "error",
    truth_sha256: str | None = None,
    seed: int = 0,
    cluster: str = PLACE,
) -> Comparison:
    """Return the paired difference of two tables of predictions of the same locations.

    With `missing="drop"` a location that either table lacks is left out of both. See `score_predictions`.
    """
    _require_choice(missing)
    whole = _read_truth(truth, preset, truth_sha256)
    found = [_answers(path, whole, preset) for path in (predictions_a, predictions_b)]
    known, other = (named for _, named, _, _ in found)
    if not np.array_equal(known.latlon, other.latlon):
        raise ValueError(
            f"{predictions_a} and {predictions_b} must have ids of the same rows of {truth}, got those of its columns "
            f"{known.id_column} and {other.id_column}: give both the same ids."
        )
    clusters = _clusters(known, cluster)
    both = [distances for *_, distances in found]
    kept = _kept(both, [predictions_a, predictions_b], missing, [named.ids for _, named, _, _ in found])
    a, b = (_outcome(answers, rows, km, known, clusters, kept) for answers, _, rows, km in found)
    return comparison_of(a, b, "predictions", preset or "", seed)


def require_sha256(text: str) -> str:
    """Return the hash of a truth in lower case, whole or its first 12 digits or more.

    Raises:
        ValueError: when it is none.
    """
    digits = text.strip().lower()
    if not 12 <= len(digits) <= 64 or set(digits) - set("0123456789abcdef"):
        raise ValueError(f"truth_sha256 must be 64 hexadecimal digits, or at least the first 12, got {text!r}.")
    return digits


def _require_choice(missing: str) -> None:
    if missing not in get_args(Missing):
        raise ValueError(f"missing must be one of {', '.join(get_args(Missing))}, got {missing!r}.")


def _clusters(known: PointTable, cluster: str) -> Clusters:
    return clusters_at(known.latlon, _Columns(known), cluster)


class _Columns(Mapping[str, NDArray[Any]]):
    """The columns of a table, each taken when it is asked for."""

    def __init__(self, table: PointTable) -> None:
        self._table = table

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self._table.names:
            raise KeyError(name)
        return self._table.frame[name].to_numpy(object)

    def __iter__(self) -> Iterator[str]:
        return iter(self._table.names)

    def __len__(self) -> int:
        return len(self._table.names)


def _read_truth(path: Path | str, preset: Benchmark | None, sha256: str | None) -> PointTable:
    """Return the true points, which must be those of the preset and of the hash."""
    if preset is not None and preset not in BENCHMARK_ROWS:
        raise ValueError(f"preset must be one of {', '.join(BENCHMARK_ROWS)}, got {preset!r}.")
    wanted = None if sha256 is None else require_sha256(sha256)
    known = read_points(path, preset)
    expected = None if preset is None else BENCHMARK_ROWS[preset]
    if expected is not None and len(known) != expected:
        raise ValueError(f"{path}: {preset} has {expected:,} rows, got {len(known):,}: pass the published table.")
    pinned = None if preset is None else BENCHMARK_TRUTHS[preset]
    if pinned is not None and known.sha256 != pinned:
        raise ValueError(
            f"{path}: the points of {preset} have the hash {pinned[:12]}…, got {known.sha256[:12]}…: pass the "
            "published table, or leave --preset out."
        )
    if wanted is not None and not known.sha256.startswith(wanted):
        raise ValueError(
            f"{path}: the truth must have the hash {wanted[:12]}…, got {known.sha256[:12]}…: pass the same truth."
        )
    return known


def _answers(
    path: Path | str, truth: PointTable, preset: Benchmark | None
) -> tuple[PointTable, PointTable, NDArray[np.int64], Floats]:
    """Return answers and truth by the same ids, the row of each of the truth or -1, and the km between or NaN."""
    answers, truth = matched(read_points(path, preset, answers=True), truth)
    rows = answers.rows_of(truth)
    answers.require_not_exchanged(rows, truth)
    there = rows >= 0
    distances = np.full(len(truth), np.nan)
    distances[there] = distance_km(answers.latlon[rows[there]], truth.latlon[there])
    return answers, truth, rows, distances


def _outcome(
    answers: PointTable,
    rows: NDArray[np.int64],
    distances: Floats,
    known: PointTable,
    clusters: Clusters,
    kept: NDArray[np.bool_],
) -> Outcomes:
    """Return the outcomes of the locations that are counted; one without an answer is as far away as can be."""
    there = rows >= 0
    right = there.copy()
    right[there] = same_country(answers.latlon[rows[there]], known.latlon[there])
    scored = np.where(there, distances, _FARTHEST_KM)[kept]
    return Outcomes(scored, clusters=clusters.take(kept), further={ACCURACY: right[kept]})


def _radii(
    answers: PointTable, rows: NDArray[np.int64], distances: Floats, clusters: Clusters
) -> dict[str, dict[str, Any]] | None:
    """Return percent -> coverage of the columns of radii, None without any."""
    found = {}
    columns = {share: answers.numbers((f"radius_{share}_km",), 0.0, np.inf) for share in RADIUS_SHARES}
    for share, column in columns.items():
        for less, inner in columns.items():
            crossed = less < share and inner is not None and column is not None and (inner > column)
            if np.any(crossed):
                raise ValueError(
                    f"{answers.path}: radius_{share}_km must be at least radius_{less}_km, and is less for the id "
                    f"{answers.ids[int(np.argmax(crossed))]!r}: see whether the columns are exchanged."
                )
        coverage = None if column is None else radius_coverage(distances, column[rows], clusters)
        if coverage is not None:
            found[str(share)] = coverage
    return found or None


def _confidence(answers: PointTable, rows: NDArray[np.int64], distances: Floats) -> dict[str, Any] | None:
    """Return the errors of the column of confidence, None without one."""
    column = answers.numbers(_CONFIDENCE, 0.0, 1.0)
    return None if column is None else confidence_errors(distances, column[rows])


def _kept(
    both: list[Floats], paths: list[Path | str], missing: Missing, names: list[Sequence[str]]
) -> NDArray[np.bool_]:
    """Return which locations are counted; names are their ids in the messages of each table."""
    for distances, path, ids in zip(both, paths, names, strict=True):
        lacking = np.flatnonzero(np.isnan(distances))
        if len(lacking) and missing == "error":
            raise ValueError(
                f"{path}: {len(lacking):,} of {len(distances):,} locations have no prediction, {ids[lacking[0]]!r} "
                "first: add them, or pass --missing worst or --missing drop."
            )
    everywhere: NDArray[np.bool_] = np.asarray(np.isfinite(np.stack(both)).all(axis=0))
    kept: NDArray[np.bool_] = everywhere if missing == "drop" else np.ones(len(everywhere), dtype=bool)
    if not kept.any():
        raise ValueError(f"{paths[0]}: no location is left to score: pass --missing worst.")
    return kept
