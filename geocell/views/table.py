"""The table of views: validation of columns and coordinates, locations of views."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geocell.geo.geodesy import (
    Floats,
    as_latlon,
    grouped_coordinates,
    latlon_from_unit,
    unit_distance_km,
    unit_vectors,
)
from geocell.images.sources import FileImages, ImageSource
from geocell.views.columns import ALIASES, ColumnNames, find_columns
from geocell.views.texts import clean_text

if TYPE_CHECKING:
    import pandas as pd

MAX_SPREAD_KM = 1.0
"""Views of one location further apart than this are not views of one location."""
PIECE = 1 << 16
"""Rows of a large table that are held at a time."""

_LEAST_NO_INT64 = 2.0**63
_PIECE = 1 << 18  # coordinates that are rounded at a time
_LONGITUDES = 400_000_000  # more than there are, in units of 1e-6 degrees


@dataclass(frozen=True, eq=False)
class ViewTable:
    """N views: references to their images, and where they were taken.

    Attributes:
        frame: columns `image`, `location`, `lat`, `lon`, `problem` (empty, or why the view is unusable) and every
            other column of the input, row i being view i.
        images: reads the image file that a text of the column `image` names.
        source: what was read, for manifests.
        remarks: notes about the input for the user, one sentence each.
    """

    frame: pd.DataFrame
    images: ImageSource
    source: str
    remarks: tuple[str, ...] = ()

    def __len__(self) -> int:
        """Return N."""
        return len(self.frame)

    @cached_property
    def sha256(self) -> str:
        """Hash of every column, by which a cache knows its table; see `table_sha256`."""

        def pieces(name: str) -> Iterator[pd.Series[Any]]:
            for first in range(0, len(self), PIECE):
                yield self.frame[name].iloc[first : first + PIECE]

        return table_sha256(self.frame.columns, pieces)

    def shard_rows(self, first: int, last: int) -> tuple[list[str], list[str]]:
        """Return the references and problems of the views from `first` to `last`, that one left out."""
        rows = self.frame.iloc[first:last]
        return rows["image"].tolist(), rows["problem"].tolist()

    def references(self) -> Iterator[str]:
        """Yield the references of the images of views without a problem."""
        yield from self.frame["image"][self.frame["problem"] == ""]


def table_sha256(names: Iterable[str], pieces: Callable[[str], Iterable[pd.Series[Any]]]) -> str:
    """Return a hash of columns, each in pieces of one type.

    Numbers are hashed as float64: integers that differ only beyond 2^53 are equal. The hashes of released caches are of
    this form.
    """
    digest = hashlib.sha256()
    for name in map(str, names):
        digest.update(f"\x1e{name}\x1e".encode())
        for number, values in enumerate(pieces(name)):
            if values.dtype.kind in "fiub":
                digest.update(np.ascontiguousarray(values.to_numpy(), dtype="<f8").tobytes())
            else:
                between = "\x1f" if number else ""
                digest.update((between + "\x1f".join(map(str, values.tolist()))).encode())
    return digest.hexdigest()


def rounded_latlon(latlon: Floats) -> Floats:
    """Return (P, 2) degrees to 1e-6 (11 cm), each coordinate in one canonical form."""
    rounded = np.round(latlon, 6) + 0.0  # + 0.0 turns -0.0 into 0.0
    rounded[rounded[:, 1] == -180.0, 1] = 180.0
    rounded[np.abs(rounded[:, 0]) == 90.0, 1] = 0.0  # the longitude of a pole is 0
    return rounded


def coordinate_numbers(latlon: Floats) -> NDArray[np.int64]:
    """Return (P,) numbers that are equal where `rounded_latlon` is, and ordered by latitude, then longitude.

    Args:
        latlon: (P, 2) valid degrees.
    """
    numbers = np.empty(len(latlon), dtype=np.int64)
    for first in range(0, len(latlon), _PIECE):
        lat, lon = np.rint(rounded_latlon(latlon[first : first + _PIECE]) * 1e6).astype(np.int64).T
        numbers[first : first + _PIECE] = lat * _LONGITUDES + lon
    return numbers


def latlon_keys(latlon: Floats) -> list[str]:
    """Return a text key of every coordinate; see `rounded_latlon`."""
    return [f"{lat:.6f},{lon:.6f}" for lat, lon in rounded_latlon(latlon).tolist()]


def table_from_frame(
    frame: pd.DataFrame,
    root: Path | str = ".",
    columns: ColumnNames = ColumnNames(),
    source: str = "a DataFrame",
) -> ViewTable:
    """Return the views of a DataFrame whose images are paths below `root` or URLs.

    Raises:
        ValueError: for a missing column, an empty table, or unusable coordinates.
    """
    return make_table(frame, FileImages(str(root)), source, columns)


def make_table(
    frame: pd.DataFrame,
    images: ImageSource,
    source: str,
    columns: ColumnNames = ColumnNames(),
    *,
    problems: Sequence[str] | None = None,
    images_optional: bool = False,
) -> ViewTable:
    """Return the views of a DataFrame.

    Args:
        frame: one row per view.
        images: source of the references in the image column.
        source: what was read, for messages and manifests.
        columns: columns that are not spelled as usual.
        problems: (N,) empty, or why a view has no position or image; such a row needs neither. A row without an image,
            a coordinate or a location id where the table has a column of them becomes one with that problem.
        images_optional: accept a table without images: rows are numbered instead.

    Raises:
        ValueError: for a missing column, an empty table, or unusable coordinates.
    """
    if frame.empty:
        raise ValueError(f"{source} must have at least one row, got an empty table.")
    found = find_columns(frame, columns, source, ("lat", "lon") if images_optional else ("image", "lat", "lon"))
    refuse_two_columns(frame, columns, found, source)
    frame = with_our_names(frame, found, source, RESERVED)
    frame["problem"] = with_blanks(frame, [""] * len(frame) if problems is None else list(problems))
    good = np.flatnonzero((frame["problem"] == "").to_numpy())
    require_good(len(good), frame["problem"], source)
    commas = {role: has_commas(frame[role].iloc[good]) for role in ("lat", "lon")}
    latlon = np.column_stack([degrees(frame[role], role, source, good, commas[role]) for role in ("lat", "lon")])
    checked = np.zeros_like(latlon)  # of every row, so that messages number the rows of the table
    checked[good] = latlon[good]
    require_latlon(checked, found, source)
    whole = whole_ids(frame, good)
    frame = prepared(frame, latlon, good, whole)
    if "location" in whole:
        _require_tight_locations(frame.iloc[good], latlon[good], source)
    return ViewTable(frame, images, clean_text(source))


RESERVED = frozenset({"problem", "status"})
"""Names that no column of the input keeps."""


def require_good(count: int, problems: Sequence[str] | pd.Series[Any], source: str) -> None:
    """Raise ValueError when no view has a position; `problems` are those of the first views at least."""
    if not count:
        first = next(iter(problems))
        raise ValueError(
            f"{source} must hold a view with a position, got {len(problems)} without (the first: {first})."
        )


def require_latlon(checked: Floats, found: dict[str, str], source: str) -> None:
    """Raise ValueError for (N, 2) coordinates of a whole table that are none, zeros standing for unknown ones."""
    _refuse_swapped(checked, found, source)
    as_latlon(checked, f"{source}: coordinates")


def prepared(frame: pd.DataFrame, latlon: Floats, good: NDArray[np.int64], whole: Mapping[str, bool]) -> pd.DataFrame:
    """Return rows of a table, under our names and with their problems, as a table of views has them.

    Args:
        frame: some rows.
        latlon: (n, 2) degrees of them.
        good: those without a problem.
        whole: whether the numbers of the columns image and location, where they are there, are whole; see `are_whole`.
    """
    frame["lat"], frame["lon"] = latlon[:, 0], latlon[:, 1]
    frame["image"] = _text(frame["image"], whole["image"]) if "image" in frame else _numbered(frame.index)
    location = np.full(len(frame), "", dtype=object)  # views of one coordinate are one location, unless it is named
    location[good] = (
        _text(frame["location"].iloc[good], whole["location"]) if "location" in frame else latlon_keys(latlon[good])
    )
    frame["location"] = location
    return _ordered(frame)


_BLANK = {"image": "no image", "lat": "no position", "lon": "no position", "location": "no location id"}
"""Column -> the problem of a row that has nothing there."""


def with_blanks(frame: pd.DataFrame, problems: list[str]) -> list[str]:
    """Return the problems of rows, those that lack something included."""
    for column, problem in _BLANK.items():
        if column in frame:
            for row in np.flatnonzero(_missing(frame[column])):
                problems[row] = problems[row] or problem
    return problems


def _missing(values: pd.Series[Any]) -> NDArray[np.bool_]:
    """(N,) whether a cell is empty: missing, or a text of spaces."""
    missing = values.isna().to_numpy(bool, copy=True)
    if values.dtype.kind not in "fiubM":
        missing |= np.asarray([isinstance(value, str) and not value.strip() for value in values.tolist()], bool)
    return missing


def refuse_two_columns(frame: pd.DataFrame, columns: ColumnNames, found: dict[str, str], source: str) -> None:
    """Refuse a table with two usual spellings of a coordinate that differ, of which either may be the wrong one."""
    for role in ("lat", "lon"):
        named = [name for name in map(str, frame.columns) if name.strip().lower() in ALIASES[role]]
        others = [name for name in named if name != found[role] and not frame[name].equals(frame[found[role]])]
        if columns.name_of(role) is None and others:
            raise ValueError(
                f"{source} must have one column for {role}, got {found[role]!r} and {others[0]!r}, which differ: name "
                f"one with --{role}-column."
            )


def _numbered(rows: Iterable[int]) -> list[str]:
    return [f"row {i}" for i in rows]


def with_our_names(
    frame: pd.DataFrame, found: Mapping[str, str], source: str, reserved: Set[str] = frozenset()
) -> pd.DataFrame:
    """Return the frame with columns renamed to their roles; another column of such a name becomes `input_…`.

    Args:
        frame: one row per view.
        found: role -> column.
        source: what was read, for messages.
        reserved: further names that no column of the input may have.

    Raises:
        ValueError: when two columns would have one name.
    """
    ours = {new for new, old in found.items() if new != old} | reserved
    renamed = {name: f"input_{name}" for name in frame.columns if name in ours}
    renamed |= {old: new for new, old in found.items() if new != old}
    frame = frame.reset_index(drop=True).rename(columns=renamed)
    duplicated = frame.columns[frame.columns.duplicated()]
    if len(duplicated):
        raise ValueError(f"{source} must have one column for {duplicated[0]}, got several: rename or drop one.")
    return frame


def _stripped(values: pd.Series[Any]) -> pd.Series[Any]:
    return values.astype(str).where(values.notna(), None).str.strip()


def has_commas(values: pd.Series[Any]) -> bool:
    """Return whether all texts of a column are numbers as `48,137`: no degree has a thousands separator."""
    if values.dtype.kind in "fiub":
        return False
    return bool(_stripped(values).str.fullmatch(r"[-+]?\d{1,3}(?:,\d+)?").fillna(True).astype(bool).all())


def degrees(values: pd.Series[Any], role: str, source: str, good: NDArray[np.int64], commas: bool) -> Floats:
    """Return numbers, NaN where a row has a problem; with `commas` texts are as in `has_commas`."""
    import pandas as pd

    if values.dtype.kind not in "fiub":
        values = _stripped(values)
        if commas:
            values = values.str.replace(",", ".")
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(np.float64, copy=True)
    bad = good[np.isnan(numbers[good]) & values.iloc[good].notna().to_numpy()]
    if len(bad):
        raise ValueError(
            f"{source}: {role} must be degrees, got {values.iloc[bad[0]]!r} in row {values.index[bad[0]]}."
        )
    return numbers


def _refuse_swapped(latlon: Floats, found: dict[str, str], source: str) -> None:
    beyond = np.flatnonzero(np.abs(latlon[:, 0]) > 90)
    if len(beyond) and np.max(np.abs(latlon[:, 0])) <= 180 and np.max(np.abs(latlon[:, 1])) <= 90:
        raise ValueError(
            f"{source}: latitude and longitude look swapped: {found['lat']!r} and {found['lon']!r} are "
            f"{latlon[beyond[0]].tolist()} in row {beyond[0]}; if the headings are wrong, pass "
            f"--lat-column {found['lon']} --lon-column {found['lat']}."
        )


def are_whole(values: pd.Series[Any]) -> bool:
    """Return whether all numbers of a column of floats are whole, so that a gap made them floats."""
    there = values[~_missing(values)]
    return there.dtype.kind == "f" and bool((there == there.round()).all())


def whole_ids(frame: pd.DataFrame, good: NDArray[np.int64]) -> dict[str, bool]:
    """Return `are_whole` of the columns image and, in good rows, location, where they are there."""
    whole = {"image": are_whole(frame["image"])} if "image" in frame else {}
    if "location" in frame:
        whole["location"] = are_whole(frame["location"].iloc[good])
    return whole


def _text(values: pd.Series[Any], whole: bool) -> list[str]:
    """Return ids as text, "" where there is none; whole numbers that a gap made floats have no point."""
    missing = _missing(values)
    there = values[~missing]
    ids = there.tolist()
    if there.dtype.kind == "f" and whole:
        ids = [int(value) if abs(value) < _LEAST_NO_INT64 else value for value in ids]
    texts: list[Any] = [""] * len(values)
    for row, text in zip(np.flatnonzero(~missing).tolist(), ids, strict=True):
        texts[row] = clean_text(str(text))
    return texts


def _require_tight_locations(frame: pd.DataFrame, latlon: Floats, source: str) -> None:
    codes, names = frame["location"].factorize()
    worst, km = farthest_view(latlon, codes.astype(np.int64), len(names))
    if km > MAX_SPREAD_KM:
        raise loose_location(source, km, frame["location"].iloc[worst], int(frame.index[worst]))


def loose_location(source: str, km: float, name: str, row: int) -> ValueError:
    """Return the error of a location whose views are far apart."""
    return ValueError(
        f"{source}: views of one location must lie within {MAX_SPREAD_KM:g} km, got {km:.1f} km from the middle of "
        f"location {name!r} in row {row}: check the location column."
    )


def farthest_view(latlon: Floats, groups: NDArray[np.int64], n_groups: int) -> tuple[int, float]:
    """Return the row of (N, 2) degrees that is farthest from the mean of its group, and how many km; N >= 1."""
    sums = np.zeros((n_groups, 3))
    for first in range(0, len(latlon), PIECE):
        np.add.at(sums, groups[first : first + PIECE], unit_vectors(latlon[first : first + PIECE]))
    worst, most = 0, -1.0
    for first in range(0, len(latlon), PIECE):
        part = slice(first, first + PIECE)
        means = unit_vectors(latlon_from_unit(sums[groups[part]]))
        spread = unit_distance_km(unit_vectors(latlon[part]), means)
        row = int(np.argmax(spread))
        if spread[row] > most:
            worst, most = first + row, float(spread[row])
    return worst, most


def _ordered(frame: pd.DataFrame) -> pd.DataFrame:
    first = ["image", "location", "lat", "lon", "problem"]
    return frame[first + [name for name in frame.columns if name not in first]]


class Framed(Protocol):
    """What has the columns of a table of views as a DataFrame."""

    @property
    def frame(self) -> pd.DataFrame:
        """The table; see `ViewTable`."""
        ...


def location_coordinates(table: Framed) -> Floats:
    """Return (P, 2) degrees, one row per location: the spherical mean of its views, or their common coordinate."""
    frame = table.frame[table.frame["problem"] == ""]
    codes, names = frame["location"].factorize()
    return grouped_coordinates(frame[["lat", "lon"]].to_numpy(np.float64), codes.astype(np.int64), len(names))


def location_column(table: Framed, name: str) -> NDArray[Any] | None:
    """Return a further column for the same (P,) locations, from the first view of each; None when there is none."""
    if name not in table.frame.columns:
        return None
    frame = table.frame[table.frame["problem"] == ""]
    return np.asarray(frame.loc[~frame["location"].duplicated(), name].to_numpy())
