"""`views.parquet`, the table of views of a feature cache: read, validated and hashed by row groups.

Only `read_views_file` returns the whole table. All else holds some ten thousand rows at a time, of the columns that are
asked for.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.files import DamagedFileError, is_out_of_files, reading, too_many_open, validated_frame
from geocell.files.arrow import is_text, numpy_values

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow
    from pyarrow import parquet

VIEWS_FILE = "views.parquet"
COLUMNS = ("image", "location", "lat", "lon", "status")
"""The columns of every cache."""

SLICE = 1 << 16
"""Rows that are held at a time; the hash of a column is taken in pieces of so many."""

PENDING = "pending"
"""The status of a view that is not encoded yet."""

_LIMITS = {"lat": 90.0, "lon": 180.0}


def pieces_of(tables: Iterable[pyarrow.Table], rows: int) -> Iterator[list[pyarrow.Table]]:
    """Yield lists of tables that have so many rows together, the last one what is left."""
    held: list[pyarrow.Table] = []
    there = 0
    for whole in tables:
        table = whole
        while there + len(table) >= rows:
            yield [*held, table.slice(0, rows - there)]
            table, held, there = table.slice(rows - there), [], 0
        if len(table):
            held.append(table)
            there += len(table)
    if held:
        yield held


class ViewsFile:
    """An open `views.parquet`, of which columns are read by pieces of rows. Close it, or use it in a `with`.

    Attributes:
        where: the file, for messages.
        rows: N.
        names: of its columns.
        schema: of its columns, as Arrow reads them.

    Raises:
        DamagedFileError: here and in its methods, when the file can't be read, a page of it has another checksum, or it
            has other rows or a column twice.
    """

    def __init__(self, where: Path | IO[bytes], rows: int | None = None) -> None:
        """Open a file, whose number of rows is compared before memory is taken for them."""
        from pyarrow import parquet

        self.where = where
        self._opened: Any = None
        self._file: parquet.ParquetFile | None = None
        try:
            with self._reading():
                self._opened = where.open("rb") if hasattr(where, "open") else where
                self._file = parquet.ParquetFile(self._opened, page_checksum_verification=True)
                self.rows: int = self._file.metadata.num_rows
                self.schema: pyarrow.Schema = self._file.schema_arrow
                self.names: list[str] = list(self.schema.names)
            self._require_shape(rows)
        except BaseException:
            self.close()
            raise

    def _require_shape(self, rows: int | None) -> None:
        if rows is not None and self.rows != rows:
            raise DamagedFileError(f"{self.where} must have {rows} views, got {self.rows}: encode the images again.")
        if len(set(self.names)) < len(self.names):
            raise DamagedFileError(f"{self.where} must have every column once, got {self.names}: encode again.")

    def __enter__(self) -> ViewsFile:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        if self._opened is not None and self._opened is not self.where:
            self._opened.close()

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except DamagedFileError:
            raise
        except Exception as error:  # pyarrow raises kinds of its own, and several of Python's, for damaged files
            if is_out_of_files(error):
                raise too_many_open(self.where) from error
            first = str(error).strip().split("\n", maxsplit=1)[0]
            raise DamagedFileError(
                f"{self.where} must be a readable Parquet file, got: {first}: encode again."
            ) from error

    def whole(self) -> pyarrow.Table:
        """Return all of it."""
        with self._reading():
            table = self._open_file.read()
            table.validate(full=True)
            return table

    @property
    def _open_file(self) -> parquet.ParquetFile:
        if self._file is None:
            raise ValueError(f"{self.where} must be open to be read.")
        return self._file

    def tables(
        self, names: Sequence[str] | None = None, groups: Sequence[int] | None = None
    ) -> Iterator[pyarrow.Table]:
        """Yield some columns, all when omitted, by `SLICE` rows, the last table what is left.

        Args:
            names: of the columns, in the order in which they are returned.
            groups: row groups that are read; all when omitted.
        """
        import pyarrow as pa

        wanted = list(self.names if names is None else names)
        batches = self._open_file.iter_batches(batch_size=SLICE, columns=wanted, row_groups=groups)

        def read() -> Iterator[pyarrow.Table]:
            with self._reading():
                for batch in batches:  # a column whose name has a point brings others with it
                    batch.validate(full=True)  # Arrow does not look at the values of a damaged file
                    yield pa.Table.from_batches([batch]).select(wanted)

        for pieces in pieces_of(read(), SLICE):
            yield pa.concat_tables(pieces)

    @property
    def group_rows(self) -> list[int]:
        """Rows of every row group."""
        with self._reading():
            metadata = self._open_file.metadata
            return [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]

    def take(self, first: int, last: int, names: Sequence[str]) -> pyarrow.Table:
        """Return some columns of the rows from `first` to `last`, that one left out; other row groups are not read."""
        import pyarrow as pa

        sizes = self.group_rows
        ends = np.cumsum(sizes)
        groups = list(
            range(int(np.searchsorted(ends, first, "right")), int(np.searchsorted(ends, last - 1, "right")) + 1)
        )
        start = int(ends[groups[0]]) - sizes[groups[0]]
        found = []
        for table in self.tables(names, groups):
            if start + len(table) > first and start < last:
                found.append(table.slice(max(first - start, 0), min(last, start + len(table)) - max(first, start)))
            start += len(table)
            if start >= last:
                break
        return pa.concat_tables(found)

    def require_columns(self) -> None:
        """Raise DamagedFileError unless the columns of a cache are there, with texts or numbers in them."""
        import pyarrow as pa

        lacking = [name for name in COLUMNS if name not in self.names]
        if lacking:
            raise DamagedFileError(f"{self.where} must have the columns {', '.join(lacking)}: encode again.")
        for name in COLUMNS:
            kind = self.schema.field(name).type
            if name in _LIMITS:
                if not (pa.types.is_floating(kind) or pa.types.is_integer(kind)):
                    raise DamagedFileError(f"{self.where} must have numbers as {name}, got {kind}: encode again.")
            elif not _is_text(kind):
                raise self._no_text(name)

    def check(self, table: pyarrow.Table) -> pyarrow.Table:
        """Return a piece of the file, after checking those of the columns of a cache that it has.

        Raises:
            DamagedFileError: for a missing text, or coordinates of a good view that are none.
        """
        for name in ("image", "location", "status"):
            if name in table.column_names and table.column(name).null_count:
                raise self._no_text(name)
        if "status" not in table.column_names:
            return table
        good = good_rows(table)
        for name, most in _LIMITS.items():
            if name in table.column_names and not (np.abs(_numbers(table.column(name))[good]) <= most).all():
                raise DamagedFileError(
                    f"{self.where} must have {name} within ±{most:g} degrees for every good view: encode again."
                )
        return table

    def _no_text(self, name: str) -> DamagedFileError:
        return DamagedFileError(f"{self.where} must have text in every row of {name}: encode again.")


def _is_text(kind: pyarrow.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _numbers(column: pyarrow.ChunkedArray) -> NDArray[np.float64]:
    return np.asarray(numpy_values(column), dtype=np.float64)


def good_rows(table: pyarrow.Table) -> NDArray[np.bool_]:
    """Return which rows of a piece with the column `status` have features."""
    return is_text(table.column("status"), "ok")


def has_pending(table: pyarrow.Table) -> bool:
    """Return whether a piece with the column `status` has a view that is not encoded yet."""
    return bool(is_text(table.column("status"), PENDING).any())


def views_sha256(file: Path | IO[bytes]) -> str:
    """Return a hash of every column of a table of views but its statuses, which shards hold too.

    Raises:
        ValueError: when it can't be read.
    """
    digest = hashlib.sha256()
    with ViewsFile(file) as views:
        for name in sorted(views.names):
            if name == "status":
                continue
            digest.update(f"\x1e{name}\x1e".encode())
            for table in views.tables([name]):
                digest.update(_content(table.column(name)))
    return digest.hexdigest()


def _content(column: pyarrow.ChunkedArray) -> bytes:
    """Return the values as bytes: float64 (int64 for integers, which float64 rounds beyond 2^53), JSON for others."""
    import pyarrow as pa

    if pa.types.is_floating(column.type) or pa.types.is_boolean(column.type):
        return np.asarray(numpy_values(column), dtype="<f8").tobytes()
    if pa.types.is_integer(column.type) and column.type != pa.uint64() and not column.null_count:
        return np.asarray(numpy_values(column), dtype="<i8").tobytes()
    return json.dumps(column.to_pylist(), default=str).encode()


def read_views_file(folder: Path, rows: int) -> pd.DataFrame:
    """Return the whole table of views of a cache.

    Args:
        folder: the cache.
        rows: how many it must have.

    Raises:
        DamagedFileError: when it can't be read, a page of it has another checksum, it has other rows, or a column is
            missing or of another type.
    """
    with ViewsFile(folder / VIEWS_FILE, rows) as views:
        views.require_columns()
        table = views.check(views.whole())
    with reading(folder / VIEWS_FILE, "the table of views of a cache"):
        return validated_frame(table)
