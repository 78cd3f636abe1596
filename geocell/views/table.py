"""The table of views: validation of its columns, their names and texts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.geo.geodesy import Floats
from geocell.images.sources import FileImages, ImageSource
from geocell.views.cells import id_texts, whole_ids, with_blanks
from geocell.views.codes import TextCodes
from geocell.views.columns import ALIASES, ColumnNames, find_columns
from geocell.views.coordinates import degrees, has_commas, latlon_keys, require_latlon
from geocell.views.places import ViewPlaces, require_tight
from geocell.views.texts import clean_text

if TYPE_CHECKING:
    import pandas as pd

PIECE = 1 << 16
"""Rows of a large table that are held at a time."""

FIRST = ("image", "location", "lat", "lon", "problem")
"""The first columns of every table of views, in this order."""


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
    def names(self) -> list[str]:
        """Names of the columns."""
        return list(map(str, self.frame.columns))

    @cached_property
    def places(self) -> ViewPlaces:
        """Where the views without a problem are."""
        return _places(self.frame)

    @cached_property
    def location_ids(self) -> TextCodes:
        """Location ids of the views of `places`."""
        return TextCodes(self.places.codes, TextCodes.of(self.take("location", self.places.first).tolist()).names)

    def take(self, name: str, rows: NDArray[np.int64]) -> pd.Series[Any]:
        """Return the (k,) values of a column in ascending rows."""
        return self.frame[name].iloc[rows]

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
                numbers = np.array(values, dtype="<f8")
                numbers[np.isnan(numbers)] = np.nan  # which has many forms, and a file may keep only one
                digest.update(numbers.tobytes())
            else:
                between = "\x1f" if number else ""
                digest.update((between + "\x1f".join(map(str, values.tolist()))).encode())
    return digest.hexdigest()


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
        require_tight(_places(frame), source, lambda row: str(frame["location"].iloc[row]))
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


def prepared(frame: pd.DataFrame, latlon: Floats, good: NDArray[np.int64], whole: Mapping[str, bool]) -> pd.DataFrame:
    """Return rows of a table, under our names and with their problems, as a table of views has them.

    Args:
        frame: some rows.
        latlon: (n, 2) degrees of them.
        good: those without a problem.
        whole: whether the numbers of the columns image and location, where they are there, are whole; see `are_whole`.
    """
    frame["lat"], frame["lon"] = latlon[:, 0], latlon[:, 1]
    frame["image"] = id_texts(frame["image"], whole["image"]) if "image" in frame else _numbered(frame.index.tolist())
    location = np.full(len(frame), "", dtype=object)  # views of one coordinate are one location, unless it is named
    location[good] = (
        id_texts(frame["location"].iloc[good], whole["location"]) if "location" in frame else latlon_keys(latlon[good])
    )
    frame["location"] = location
    return _ordered(frame)


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


def _places(frame: pd.DataFrame) -> ViewPlaces:
    good = (frame["problem"] == "").to_numpy(bool)
    rows = np.flatnonzero(good)
    locations = frame["location"].iloc[rows]
    codes = locations.factorize()[0].astype(np.int64)
    first = rows[~locations.duplicated().to_numpy()]
    return ViewPlaces(good, codes, frame[["lat", "lon"]].to_numpy(np.float64)[rows], first)


def _ordered(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[[*FIRST, *(name for name in frame.columns if name not in FIRST)]]
