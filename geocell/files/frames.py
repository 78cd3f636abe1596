"""Tables of Arrow as DataFrames, and Parquet files of somebody else's within bounds of memory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow

LEAST_UNPACKED = 256 << 20
MOST_PER_BYTE = 200
"""A file's columns may take `LEAST_UNPACKED` bytes, or `MOST_PER_BYTE` times its size where that is more."""

_UNNAMED_INDEX = re.compile(r"__index_level_\d+__")
_DICTIONARIES = 256 << 20
"""Size of the largest file whose texts are read as they are kept, each distinct one once, to add their lengths up."""


def validated_frame(table: pyarrow.Table) -> pd.DataFrame:
    """Return a table that was read from somebody else's file as a DataFrame, all of it checked before.

    Arrow reads a damaged file without a look at its values: an offset beyond its column or a text that is not UTF-8
    fails later, where nobody expects it, or ends the process.

    Raises:
        Exception: pyarrow's own or Python's, when it is damaged; the caller names the file.
    """
    table.validate(full=True)
    return columns_frame(table)


def columns_frame(table: pyarrow.Table) -> pd.DataFrame:
    """Return a table with all its columns as columns of the DataFrame, whichever the file says were its index.

    The numbers that pandas keeps of an index without a name are left out.
    """
    kept = [place for place, name in enumerate(table.column_names) if not _UNNAMED_INDEX.fullmatch(name)]
    table = table.select(kept)
    frame: pd.DataFrame = table.to_pandas()
    if list(frame.columns) != table.column_names:
        frame = table.to_pandas(ignore_metadata=True)
    return frame.reset_index(drop=True)


def read_parquet_frame(source: Any, size: int, columns: Sequence[str] | None = None) -> pd.DataFrame:  # noqa: ANN401 - a path or a file object
    """Return a Parquet file as a DataFrame, unless its columns take far more memory than the file.

    A run of equal values takes a few bytes in a file, however long it is, and so does a long text that many rows share.

    Args:
        source: path, or a file object that is read twice.
        size: of the file in bytes.
        columns: those that are read; all when None.

    Raises:
        ValueError: when they do.
        Exception: pyarrow's own or Python's, when it is damaged; the caller names the file.
    """
    from pyarrow import parquet, types

    most = max(LEAST_UNPACKED, MOST_PER_BYTE * size)
    with parquet.ParquetFile(source) as file:
        names = [name for name in file.schema_arrow.names if columns is None or name in columns]
        _require(_least_bytes(file.metadata, len(names)), most)
        kept = [file.schema_arrow.field(name) for name in names] if size <= _DICTIONARIES else []
    shared = {f.name: f.type for f in kept if types.is_string(f.type) or types.is_large_string(f.type)}
    with parquet.ParquetFile(source, read_dictionary=list(shared)) as file:
        table = file.read(names)
    _require(sum(_unpacked(table.column(name)) for name in shared), most)
    for name, kind in shared.items():
        table = table.set_column(table.column_names.index(name), name, table.column(name).cast(kind))
    return validated_frame(table)


def _least_bytes(metadata: pyarrow.parquet.FileMetaData, n_columns: int) -> int:
    """Return what so many columns of a file take at least: a number of each row, or what the file says."""
    return max(8 * int(metadata.num_rows) * n_columns, unpacked_bytes(metadata))


def unpacked_bytes(metadata: pyarrow.parquet.FileMetaData) -> int:
    """Return the bytes that a file says its columns have unpacked, texts that rows share once.

    By row groups: to ask for a column of a damaged file ends the process (pyarrow 26).
    """
    return sum(int(metadata.row_group(i).total_byte_size) for i in range(metadata.num_row_groups))


def parquet_frames(
    source: Any,  # noqa: ANN401 - a path or a file object
    size: int,
    columns: Sequence[str],
    rows: int,
) -> Iterator[pd.DataFrame]:
    """Yield some columns of a Parquet file by so many rows, unless they take far more memory than the file.

    Rows are counted before the first is read: who reads pieces keeps some numbers of each. The texts that rows share
    are those of one piece.

    Args:
        source: path, or a file object that is read twice.
        size: of the file in bytes.
        columns: those that are read.
        rows: how many are read at a time.

    Raises:
        ValueError: when they do.
        Exception: pyarrow's own or Python's, when it is damaged; the caller names the file.
    """
    import pyarrow as pa
    from pyarrow import parquet, types

    most = max(LEAST_UNPACKED, MOST_PER_BYTE * size)
    with parquet.ParquetFile(source) as file:
        _require(_least_bytes(file.metadata, len(columns)), most)
        kept = [file.schema_arrow.field(name) for name in columns]
        shared = {f.name: f.type for f in kept if types.is_string(f.type) or types.is_large_string(f.type)}
    with parquet.ParquetFile(source, read_dictionary=list(shared)) as file:
        for batch in file.iter_batches(rows, columns=list(columns)):
            table = pa.Table.from_batches([batch]).select(list(columns))
            _require(sum(_unpacked(table.column(name)) for name in shared), most)
            for name, kind in shared.items():
                table = table.set_column(table.column_names.index(name), name, table.column(name).cast(kind))
            yield validated_frame(table)


def _unpacked(column: pyarrow.ChunkedArray) -> int:
    """Return the bytes of the texts of a column that is kept as a dictionary, each as often as it comes."""
    from pyarrow import compute

    total = 0
    for chunk in column.chunks:
        chunk.validate(full=True)  # indices beyond the dictionary
        lengths = compute.binary_length(chunk.dictionary).cast("int64")
        total += compute.sum(lengths.take(chunk.indices)).as_py() or 0
    return total


def _require(found: int, most: int) -> None:
    if found > most:
        raise ValueError(f"columns of {found:,} bytes, more than {most:,} for a file of its size: write it again")
