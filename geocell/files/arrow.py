"""Arrow and numpy without pandas, which pyarrow imports for `pa.array` and `to_numpy` wherever it is installed.

Commands that read no more than some columns of a Parquet file start without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from typing import Any

    import pyarrow


def arrow_rows(rows: ArrayLike) -> pyarrow.Int64Array:
    """Return numbers of rows, for `take`."""
    import pyarrow as pa

    values = np.ascontiguousarray(rows, dtype=np.int64)
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(values)])


def arrow_mask(mask: ArrayLike) -> pyarrow.BooleanArray:
    """Return which rows are meant, for `filter`."""
    import pyarrow as pa

    values = np.asarray(mask, dtype=np.bool_)
    bits = np.packbits(values, bitorder="little")
    return pa.Array.from_buffers(pa.bool_(), len(values), [None, pa.py_buffer(bits)])


def arrow_bytes(values: list[bytes]) -> pyarrow.LargeBinaryArray:
    """Return texts as bytes."""
    import pyarrow as pa

    ends = np.cumsum([0, *map(len, values)], dtype=np.int64)
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(values))]
    return pa.Array.from_buffers(pa.large_binary(), len(values), buffers)


def binary_texts(column: pyarrow.Array | pyarrow.ChunkedArray) -> pyarrow.ChunkedArray:
    """Return texts, of any type that Arrow has for them, as large_binary."""
    import pyarrow as pa

    whole = column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])
    if pa.types.is_dictionary(whole.type):
        whole = whole.cast(whole.type.value_type)
    return whole if pa.types.is_large_binary(whole.type) else whole.cast(pa.large_string()).cast(pa.large_binary())


def is_text(column: pyarrow.ChunkedArray, text: str) -> NDArray[np.bool_]:
    """Return which rows of a column of texts without a missing one are this text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    return np.asarray(numpy_values(pc.equal(column, arrow_bytes([text.encode()]).cast(kind)[0])), dtype=np.bool_)


def numpy_values(column: pyarrow.Array | pyarrow.ChunkedArray) -> NDArray[Any]:
    """Return numbers or truth values; missing ones become NaN, by pandas."""
    import pyarrow as pa

    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    kind = column.type
    if column.null_count or not (pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        return np.asarray(column.to_numpy() if isinstance(column, pa.ChunkedArray) else column.to_numpy(False))
    parts = [_values(chunk) for chunk in chunks]
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, kind.to_pandas_dtype()), *parts])


def _values(chunk: pyarrow.Array) -> NDArray[Any]:
    import pyarrow as pa

    if not pa.types.is_boolean(chunk.type):
        return np.from_dlpack(chunk)
    bits = np.frombuffer(chunk.buffers()[1] or b"", np.uint8)
    return np.unpackbits(bits, count=chunk.offset + len(chunk), bitorder="little")[chunk.offset :].astype(np.bool_)
