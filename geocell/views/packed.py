"""Packed tables: gzip files of text and workbooks of Excel, whose sizes are bounded before they are unpacked."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import pandas as pd

MAX_UNPACKED = 2 << 30
"""Bytes of text in a gzip file: a larger one is read when it is unpacked."""
_FREE, _MOST_RATIO = 64 << 20, 200  # text of a table packs 3 to 30 times, a bomb 1,000 times

MAX_WORKBOOK = 512 << 20
"""Bytes of the parts of a workbook in all, unpacked; a worksheet of Excel with 1,048,576 rows of ten columns fits."""
_MOST_PARTS = 10_000
_MOST_ROWS, _MOST_COLUMNS, _MOST_CELLS = 1 << 20, 1_000, 1 << 26
_PIECE = 1 << 20


def table_suffix(name: str) -> str:
    """Return the suffix that says what a table is: that before `.gz` where it is packed.

    >>> table_suffix("a/photos.CSV.gz"), table_suffix("photos.xlsx"), table_suffix("photos.gz")
    ('.csv', '.xlsx', '')
    """
    path = Path(name)
    return Path(path.stem).suffix.lower() if path.suffix.lower() == ".gz" else path.suffix.lower()


def open_table(path: Path, most: int = MAX_UNPACKED) -> BinaryIO:
    """Return the bytes of a file of text; one called `.gz` is unpacked into memory.

    Args:
        path: the file.
        most: bytes that it may have unpacked.

    Raises:
        ValueError: when it is no gzip file, is damaged, or holds more than that or than its size makes likely.
    """
    if path.suffix.lower() != ".gz":
        return path.open("rb")
    limit = min(most, max(_FREE, _MOST_RATIO * path.stat().st_size))
    unpacked = io.BytesIO()
    try:
        with gzip.open(path) as file:
            while piece := file.read(_PIECE):
                if unpacked.tell() + len(piece) > limit:
                    raise ValueError(f"more than {limit:,} bytes in a gzip file: unpack it first, or split it")
                unpacked.write(piece)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"a damaged gzip file ({str(error).rstrip('.')}): pack it again") from error
    unpacked.seek(0)
    return unpacked


def read_workbook(path: Path) -> pd.DataFrame:
    """Return the first worksheet of a workbook (`.xlsx`): a header, then rows; formulas are their last values.

    Raises:
        ImportError: without the extra `xlsx`.
        ValueError: when it is none, is too large, or has rows beyond the header.
    """
    import pandas as pd

    try:
        import openpyxl
    except ImportError as error:
        raise ImportError(
            f'{path} needs openpyxl, which is not installed: run pip install "geocell-heads[xlsx]", or save it as CSV.'
        ) from error
    _require_small(path)
    book = openpyxl.load_workbook(path, read_only=True, data_only=True, keep_links=False)
    try:
        if not book.worksheets:
            raise ValueError("a workbook without a worksheet: save the table as its first one")
        header, rows = _cells(book.worksheets[0])
    finally:
        book.close()
    frame = pd.DataFrame(rows, columns=header, dtype=object)
    return frame.infer_objects()


def _require_small(path: Path) -> None:
    """Refuse a file whose parts would not fit, by the sizes that it states, beyond which zipfile reads nothing."""
    try:
        with zipfile.ZipFile(path) as book:
            parts = book.infolist()
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise ValueError(f"no workbook (.xlsx): {error}") from error
    size = sum(part.file_size for part in parts)
    if len(parts) > _MOST_PARTS or size > MAX_WORKBOOK:
        raise ValueError(
            f"a workbook of {len(parts):,} parts and {size:,} bytes unpacked, more than {_MOST_PARTS:,} and "
            f"{MAX_WORKBOOK:,}: save the table as CSV"
        )


def _cells(sheet: Any) -> tuple[list[str], list[list[Any]]]:  # noqa: ANN401 - openpyxl has no types
    """Return the header and the rows of a worksheet; empty rows are left out."""
    sheet.reset_dimensions()  # what the file states may be anything
    header: list[str] = []
    rows: list[list[Any]] = []
    n_cells = 0
    # Rows have their own widths: one cell in the last row of a sheet makes openpyxl fill all those above it.
    for number, values in enumerate(sheet.iter_rows(values_only=True), start=1):
        n_cells += max(len(values), len(header) if values else 0)  # rows are filled up to the header
        if number > _MOST_ROWS:
            raise ValueError(f"more than {_MOST_ROWS:,} rows: save the table as CSV")
        if n_cells > _MOST_CELLS:
            raise ValueError(f"more than {_MOST_CELLS:,} cells, empty ones included: save the table as CSV")
        row = list(values)
        while row and row[-1] is None:
            row.pop()
        if len(row) > _MOST_COLUMNS:
            raise ValueError(f"more than {_MOST_COLUMNS:,} columns: save the table as CSV")
        if not row:
            continue
        if not header:
            header = ["" if value is None else str(value) for value in row]
            continue
        if len(row) > len(header):
            raise ValueError(
                f"row {number} has {len(row)} cells, more than the header's {len(header)}: name every column"
            )
        rows.append([_plain(value) for value in row] + [None] * (len(header) - len(row)))
    if not header:
        raise ValueError("an empty first worksheet: save the table as the first one, with a header")
    return header, rows


def _plain(value: object) -> object:
    """Return a cell as text files have it: dates as ISO texts."""
    return value.isoformat() if isinstance(value, datetime | date | time) else value
