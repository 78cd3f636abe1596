"""`views.parquet`, the table of views of a feature cache: written, read, validated and hashed by row groups.

Only `read_views_file` returns the whole table. All else holds some ten thousand rows at a time, of the columns that are
asked for, and a row group where a file is written.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.files import DamagedFileError, atomic_path, is_local, reading, validated_frame, write_bytes

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow
    from pyarrow import parquet

VIEWS_FILE = "views.parquet"
COLUMNS = ("image", "location", "lat", "lon", "status")
"""The columns of every cache."""

SLICE = 1 << 16
"""Rows that are held at a time; the hash of a column is taken in pieces of so many."""

_PENDING = "pending"  # the status of a view that is not encoded yet
_GROUP = 1 << 20  # rows of a row group: pandas' default, so that files have the bytes that they always had
_LIMITS = {"lat": 90.0, "lon": 180.0}


def views_bytes(frame: pd.DataFrame) -> io.BytesIO:
    """Return a table of views as a Parquet file, its pages with checksums; columns of mixed types become text."""
    import pyarrow as pa

    try:
        return _parquet(frame)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        mixed = [name for name in frame.columns if frame[name].dtype == object]
        texts: Any = {name: texts_of(frame[name]) for name in mixed}
        return _parquet(frame.assign(**texts))


def texts_of(values: pd.Series[Any]) -> list[str | None]:
    """Return a column of mixed types as texts, None where a value is missing."""
    return [None if value is None else str(value) for value in values.tolist()]


def _parquet(frame: pd.DataFrame) -> io.BytesIO:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False, write_page_checksum=True)
    return buffer


def write_tables(folder: Path, schema: pyarrow.Schema, tables: Iterable[pyarrow.Table]) -> None:
    """Write `views.parquet` atomically of tables of one schema, a row group at a time.

    The bytes are those of `views_bytes` of the whole table, however it is cut into pieces.
    """
    where = folder / VIEWS_FILE
    if not is_local(where):
        with tempfile.TemporaryFile() as whole:  # a store keeps the half of an object whose writing failed
            _write_groups(whole, schema, tables)
            whole.seek(0)
            with where.open("wb") as file:
                shutil.copyfileobj(whole, file, 1 << 20)
        return
    with atomic_path(where) as temporary, temporary.open("wb") as file:
        _write_groups(file, schema, tables)


def _write_groups(file: Any, schema: pyarrow.Schema, tables: Iterable[pyarrow.Table]) -> None:  # noqa: ANN401 - of any store
    import pyarrow as pa
    from pyarrow import parquet

    with parquet.ParquetWriter(file, schema, compression="snappy", write_page_checksum=True) as writer:
        for pieces in pieces_of(tables, _GROUP):
            writer.write_table(pa.concat_tables(pieces).combine_chunks())


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


def pending_schema(table: pyarrow.Table) -> pyarrow.Schema:
    """Return the schema of a table's file of views, of which `table` is a piece without statuses."""
    import pyarrow as pa

    few: pd.DataFrame = table.slice(0, 1).to_pandas()
    return pa.Schema.from_pandas(few.assign(status=_PENDING), preserve_index=False)


def with_pending(table: pyarrow.Table, schema: pyarrow.Schema) -> pyarrow.Table:
    """Return a piece with the status of views that are not encoded yet."""
    import pyarrow as pa

    field = schema.field("status")
    return table.append_column(field, pa.repeat(pa.scalar(_PENDING, field.type), len(table))).cast(schema)


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

    def take(self, first: int, last: int, names: Sequence[str]) -> pyarrow.Table:
        """Return some columns of the rows from `first` to `last`, that one left out; other row groups are not read."""
        import pyarrow as pa

        with self._reading():
            sizes = [self._open_file.metadata.row_group(i).num_rows for i in range(self._open_file.num_row_groups)]
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
        import pyarrow.compute as pc

        for name in ("image", "location", "status"):
            if name in table.column_names and table.column(name).null_count:
                raise self._no_text(name)
        if "status" not in table.column_names:
            return table
        good = pc.equal(table.column("status"), "ok").to_numpy()
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
    return np.asarray(column.to_numpy(), dtype=np.float64)


def good_rows(table: pyarrow.Table) -> NDArray[np.bool_]:
    """Return which rows of a piece with the column `status` have features."""
    import pyarrow.compute as pc

    return np.asarray(pc.equal(table.column("status"), "ok").to_numpy(), dtype=np.bool_)


def has_pending(table: pyarrow.Table) -> bool:
    """Return whether a piece with the column `status` has a view that is not encoded yet."""
    import pyarrow.compute as pc

    return bool(pc.any(pc.equal(table.column("status"), _PENDING)).as_py())


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
        return np.asarray(column.to_numpy(), dtype="<f8").tobytes()
    if pa.types.is_integer(column.type) and column.type != pa.uint64() and not column.null_count:
        return np.asarray(column.to_numpy(), dtype="<i8").tobytes()
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


def write_statuses(folder: Path, status: Sequence[tuple[int, str]], rows: int) -> bool:
    """Write the statuses of views into `views.parquet`, unless they stand there already.

    Args:
        folder: the cache.
        status: (row, why it has no features), ascending; all other rows are "ok".
        rows: N.

    Returns:
        Whether the file was written.

    Raises:
        DamagedFileError: see `read_views_file`.
    """
    where = folder / VIEWS_FILE
    bad = np.array([row for row, _ in status], dtype=np.int64)
    texts = [text for _, text in status]

    def column(first: int, last: int, kind: pyarrow.DataType) -> pyarrow.Array:
        import pyarrow as pa

        values = np.full(last - first, "ok", dtype=object)
        begin, end = np.searchsorted(bad, (first, last)).tolist()
        values[bad[begin:end] - first] = texts[begin:end]
        return pa.array(values, kind)

    with ViewsFile(where, rows) as views:
        views.require_columns()
        field = views.schema.field("status")
        place, first, same = views.schema.get_field_index("status"), 0, True
        for table in views.tables(COLUMNS):
            views.check(table)
            last = first + len(table)
            same = same and table.column("status").combine_chunks().equals(column(first, last, field.type))
            first = last
        if same:
            return False

        def tables() -> Iterator[pyarrow.Table]:
            first = 0
            for table in views.tables():
                last = first + len(table)
                yield table.set_column(place, field, column(first, last, field.type))
                first = last

        write_tables(folder, views.schema, tables())
    return True


def write_views(folder: Path, frame: pd.DataFrame) -> None:
    """Write `views.parquet` atomically."""
    write_bytes(folder / VIEWS_FILE, [views_bytes(frame).getbuffer()])
