"""Writing `views.parquet`, the table of views of a feature cache, by row groups.

A row group is held at a time, and the bytes are those of the whole table at once.
"""

from __future__ import annotations

import io
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geocell.features.views_file import COLUMNS, PENDING, VIEWS_FILE, ViewsFile, pieces_of
from geocell.files import atomic_path, is_local, write_bytes

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow

_GROUP = 1 << 20  # rows of a row group: pandas' default, so that files have the bytes that they always had


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


def write_views(folder: Path, frame: pd.DataFrame) -> None:
    """Write `views.parquet` atomically."""
    write_bytes(folder / VIEWS_FILE, [views_bytes(frame).getbuffer()])


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


def pending_schema(table: pyarrow.Table) -> pyarrow.Schema:
    """Return the schema of a table's file of views, of which `table` is a piece without statuses."""
    import pyarrow as pa

    few: pd.DataFrame = table.slice(0, 1).to_pandas()
    return pa.Schema.from_pandas(few.assign(status=PENDING), preserve_index=False)


def with_pending(table: pyarrow.Table, schema: pyarrow.Schema) -> pyarrow.Table:
    """Return a piece with the status of views that are not encoded yet."""
    import pyarrow as pa

    field = schema.field("status")
    return table.append_column(field, pa.repeat(pa.scalar(PENDING, field.type), len(table))).cast(schema)


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
