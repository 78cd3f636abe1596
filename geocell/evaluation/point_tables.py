"""Tables of id, latitude and longitude that anybody wrote: bounded reading, strict ids and coordinates, hashes."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.evaluation.benchmarks import Benchmark
from geocell.files import DamagedFileError, canonical_json, one_sentence, read_parquet_frame, unpacked_bytes
from geocell.views.columns import ALIASES, ColumnNames
from geocell.views.delimited import is_delimited, read_delimited, read_json_lines
from geocell.views.packed import open_table, read_workbook, table_suffix
from geocell.views.plain import PlainTable, read_plain
from geocell.views.presets import find_preset

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]

MAX_BYTES = 256 << 20
MAX_ROWS = 5_000_000
"""What a table may hold: it is read into memory as a whole, which takes some ten times its bytes."""

_ID_NAMES = ("id", "img_id", *ALIASES["image"], *ALIASES["location"])
_ANSWERS = {
    "lat": ("predicted_lat", "pred_lat", "predicted_latitude", "pred_latitude"),
    "lon": ("predicted_lon", "pred_lon", "predicted_lng", "pred_lng", "predicted_long", "predicted_longitude",
            "pred_longitude"),
}  # fmt: skip
"""How columns of answers are called where the truth may stand beside them."""

_PIECE = 1 << 20
_SEVERAL = 10
"""Rows from which on distances say whether latitude and longitude are exchanged."""


@dataclass(frozen=True, eq=False)
class PointTable:
    """P points by their ids.

    Attributes:
        path: the file, for messages.
        ids: (P,) ids, all different.
        latlon: (P, 2) degrees.
        rows: what the file holds, in the same order: a frame, or the texts of a plain table.
        read: what reads them as a frame.
        file_sha256: hash of the bytes of the file.
        id_column: the column that the ids are from.
        id_columns: every column that may hold ids, by its name, in the order of preference; `id_column` is the first.
        key: what turns a text of such a column into an id, where copies of a table spell them differently.
    """

    path: Path | str
    ids: tuple[str, ...]
    latlon: Floats
    rows: pd.DataFrame | PlainTable
    read: Callable[[], pd.DataFrame]
    file_sha256: str
    id_column: str = "id"
    id_columns: tuple[str, ...] = ("id",)
    key: Callable[[str], str] | None = None

    def __len__(self) -> int:
        """Return P."""
        return len(self.ids)

    @cached_property
    def sha256(self) -> str:
        """Hash of ids and coordinates, see `points_sha256`."""
        return points_sha256(self.ids, self.latlon)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The rows as a frame, which imports pandas."""
        return self.read() if isinstance(self.rows, PlainTable) else self.rows

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return _names(self.rows)

    def texts(self, name: str) -> NDArray[Any]:
        """Return the (P,) values of a column."""
        plain = self.rows.texts(name) if isinstance(self.rows, PlainTable) else None
        return self.frame[name].to_numpy() if plain is None else np.array(plain, dtype=object)

    @one_sentence()
    def numbers(self, names: tuple[str, ...], least: float, most: float) -> Floats | None:
        """Return (P,) numbers of the first of some columns that is there, NaN where a row has none; None without one.

        Raises:
            ValueError: for text, or numbers that are not from `least` to `most`.
        """
        there = _spellings(self.names)
        column = next((there[name] for name in names if name in there), None)
        if column is None:
            return None
        plain = self.rows.numbers(column) if isinstance(self.rows, PlainTable) else None
        if plain is not None and (np.isnan(plain) | ((plain >= least) & (plain <= most))).all():
            return plain
        values = _numbers(self.frame[column])
        given = self.frame[column].notna().to_numpy() & (self.frame[column].astype(str) != "").to_numpy()
        wrong = given & ~(np.isfinite(values) & (values >= least) & (values <= most))
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            limits = f"from {least:g} to {most:g}" if np.isfinite(most) else f"of at least {least:g}"
            raise ValueError(
                f"{self.path}: {column} must be numbers {limits}, got {self.frame[column].iloc[row]} for the id "
                f"{self.ids[row]!r}: mend it, or leave it empty."
            )
        return values

    def by(self, column: str) -> PointTable:
        """Return the same points with the ids of another of `id_columns`, "" where a row has none."""
        if column == self.id_column:
            return self
        plain = self.rows.texts(column) if isinstance(self.rows, PlainTable) else None
        return replace(self, ids=tuple(_keyed(plain or _texts(self.frame[column]), self.key)), id_column=column)

    def take(self, rows: NDArray[np.int64]) -> PointTable:
        """Return some of the points, in the order of `rows`."""
        ids = tuple(self.ids[row] for row in rows)
        return replace(self, ids=ids, latlon=self.latlon[rows], rows=self.frame.iloc[rows].reset_index(drop=True))

    @one_sentence()
    def rows_of(self, truth: PointTable) -> NDArray[np.int64]:
        """Return (P',) the row here of every id of the truth, -1 where there is none.

        Raises:
            ValueError: for ids that are not in the truth.
        """
        known = set(truth.ids)
        unknown = [identity for identity in self.ids if identity not in known]
        if unknown:
            raise ValueError(
                f"{self.path}: {len(unknown):,} of {len(self):,} ids, of the column {self.id_column}, are not in the "
                f"column {truth.id_column} of the truth, {unknown[0]!r} first: pass the truth of these predictions, or "
                "call the columns that belong together id in both."
            )
        rows = {identity: row for row, identity in enumerate(self.ids)}
        return np.array([rows.get(identity, -1) for identity in truth.ids], dtype=np.int64)

    def require_not_exchanged(self, rows: NDArray[np.int64], truth: PointTable) -> None:
        """Raise ValueError where the points are much nearer to the truth with latitude and longitude exchanged.

        Of a few points, which may be so by chance, it is a warning, and only if each of them is nearer.
        """
        from geocell.geo.geodesy import distance_km

        there = rows >= 0
        points, true_points = self.latlon[rows[there]], truth.latlon[there]
        if not len(points) or (np.abs(points[:, 1]) > 90).any():
            return
        given, turned = (distance_km(p, true_points) for p in (points, points[:, ::-1]))
        said = (
            f"exchanged (median {np.median(given):,.0f} km, {np.median(turned):,.0f} km the other way round): rename "
            "the columns"
        )
        if len(points) < _SEVERAL:
            if (turned < given / 10).all():
                warnings.warn(f"{self.path}: latitude and longitude may be {said} if they are.", stacklevel=4)
        elif np.median(turned) < np.median(given) / 10:
            raise ValueError(f"{self.path}: latitude and longitude seem {said}.")


