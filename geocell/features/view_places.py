"""Reading where the views of a cache are: coordinates and locations of good views, without their texts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geocell.compute.engines import ROWS, is_here, results
from geocell.features.view_columns import read_view_rows
from geocell.features.views_file import COLUMNS, VIEWS_FILE, ViewsFile, good_rows, has_pending
from geocell.files.arrow import arrow_mask, binary_texts, numpy_values
from geocell.geo.geodesy import Floats
from geocell.views.codes import codes_of_hashes
from geocell.views.hashing import TextKey
from geocell.views.places import ViewPlaces

if TYPE_CHECKING:
    import pyarrow


def require_some(places: ViewPlaces, folder: Path) -> None:
    """Raise ValueError when a cache has no view with features."""
    if not len(places):
        raise ValueError(f"{folder} must have a view with features, got none: see its views.parquet.")


def read_places(folder: Path, n: int, good: NDArray[np.bool_]) -> ViewPlaces:
    """Read coordinates and locations of the good views of a cache by pieces of rows: 40 bytes of each stay.

    Args:
        folder: the cache.
        n: N, its rows.
        good: (N,) which of them are good, as their statuses said when the cache was opened.

    Raises:
        DamagedFileError: when the table of views can't be read.
    """
    count = int(good.sum())
    latlon = np.empty((count, 2), dtype=np.float64)

    def hashes() -> Iterator[NDArray[np.uint64]]:
        there = 0
        for piece in results(partial(_PlacesOf, folder.absolute(), n, is_here(), TextKey()), _pieces(folder, n, good)):
            for found, degrees in piece:
                latlon[there : there + len(degrees)] = degrees
                there += len(degrees)
                yield found

    codes, first = codes_of_hashes(hashes(), count)
    return ViewPlaces(good, codes, latlon, np.flatnonzero(good)[first])


class _Piece(NamedTuple):
    """Consecutive row groups of a table of views, and which of their rows are good."""

    groups: list[int]
    good: NDArray[np.bool_]


def _pieces(folder: Path, n: int, good: NDArray[np.bool_]) -> list[_Piece]:
    return [_Piece(groups, good[rows]) for groups, rows in group_runs(folder, n)]


def group_runs(folder: Path, n: int) -> list[tuple[list[int], slice]]:
    """Return runs of row groups of a cache's table of views with `ROWS` rows or more each, and their rows."""
    with ViewsFile(folder / VIEWS_FILE, n) as views:
        ends = np.cumsum(views.group_rows).tolist()
    found, groups, begin = [], list[int](), 0
    for group, end in enumerate(ends):
        groups.append(group)
        if end - begin >= ROWS or group == len(ends) - 1:
            found.append((groups, slice(begin, end)))
            groups, begin = [], end
    return found


def read_good(folder: Path, n: int) -> tuple[NDArray[np.bool_], bool]:
    """Check the columns that every cache has; return which (N,) views are good, and whether one is pending.

    Args:
        folder: the cache.
        n: N, its rows.

    Raises:
        DamagedFileError: when the table of views can't be read, or is not one.
    """
    with ViewsFile(folder / VIEWS_FILE, n) as views:
        views.require_columns()
    found = list(results(partial(_StatusesOf, folder.absolute(), n), [groups for groups, _ in group_runs(folder, n)]))
    good = np.concatenate([part for part, _ in found]) if found else np.empty(0, dtype=np.bool_)
    return good, any(pending for _, pending in found)


@dataclass(frozen=True)
class _StatusesOf:
    """Checks row groups of the table of views of a cache of `n` rows."""

    folder: Path
    n: int

    def __call__(self, groups: list[int]) -> tuple[NDArray[np.bool_], bool]:
        """Return which of their views are good, and whether one is pending."""
        good, pending = [], False
        with ViewsFile(self.folder / VIEWS_FILE, self.n) as views:
            for table in views.tables(COLUMNS, groups):
                good.append(good_rows(views.check(table)))
                pending = pending or has_pending(table)
        return np.concatenate(good) if good else np.empty(0, dtype=np.bool_), pending


@dataclass(frozen=True)
class _PlacesOf:
    """Reads hashes of location ids and (n, 2) degrees of the good rows of a cache of `n` rows.

    Attributes:
        folder: the cache.
        n: its rows.
        lazily: whether a piece is read while its results are used, and never whole.
        key: of the hashes, the same in all processes.
    """

    folder: Path
    n: int
    lazily: bool
    key: TextKey

    def __call__(self, piece: _Piece) -> Iterable[tuple[NDArray[np.uint64], Floats]]:
        """Return those of some row groups, by pieces of rows."""
        return self._read(piece) if self.lazily else list(self._read(piece))

    def _read(self, piece: _Piece) -> Iterator[tuple[NDArray[np.uint64], Floats]]:
        first = 0
        with ViewsFile(self.folder / VIEWS_FILE, self.n) as views:
            for table in views.tables(["location", "lat", "lon", "status"], piece.groups):
                # statuses may have been written again since the cache was opened
                chosen = views.check(table).filter(arrow_mask(piece.good[first : first + len(table)]))
                first += len(table)
                degrees = np.stack([numpy_values(chosen.column(name)) for name in ("lat", "lon")], axis=1)
                yield self.key.hashes(chosen.column("location")), degrees.astype(np.float64, copy=False)


def read_names(folder: Path, n: int, places: ViewPlaces) -> pyarrow.LargeBinaryArray:
    """Return the (P,) ids of locations of a cache of `n` rows, as bytes."""
    column = read_view_rows(folder, n, ["location"], places.first).column("location")
    return binary_texts(column).combine_chunks()
