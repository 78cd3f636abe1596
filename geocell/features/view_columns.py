"""Columns of the table of views, each read from `views.parquet` when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.features.stamps import Stamp, require_in_place
from geocell.features.views_file import VIEWS_FILE, ViewsFile
from geocell.files.arrow import arrow_rows

if TYPE_CHECKING:
    import pyarrow

Ints = NDArray[np.int64]


def read_view_rows(folder: Path, n: int, names: Sequence[str], rows: Ints) -> pyarrow.Table:
    """Return some columns of some rows of a cache's table of views, in their order; other row groups are not read.

    Args:
        folder: the cache.
        n: rows of the cache.
        names: of the columns.
        rows: (k,) rows.

    Raises:
        DamagedFileError: when the table can't be read.
    """
    import pyarrow as pa

    order = np.argsort(rows, kind="stable")
    with ViewsFile(folder / VIEWS_FILE, n) as views:
        groups, ascending = _within_groups(views.group_rows, rows[order])
        found, first = [], 0
        for table in views.tables(names, groups):
            begin, end = np.searchsorted(ascending, (first, first + len(table))).tolist()
            found.append(views.check(table).take(arrow_rows(ascending[begin:end] - first)))
            first += len(table)
            if end == len(ascending):
                break
    chosen = pa.concat_tables(found)
    if (np.diff(order) == 1).all():
        return chosen
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    return chosen.take(arrow_rows(place))


def _within_groups(sizes: Sequence[int], rows: Ints) -> tuple[list[int], Ints]:
    """Return the row groups that hold some rows, one at least, and where each row is among the rows of these groups.

    Args:
        sizes: rows of every group.
        rows: (k,) rows of the file, ascending.
    """
    ends = np.cumsum(sizes)
    of_row = np.searchsorted(ends, rows, side="right")
    groups = np.unique(of_row) if len(rows) else np.array([int(np.argmax(sizes))])
    there = np.asarray(sizes, dtype=np.int64)[groups]
    skipped = ends[groups] - np.cumsum(there)  # rows of other groups before each
    return groups.tolist(), rows - skipped[np.searchsorted(groups, of_row)]


class ViewColumns(Mapping[str, NDArray[Any]]):
    """Name -> (k,) values of a column in some rows of a cache, read when they are asked for and kept."""

    def __init__(self, folder: Path, n: int, names: Sequence[str], rows: Ints, stamp: Stamp) -> None:
        """Read nothing yet.

        Args:
            folder: the cache.
            n: its rows.
            names: of the columns.
            rows: (k,) rows that are wanted.
            stamp: of the cache: another one that took its place is refused.
        """
        self._folder, self._n, self._names, self._rows = folder, n, tuple(names), rows
        self._stamp = stamp
        self._read: dict[str, NDArray[Any]] = {}

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return the (k,) values of a column.

        Raises:
            ValueError: when it can't be read, or another cache has taken the place of this one.
        """
        if name not in self._names:
            raise KeyError(name)
        if name not in self._read:
            column = read_view_rows(self._folder, self._n, [name], self._rows).column(name)
            require_in_place(self._folder, self._stamp)
            self._read[name] = np.asarray(column.to_pandas().to_numpy())
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        return iter(self._names)

    def __len__(self) -> int:
        """Return how many columns there are."""
        return len(self._names)

    def read(self) -> ViewColumns:
        """Read all of them now, and return these."""
        if self._names:
            table = read_view_rows(self._folder, self._n, self._names, self._rows)
            require_in_place(self._folder, self._stamp)
            self._read = {name: np.asarray(table.column(name).to_pandas().to_numpy()) for name in self._names}
        return self

    def take(self, index: Ints) -> ViewColumns:
        """Return the columns of the rows at (k',) `index` of these."""
        taken = ViewColumns(self._folder, self._n, self._names, self._rows[index], self._stamp)
        taken._read = {name: values[index] for name, values in self._read.items()}
        return taken
