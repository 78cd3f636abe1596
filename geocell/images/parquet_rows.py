"""Single rows of Parquet files, read forward in small batches that the threads of a process share."""

from __future__ import annotations

import os
import threading
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate
from typing import Any

from geocell.images.references import is_url, require_openable

_READING = threading.Lock()


def read_row(path: str, column: str, row: int) -> object:
    """Return a cell of a Parquet file, reading forward from the last position of this process.

    Args:
        path: the file, or its URL.
        column: the column.
        row: the row; recently read rows are cached, and an earlier one restarts its row group.

    Raises:
        FileNotFoundError: when there is no such file.
        OSError: when it is damaged, or has no such row; its text is one line.
    """
    with _READING:
        try:
            return _row_reader(os.getpid(), path, column).value(row)
        except FileNotFoundError:
            raise
        except Exception as error:  # pyarrow raises kinds of its own, and several of Python's, for damaged files
            _row_reader.cache_clear()  # whose position may be lost
            raise OSError(str(error).split("\n", maxsplit=1)[0] or type(error).__name__) from error


@lru_cache(maxsize=2)
def _row_reader(_process: int, path: str, column: str) -> _RowReader:
    return _RowReader(path, column)


class _RowReader:
    """A forward reader of one column of one Parquet file, which caches the last batches."""

    _ROWS, _CACHED = 16, 8

    def __init__(self, path: str, column: str) -> None:
        from pyarrow import parquet

        remote = is_url(path)
        self._column = column
        self._file = parquet.ParquetFile(
            open_remote(path) if remote else path,
            memory_map=not remote,
            buffer_size=1 << 20 if remote else 0,
            pre_buffer=False,
        )
        counts = [self._file.metadata.row_group(i).num_rows for i in range(self._file.metadata.num_row_groups)]
        self._ends = list(accumulate(counts))
        self._batches: deque[tuple[int, list[object]]] = deque(maxlen=self._CACHED)
        self._group, self._next = 0, 0
        if self._ends:
            self._begin(0)

    def value(self, row: int) -> object:
        """Return the cell of a row."""
        rows = self._ends[-1] if self._ends else 0
        if not 0 <= row < rows:
            raise ValueError(f"the file has {rows} rows")
        group = bisect_right(self._ends, row)
        if row < (self._batches[0][0] if self._batches else self._next) or (row >= self._next and group != self._group):
            self._begin(group)
        while row >= self._next:
            batch = next(self._rest, None)
            if batch is None:
                raise ValueError("the file has fewer rows than it says")
            values = batch.column(0).to_pylist()
            self._batches.append((self._next, values))
            self._next += len(values)
        first, values = next(batch for batch in reversed(self._batches) if batch[0] <= row)
        return values[row - first]

    def _begin(self, group: int) -> None:
        """Start reading a row group; batches read directly before it stay cached."""
        start = self._ends[group - 1] if group else 0
        if not self._batches or self._next != start:
            self._batches.clear()
        self._group, self._next = group, start
        self._rest: Iterator[Any] = self._file.iter_batches(self._ROWS, row_groups=[group], columns=[self._column])


def open_remote(path: str) -> Any:  # noqa: ANN401 - file objects of stores differ
    """Open a URL for reading by range, through fsspec.

    Raises:
        ValueError: when its scheme is outside the allow-list, or it is a chain.
    """
    require_openable(path)
    import fsspec

    return fsspec.open(path, "rb").open()
