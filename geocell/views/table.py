"""The table of views: validation of columns and coordinates, locations of views."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.geo.geodesy import (
    Floats,
    as_latlon,
    grouped_coordinates,
    grouped_spherical_means,
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

    @property
    def sha256(self) -> str:
        """Hash of every column, by which a cache knows its table.

        Numbers are hashed as float64: integers that differ only beyond 2^53 are equal. The hashes of released caches
        are of this form.
        """
        digest = hashlib.sha256()
        for name in map(str, self.frame.columns):
            values = self.frame[name]
            digest.update(f"\x1e{name}\x1e".encode())
            if values.dtype.kind in "fiub":
                digest.update(np.ascontiguousarray(values.to_numpy(), dtype="<f8").tobytes())
            else:
                digest.update("\x1f".join(map(str, values.tolist())).encode())
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
    _refuse_two_columns(frame, columns, found, source)
    frame = with_our_names(frame, found, source, {"problem", "status"})
    frame["problem"] = _with_blanks(frame, [""] * len(frame) if problems is None else list(problems))
    good = np.flatnonzero((frame["problem"] == "").to_numpy())
    if not len(good):
        raise ValueError(
            f"{source} must hold a view with a position, got {len(frame)} without "
            f"(the first: {frame['problem'].iloc[0]})."
        )
    latlon = np.column_stack([_degrees(frame[role], role, source, good) for role in ("lat", "lon")])
    checked = np.zeros_like(latlon)  # of every row, so that messages number the rows of the table
    checked[good] = latlon[good]
    _refuse_swapped(checked, found, source)
    latlon[good] = as_latlon(checked, f"{source}: coordinates")[good]
    frame["lat"], frame["lon"] = latlon[:, 0], latlon[:, 1]
    frame["image"] = _text(frame["image"]) if "image" in frame else _numbered(len(frame))
    named = "location" in frame  # else views of one coordinate are one location, which is tight by itself
    location = np.full(len(frame), "", dtype=object)
    location[good] = _text(frame["location"].iloc[good]) if named else latlon_keys(latlon[good])
    frame["location"] = location
    if named:
        _require_tight_locations(frame.iloc[good], latlon[good], source)
    return ViewTable(_ordered(frame), images, clean_text(source))


_BLANK = {"image": "no image", "lat": "no position", "lon": "no position", "location": "no location id"}
"""Column -> the problem of a row that has nothing there."""


def _with_blanks(frame: pd.DataFrame, problems: list[str]) -> list[str]:
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


def _refuse_two_columns(frame: pd.DataFrame, columns: ColumnNames, found: dict[str, str], source: str) -> None:
    """Refuse a table with two usual spellings of a coordinate that differ, of which either may be the wrong one."""
    for role in ("lat", "lon"):
        named = [name for name in map(str, frame.columns) if name.strip().lower() in ALIASES[role]]
        others = [name for name in named if name != found[role] and not frame[name].equals(frame[found[role]])]
        if columns.name_of(role) is None and others:
            raise ValueError(
                f"{source} must have one column for {role}, got {found[role]!r} and {others[0]!r}, which differ: name "
                f"one with --{role}-column."
            )


def _numbered(count: int) -> list[str]:
    return [f"row {i}" for i in range(count)]


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


def _degrees(values: pd.Series[Any], role: str, source: str, good: NDArray[np.int64]) -> Floats:
    """Return numbers, NaN where a row has a problem; `48,137` is one, as no degree has a thousands separator."""
    import pandas as pd

    if values.dtype.kind not in "fiub":
        values = values.astype(str).where(values.notna(), None).str.strip()
        comma = values.str.fullmatch(r"[-+]?\d{1,3}(?:,\d+)?")
        if comma.iloc[good].fillna(True).astype(bool).all():
            values = values.str.replace(",", ".")
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(np.float64, copy=True)
    bad = good[np.isnan(numbers[good]) & values.iloc[good].notna().to_numpy()]
    if len(bad):
        raise ValueError(f"{source}: {role} must be degrees, got {values.iloc[bad[0]]!r} in row {bad[0]}.")
    return numbers


def _refuse_swapped(latlon: Floats, found: dict[str, str], source: str) -> None:
    beyond = np.flatnonzero(np.abs(latlon[:, 0]) > 90)
    if len(beyond) and np.max(np.abs(latlon[:, 0])) <= 180 and np.max(np.abs(latlon[:, 1])) <= 90:
        raise ValueError(
            f"{source}: latitude and longitude look swapped: {found['lat']!r} and {found['lon']!r} are "
            f"{latlon[beyond[0]].tolist()} in row {beyond[0]}; if the headings are wrong, pass "
            f"--lat-column {found['lon']} --lon-column {found['lat']}."
        )


def _text(values: pd.Series[Any]) -> list[str]:
    """Return ids as text, "" where there is none; whole numbers that a gap made floats have no point."""
    missing = _missing(values)
    there = values[~missing]
    ids = there.tolist()
    if there.dtype.kind == "f" and (there == there.round()).all():
        ids = [int(value) if abs(value) < _LEAST_NO_INT64 else value for value in ids]
    texts: list[Any] = [""] * len(values)
    for row, text in zip(np.flatnonzero(~missing).tolist(), ids, strict=True):
        texts[row] = clean_text(str(text))
    return texts


def _require_tight_locations(frame: pd.DataFrame, latlon: Floats, source: str) -> None:
    codes, names = frame["location"].factorize()
    groups = codes.astype(np.int64)
    means, _ = grouped_spherical_means(latlon, groups, len(names))
    spread = unit_distance_km(unit_vectors(latlon), unit_vectors(means)[groups])
    worst = int(np.argmax(spread))
    if spread[worst] > MAX_SPREAD_KM:
        raise ValueError(
            f"{source}: views of one location must lie within {MAX_SPREAD_KM:g} km, got {spread[worst]:.1f} km from "
            f"the middle of location {frame['location'].iloc[worst]!r} in row {frame.index[worst]}: check the location "
            "column."
        )


def _ordered(frame: pd.DataFrame) -> pd.DataFrame:
    first = ["image", "location", "lat", "lon", "problem"]
    return frame[first + [name for name in frame.columns if name not in first]]


def location_coordinates(table: ViewTable) -> Floats:
    """Return (P, 2) degrees, one row per location: the spherical mean of its views, or their common coordinate."""
    frame = table.frame[table.frame["problem"] == ""]
    codes, names = frame["location"].factorize()
    return grouped_coordinates(frame[["lat", "lon"]].to_numpy(np.float64), codes.astype(np.int64), len(names))


def location_column(table: ViewTable, name: str) -> NDArray[Any] | None:
    """Return a further column for the same (P,) locations, from the first view of each; None when there is none."""
    if name not in table.frame.columns:
        return None
    frame = table.frame[table.frame["problem"] == ""]
    return np.asarray(frame.loc[~frame["location"].duplicated(), name].to_numpy())