def points_sha256(ids: tuple[str, ...] | list[str], latlon: Floats) -> str:
    """Return the hash of points that is the same for every file of them, whatever its format and order.

    It is the SHA-256 of the JSON array of ``["id",lat,lon]`` in the order of the ids, without blanks, in UTF-8, where
    lat and lon are whole millionths of a degree and the longitude 180 is -180.

    Args:
        ids: (P,) ids.
        latlon: (P, 2) degrees.
    """
    whole = np.rint(np.asarray(latlon, dtype=np.float64) * 1e6).astype(np.int64)
    whole[whole[:, 1] == 180_000_000, 1] = -180_000_000
    rows = sorted([identity, lat, lon] for identity, (lat, lon) in zip(ids, whole.tolist(), strict=True))
    return hashlib.sha256(canonical_json(rows).encode()).hexdigest()


@one_sentence()
def read_points(path: Path | str, preset: Benchmark | None = None, *, answers: bool = False) -> PointTable:
    """Read a table of points.

    Args:
        path: CSV, TSV, JSON lines or Parquet with id, lat and lon.
        preset: benchmark whose names of columns and spelling of ids the table has.
        answers: whether it has predictions: columns such as `predicted_lat` are then taken before `lat`.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: for a table that is too large, damaged or empty, lacks a column, has an id twice, or coordinates
            that are missing, out of range or exchanged.
    """
    rule = find_preset(preset)
    names = rule.columns if rule else ColumnNames()
    rows, read, digest = _read_rows(Path(path), names)
    id_column, *others = _columns(rows, (names.image_column, *_ID_NAMES), "id", path)
    lat_column, lon_column = (
        _columns(rows, (*(_ANSWERS[role] if answers else ()), names.name_of(role), *ALIASES[role]), role, path)[0]
        for role in ("lat", "lon")
    )
    if not len(rows):
        raise ValueError(f"{path} must have rows, got none: pass another table.")
    found = _plain_points(rows, id_column, (lat_column, lon_column)) if isinstance(rows, PlainTable) else None
    if found is None:
        rows = read() if isinstance(rows, PlainTable) else rows
        found = _texts(rows[id_column]), np.stack([_numbers(rows[name]) for name in (lat_column, lon_column)], axis=1)
    ids, latlon = found
    if "" in ids:
        raise ValueError(f"{path}: row {ids.index('') + 1} has no id: fill in {id_column}.")
    key = None if rule is None else rule.key
    ids = _keyed(ids, key)
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
    if len(set(ids)) < len(ids):
        seen: set[str] = set()
        repeated = next(i for i in ids if i in seen or seen.add(i))  # type: ignore[func-returns-value]
        raise ValueError(f"{path}: the id {repeated!r} is there more than once: keep one row of each id.")
    return PointTable(path, tuple(ids), latlon, rows, read, digest, id_column, (id_column, *others), key)


def _keyed(ids: Sequence[str], key: Callable[[str], str] | None) -> list[str]:
    return list(ids) if key is None else [key(identity) if identity else "" for identity in ids]


