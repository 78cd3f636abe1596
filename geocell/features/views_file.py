"""`views.parquet`, the table of views of a feature cache: writing, validated reading, and a hash of its content."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geocell.files import DamagedFileError, reading, validated_frame, write_bytes

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow

VIEWS_FILE = "views.parquet"
_COLUMNS = ("image", "location", "lat", "lon", "status")
_SLICE = 1 << 16


def views_bytes(frame: pd.DataFrame) -> io.BytesIO:
    """Return a table of views as a Parquet file, its pages with checksums; columns of mixed types become text."""
    import pyarrow as pa

    try:
        return _parquet(frame)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        mixed = [name for name in frame.columns if frame[name].dtype == object]
        texts: Any = {name: [None if value is None else str(value) for value in frame[name].tolist()] for name in mixed}
        return _parquet(frame.assign(**texts))


def _parquet(frame: pd.DataFrame) -> io.BytesIO:
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False, write_page_checksum=True)
    return buffer


def write_views(folder: Path, frame: pd.DataFrame) -> None:
    """Write `views.parquet` atomically."""
    write_bytes(folder / VIEWS_FILE, [views_bytes(frame).getbuffer()])


def views_sha256(file: Path | io.BytesIO) -> str:
    """Return a hash of every column of a table of views but its statuses, which shards hold too.

    Raises:
        ValueError: when it can't be read.
    """
    table = _read(file, None)
    digest = hashlib.sha256()
    for name in sorted(table.column_names):
        if name == "status":
            continue
        digest.update(f"\x1e{name}\x1e".encode())
        column = table.column(name)
        for first in range(0, len(column), _SLICE):
            digest.update(_content(column.slice(first, _SLICE)))
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
    """Return the table of views of a cache.

    Args:
        folder: the cache.
        rows: how many it must have.

    Raises:
        DamagedFileError: when it can't be read, a page of it has another checksum, it has other rows, or a column is
            missing or of another type.
    """
    where = folder / VIEWS_FILE
    table = _read(where, rows)
    with reading(where, "the table of views of a cache"):
        frame = validated_frame(table)
    lacking = [name for name in _COLUMNS if name not in frame]
    if lacking:
        raise DamagedFileError(f"{where} must have the columns {', '.join(lacking)}: encode again.")
    _require_types(frame, where)
    return frame


def _read(where: Path | io.BytesIO, rows: int | None) -> pyarrow.Table:
    """Return a Parquet file whose number of rows is compared before memory is taken for them."""
    from pyarrow import parquet

    opened: Any = None
    try:
        opened = where if isinstance(where, io.BytesIO) else where.open("rb")
        with parquet.ParquetFile(opened, page_checksum_verification=True) as file:
            _require_shape(file.metadata.num_rows, file.schema_arrow.names, where, rows)
            return file.read()
    except DamagedFileError:
        raise
    except Exception as error:  # pyarrow raises kinds of its own, and several of Python's, for damaged files
        first = str(error).split("\n", maxsplit=1)[0]
        raise DamagedFileError(f"{where} must be a readable Parquet file, got: {first}: encode again.") from error
    finally:
        if opened is not None and opened is not where:
            opened.close()


def _require_shape(got: int, names: list[str], where: object, rows: int | None) -> None:
    if rows is not None and got != rows:
        raise DamagedFileError(f"{where} must have {rows} views, got {got}: encode the images again.")
    if len(set(names)) < len(names):
        raise DamagedFileError(f"{where} must have every column once, got {names}: encode again.")


def _require_types(frame: pd.DataFrame, where: Path) -> None:
    """Refuse columns of other types, and invalid coordinates of good views."""
    for name in ("image", "location", "status"):
        if not all(isinstance(value, str) for value in frame[name].tolist()):
            raise DamagedFileError(f"{where} must have text in every row of {name}: encode again.")
    for name, most in (("lat", 90.0), ("lon", 180.0)):
        if frame[name].dtype.kind not in "fiu":
            raise DamagedFileError(f"{where} must have numbers as {name}, got {frame[name].dtype}: encode again.")
        values = frame[name].to_numpy(np.float64)[(frame["status"] == "ok").to_numpy()]
        if not (np.abs(values) <= most).all():
            raise DamagedFileError(
                f"{where} must have {name} within ±{most:g} degrees for every good view: encode again."
            )
