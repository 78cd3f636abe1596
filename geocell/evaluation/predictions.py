"""Scores of anybody's predictions: tables of id, latitude and longitude against a table of the truth."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import numpy as np
from numpy.typing import NDArray

from geocell.evaluation.benchmarks import BENCHMARK_ROWS, Benchmark, Missing
from geocell.evaluation.comparison import Comparison, comparison_of
from geocell.files import DamagedFileError
from geocell.geo.geodesy import EARTH_RADIUS_KM, distance_km
from geocell.metrics.geoscore import geoscore
from geocell.metrics.outcomes import RADII_KM, Outcomes, by_country
from geocell.metrics.quantiles import distance_quantiles
from geocell.metrics.scores import Scores
from geocell.views.columns import ALIASES, ColumnNames
from geocell.views.delimited import is_delimited, read_delimited, read_json_lines
from geocell.views.presets import find_preset

if TYPE_CHECKING:
    import pandas as pd

_FARTHEST_KM = float(np.pi * EARTH_RADIUS_KM)
_ID_NAMES = ("id", "img_id", *ALIASES["image"], *ALIASES["location"])
_HINT_FROM = 10
"""Predictions from which on their distances say whether latitude and longitude are exchanged."""

Floats = NDArray[np.float64]


def score_predictions(
    predictions: Path | str, truth: Path | str, *, preset: Benchmark | None = None, missing: Missing = "error"
) -> Scores:
    """Return the scores of a table of predictions.

    Args:
        predictions: CSV, TSV, JSON lines or Parquet with id, lat and lon; other columns are left alone.
        truth: the same of the true points; with a column `country`, scores there are told as well.
        preset: benchmark that the truth is: the names of its columns and its number of rows.
        missing: what a location without a prediction is: `error`, `worst` (answered at the antipode of its truth), or
            `drop` (left out, which makes scores of two files incomparable).

    Raises:
        FileNotFoundError: when a table is not there.
        ValueError: for tables that do not fit together, duplicate ids, and coordinates that are missing, out of range
            or exchanged.
    """
    _require_choice(missing)
    points, rows = _read_truth(truth, preset)
    distances = _distances(predictions, points, preset)
    there = np.isfinite(distances)
    kept = _kept([distances], [predictions], missing)
    n_missing = int((~there).sum())
    distances = np.where(there, distances, _FARTHEST_KM)[kept]
    outcome = Outcomes(distances)
    values = outcome.values()
    countries = by_country(distances, rows["country"].to_numpy()[kept] if "country" in rows else None)
    return Scores(
        decoder="predictions",
        split=preset or "",
        n_locations=len(distances),
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
        countries=countries,
        geoscore=geoscore(distances),
        geoscore_rounded=geoscore(distances, rounded=True),
        n_missing=n_missing,
        quantiles_km=distance_quantiles(distances),
    )


def compare_predictions(
    predictions_a: Path | str,
    predictions_b: Path | str,
    truth: Path | str,
    *,
    preset: Benchmark | None = None,
    missing: Missing = "error",
    seed: int = 0,
) -> Comparison:
    """Return the paired difference of two tables of predictions of the same locations.

    With `missing="drop"` a location that either table lacks is left out of both. See `score_predictions`.
    """
    _require_choice(missing)
    points, _ = _read_truth(truth, preset)
    both = [_distances(path, points, preset) for path in (predictions_a, predictions_b)]
    kept = _kept(both, [predictions_a, predictions_b], missing)
    a, b = (Outcomes(np.where(np.isfinite(d), d, _FARTHEST_KM)[kept]) for d in both)
    return comparison_of(a, b, "predictions", preset or "", seed)


def _require_choice(missing: str) -> None:
    if missing not in get_args(Missing):
        raise ValueError(f"missing must be one of {', '.join(get_args(Missing))}, got {missing!r}.")


def _read_truth(path: Path | str, preset: Benchmark | None) -> tuple[dict[str, tuple[float, float]], pd.DataFrame]:
    """Return id -> true point in the order of the rows, and the rows."""
    if preset is not None and preset not in BENCHMARK_ROWS:
        raise ValueError(f"preset must be one of {', '.join(BENCHMARK_ROWS)}, got {preset!r}.")
    points, rows = _read_points(path, preset)
    expected = None if preset is None else BENCHMARK_ROWS[preset]
    if expected is not None and len(points) != expected:
        raise ValueError(f"{path}: {preset} has {expected:,} rows, got {len(points):,}: pass the published table.")
    return points, rows


def _distances(path: Path | str, truth: dict[str, tuple[float, float]], preset: Benchmark | None) -> Floats:
    """Return (P,) km from each prediction to its truth, NaN where there is none."""
    found, _ = _read_points(path, preset)
    unknown = [identity for identity in found if identity not in truth]
    if unknown:
        raise ValueError(
            f"{path}: {len(unknown):,} of {len(found):,} ids are not in the truth, {unknown[0]!r} first: "
            "pass the truth of these predictions."
        )
    present = np.array([identity in found for identity in truth])
    predicted = np.array([found[identity] for identity in truth if identity in found])
    true_points = np.array([point for identity, point in truth.items() if identity in found])
    there = distance_km(predicted, true_points)
    if len(there) >= _HINT_FROM and (np.abs(predicted[:, 1]) <= 90).all():
        turned = float(np.median(distance_km(predicted[:, ::-1], true_points)))
        if turned < np.median(there) / 10:
            raise ValueError(
                f"{path}: latitude and longitude seem exchanged (median {np.median(there):,.0f} km, {turned:,.0f} km "
                "the other way round): rename the columns."
            )
    distances = np.full(len(truth), np.nan)
    distances[present] = there
    return distances


def _kept(both: list[Floats], paths: list[Path | str], missing: Missing) -> NDArray[np.bool_]:
    """Return which locations are counted."""
    for distances, path in zip(both, paths, strict=True):
        lacking = int(np.isnan(distances).sum())
        if lacking and missing == "error":
            raise ValueError(
                f"{path}: {lacking:,} of {len(distances):,} locations have no prediction: add them, or pass "
                "--missing worst or --missing drop."
            )
    everywhere: NDArray[np.bool_] = np.asarray(np.isfinite(np.stack(both)).all(axis=0))
    kept: NDArray[np.bool_] = everywhere if missing == "drop" else np.ones(len(everywhere), dtype=bool)
    if not kept.any():
        raise ValueError(f"{paths[0]}: no location is left to score: pass --missing worst.")
    return kept


def _read_points(path: Path | str, preset: Benchmark | None) -> tuple[dict[str, tuple[float, float]], pd.DataFrame]:
    """Return id -> (lat, lon) in the order of the rows, and the rows."""
    rule = find_preset(preset)
    names = rule.columns if rule else ColumnNames()
    frame = _read_frame(Path(path), names)
    id_column = _column(frame, (names.image_column, *_ID_NAMES), "id", path)
    lat_column = _column(frame, (names.lat_column, *ALIASES["lat"]), "lat", path)
    lon_column = _column(frame, (names.lon_column, *ALIASES["lon"]), "lon", path)
    if not len(frame):
        raise ValueError(f"{path} must have rows, got none: pass another table.")
    ids = frame[id_column].astype(object).where(frame[id_column].notna(), "").astype(str).tolist()
    if "" in ids:
        raise ValueError(f"{path}: row {ids.index('') + 1} has no id: fill in {id_column}.")
    if rule is not None and rule.key is not None:
        ids = [rule.key(identity) for identity in ids]
    latlon = np.stack([_degrees(frame[name]) for name in (lat_column, lon_column)], axis=1)
    if not np.isfinite(latlon).all():
        row = int(np.flatnonzero(~np.isfinite(latlon).all(axis=1))[0])
        raise ValueError(f"{path}: the id {ids[row]!r} has no numbers as coordinates: fill them in, or drop the row.")
    largest = np.abs(latlon).max(axis=0)
    if rule is not None and rule.may_be_swapped and largest[0] > 90 >= largest[1]:
        warnings.warn(
            f"{path}: the headings of latitude and longitude are exchanged: read the other way.", stacklevel=4
        )
        latlon = latlon[:, ::-1]
    elif largest[0] > 90:
        hint = "latitude and longitude are exchanged" if largest[1] <= 90 else "degrees are expected"
        raise ValueError(f"{path}: latitudes must lie within ±90, got {largest[0]:g}: {hint}, mend {lat_column}.")
    if np.abs(latlon[:, 1]).max() > 180:
        raise ValueError(f"{path}: longitudes must lie within ±180, got {largest[1]:g}: mend {lon_column}.")
    points = dict(zip(ids, map(tuple, latlon.tolist()), strict=True))
    if len(points) < len(ids):
        seen: set[str] = set()
        repeated = next(i for i in ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
        raise ValueError(f"{path}: the id {repeated!r} is there more than once: keep one row of each id.")
    return points, frame


def _read_frame(path: Path, names: ColumnNames) -> pd.DataFrame:
    import pandas as pd

    if not path.is_file():
        raise FileNotFoundError(f"{path} must be a table (.csv, .tsv, .jsonl, .parquet), and there is no such file.")
    suffix = path.suffix.lower()
    try:
        if is_delimited(path.name):
            with path.open(encoding="utf-8-sig", errors="replace") as file:
                header = file.readline(1 << 20).replace(";", ",").replace("\t", ",").split(",")
            known = [n.strip().strip('"') for n in header if n.strip().strip('"').lower() in {"id", "img_id"}]
            # Ids stay text: 007 is not 7.
            return read_delimited(
                path, names if names.image_column else ColumnNames(image_column=next(iter(known), None))
            )
        if suffix in {".jsonl", ".ndjson"}:
            return read_json_lines(path)
        if suffix == ".parquet":
            import pyarrow  # noqa: F401 - so that the message names it where it is not installed

            return pd.read_parquet(path)
    except (OSError, ValueError, UnicodeDecodeError) as error:
        raise DamagedFileError(f"{path} cannot be read as a table: {str(error).splitlines()[0]}") from error
    raise ValueError(f"{path} must be a table (.csv, .tsv, .jsonl, .parquet), got {suffix!r}: convert it.")


def _column(frame: pd.DataFrame, names: tuple[str | None, ...], role: str, path: Path | str) -> str:
    """Return the column of a role, by the first of its names that is there, in any case."""
    there = {str(name).strip().lower(): str(name) for name in reversed(list(frame.columns))}
    for name in names:
        if name is not None and name.lower() in there:
            return there[name.lower()]
    raise ValueError(f"{path} must have a column {role}, got {', '.join(map(str, frame.columns))}: rename one.")


def _degrees(values: pd.Series) -> Floats:
    import pandas as pd

    return np.asarray(pd.to_numeric(values, errors="coerce"), dtype=np.float64)