def _texts(values: pd.Series) -> list[str]:
    """Return values as texts, "" for missing ones."""
    texts: list[str] = values.astype(object).where(values.notna(), "").astype(str).tolist()
    return texts


def _plain_points(rows: PlainTable, id_column: str, degrees: tuple[str, str]) -> tuple[list[str], Floats] | None:
    """Return ids and (P, 2) degrees of a plain table, None where pandas has to read them."""
    ids, latlon = rows.texts(id_column), [rows.numbers(name) for name in degrees]
    if ids is None or latlon[0] is None or latlon[1] is None:
        return None
    return list(ids), np.stack([latlon[0], latlon[1]], axis=1)


def _read_rows(path: Path, names: ColumnNames) -> tuple[pd.DataFrame | PlainTable, Callable[[], pd.DataFrame], str]:
    """Return the rows of a table, what reads them as a frame, and the hash of its file.

    Sizes are checked before anything is parsed.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} must be a table (.csv, .tsv, .jsonl, .parquet), and there is no such file.")
    suffix, packed = table_suffix(path.name), path.suffix.lower() in {".gz", ".xlsx"}
    if not is_delimited(path.name) and suffix not in {".jsonl", ".ndjson", ".parquet", ".xlsx"}:
        raise ValueError(f"{path} must be a table (.csv, .tsv, .jsonl, .xlsx, .parquet), got {suffix!r}: convert it.")
    _require_size(path, path.stat().st_size, MAX_BYTES, "bytes")
    digest, lines = _hash_and_lines(path)
    if suffix != ".parquet" and not packed:
        _require_size(path, lines, MAX_ROWS + 1, "lines")
    try:
        if is_delimited(path.name):
            with open_table(path, MAX_BYTES) as file:
                first = file.readline(1 << 20).decode("utf-8-sig", errors="replace")
            header = first.replace(";", ",").replace("\t", ",").split(",")
            known = [n.strip().strip('"') for n in header if n.strip().strip('"').lower() in {"id", "img_id"}]
            # Ids stay text: 007 is not 7.
            columns = names if names.image_column else ColumnNames(image_column=next(iter(known), None))
            read = partial(read_delimited, path, columns, most=MAX_BYTES)
            rows = read_plain(path, columns) or read()
            _require_size(path, len(rows), MAX_ROWS, "rows")
            return rows, read, digest
        read = {".parquet": partial(_read_parquet, path), ".xlsx": partial(read_workbook, path)}.get(
            suffix, partial(read_json_lines, path, MAX_BYTES)
        )
        return read(), read, digest
    except (_TooLargeError, DamagedFileError, ImportError):
        raise
    except Exception as error:  # parsers raise kinds of their own, and several of Python's, for damaged files
        raise DamagedFileError(f"{path} cannot be read as a table: {str(error) or type(error).__name__}") from error


def _read_parquet(path: Path) -> pd.DataFrame:
    """Read the flat columns of a Parquet file whose footer says that they fit."""
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        _require_size(path, file.metadata.num_rows, MAX_ROWS, "rows")
        _require_size(path, unpacked_bytes(file.metadata), MAX_BYTES, "bytes of columns")
    return read_parquet_frame(path, path.stat().st_size)


class _TooLargeError(ValueError):
    """A table that is larger than what is read."""


def _require_size(path: Path, found: int, most: int, what: str) -> None:
    if found > most:
        raise _TooLargeError(f"{path} must have at most {most:,} {what}, got {found:,}: leave out what is not scored.")


def _hash_and_lines(path: Path) -> tuple[str, int]:
    """Return the hash of a file and how many lines it has at most, in pieces."""
    digest, feeds, returns = hashlib.sha256(), 0, 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            feeds, returns = feeds + piece.count(b"\n"), returns + piece.count(b"\r")
    return digest.hexdigest(), max(feeds, returns)


def _names(rows: pd.DataFrame | PlainTable) -> list[str]:
    return list(rows.names) if isinstance(rows, PlainTable) else list(map(str, rows.columns))


def _spellings(names: Sequence[str]) -> dict[str, str]:
    """Return lower-case name -> column; of equal ones the first."""
    return {name.strip().lower(): name for name in reversed(names)}


def _columns(rows: pd.DataFrame | PlainTable, names: tuple[str | None, ...], role: str, path: Path | str) -> list[str]:
    """Return the columns of a role that are there, in the order of its names, in any case; at least one."""
    there = _spellings(_names(rows))
    found = [there[name.lower()] for name in names if name is not None and name.lower() in there]
    if found:
        return list(dict.fromkeys(found))
    raise ValueError(f"{path} must have a column {role}, got {', '.join(_names(rows))}: rename one.")


def _numbers(values: pd.Series) -> Floats:
    import pandas as pd

    return np.asarray(pd.to_numeric(values, errors="coerce"), dtype=np.float64)
