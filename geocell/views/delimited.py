"""CSV, TSV and JSON lines: text is read into a DataFrame, and ids stay text."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from geocell.views.columns import ALIASES, ColumnNames
from geocell.views.packed import MAX_UNPACKED, open_table, table_suffix
from geocell.views.texts import clean_record

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
_LONGEST_HEADER = 1 << 20
MISSING = ["", "nan", "NaN", "NA", "N/A", "null", "NULL", "None"]


def is_delimited(name: str) -> bool:
    """Return whether a file's name says that it is a delimited table, packed by gzip or not."""
    return table_suffix(name) in SEPARATORS


def read_delimited(
    path: Path, columns: ColumnNames, header: tuple[str, ...] | None = None, most: int = MAX_UNPACKED
) -> pd.DataFrame:
    """Read CSV or TSV; ids stay text, so that `007` is not `7` and the country `NA` is not missing.

    The separator is that of the suffix, unless the first line contains only another one (semicolons, say).

    Args:
        path: the file.
        columns: columns that are not spelled as usual.
        header: names of the columns of a file without a header.
        most: bytes that a file called `.gz` may have unpacked.

    Raises:
        ValueError: for a damaged or too large gzip file, rows with more fields than the header, or a column of a role
            that is there twice.
        UnicodeDecodeError: when it is neither UTF-8 nor, by its first two bytes, UTF-16.
    """
    return next(delimited_pieces(path, columns, header, most))


def delimited_pieces(
    path: Path,
    columns: ColumnNames,
    header: tuple[str, ...] | None = None,
    most: int = MAX_UNPACKED,
    rows: int | None = None,
) -> Iterator[pd.DataFrame]:
    """Yield the table of `read_delimited` by so many rows, whose columns may have types of their own, or as a whole."""
    with open_table(path, most) as file:
        yield from _read(file, SEPARATORS[table_suffix(path.name)], columns, header, rows)


def _read(
    file: BinaryIO, usual: str, columns: ColumnNames, header: tuple[str, ...] | None, rows: int | None
) -> Iterator[pd.DataFrame]:
    import pandas as pd

    encoding = _encoding(file)
    lines = io.TextIOWrapper(file, encoding=encoding, newline="")
    first = lines.readline(_LONGEST_HEADER)
    lines.detach()
    file.seek(0)
    separator = separator_of(first, usual)
    if header:
        names = list(header)
    else:
        names = [str(n) for n in pd.read_csv(file, sep=separator, nrows=0, encoding=encoding).columns]
        file.seek(0)
        _refuse_repeated(next(csv.reader([first], delimiter=separator), []), columns)
    ids = text_columns(names, columns)
    read: Callable[..., Any] = partial(
        pd.read_csv,
        file,
        sep=separator,
        names=names if header else None,
        dtype=dict.fromkeys(ids, str),
        keep_default_na=False,
        na_values={name: MISSING for name in names if name not in ids},
        encoding=encoding,
        quoting=csv.QUOTE_NONE if header else csv.QUOTE_MINIMAL,
    )
    for frame in [read()] if rows is None else _in_chunks(read, rows):
        if not isinstance(frame.index, pd.RangeIndex):
            raise ValueError(  # noqa: TRY004 - the table is wrong, not a type
                f"rows with more fields than the header's {len(names)}: name every column, or quote commas."
            )
        for name in names:
            if name not in ids and frame[name].dtype.kind not in "fiub":
                empty = frame[name].isin(MISSING)  # pandas leaves these as they are among numbers beyond 64 bits
                if empty.any():
                    frame[name] = frame[name].mask(empty)
        yield frame


def text_columns(names: Sequence[str], columns: ColumnNames) -> list[str]:
    """Return which columns stay text, whatever their values look like."""
    text = {alias for role in ("image", "location", "split", "country") for alias in ALIASES.get(role, (role,))}
    given = {columns.image_column, columns.location_column, columns.split_column}
    return [name for name in names if name.strip().lower() in text or name in given]


def _in_chunks(read: Callable[..., Any], rows: int) -> Iterator[pd.DataFrame]:
    with read(chunksize=rows) as chunks:
        yield from chunks


def _encoding(file: BinaryIO) -> str:
    """Return UTF-16 where a file begins with its byte order mark ("Unicode text" of spreadsheets), else UTF-8."""
    marked = file.read(2) in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}
    file.seek(0)
    return "utf-16" if marked else "utf-8-sig"


def _refuse_repeated(names: list[str], columns: ColumnNames) -> None:
    """Refuse a header that has a column of a role twice: pandas would rename the second."""
    given = {columns.name_of(role) for role in ALIASES}
    roles = {alias for aliases in ALIASES.values() for alias in aliases}
    repeated = [n for n, times in Counter(names).items() if times > 1 and (n.strip().lower() in roles or n in given)]
    if repeated:
        raise ValueError(f"the column {repeated[0]!r} is there twice: rename or drop one.")


def separator_of(first_line: str, expected: str) -> str:
    """Return what separates columns: as expected, unless the first line has only another separator."""
    if expected in first_line:
        return expected
    others = [other for other in (";", "\t", ",", "|") if other in first_line]
    return others[0] if len(others) == 1 else expected


def read_json_lines(path: Path, most: int = MAX_UNPACKED) -> pd.DataFrame:
    """Read one JSON object per line; text stays text. See `read_delimited`.

    Raises:
        ValueError: for a line that is no JSON object.
    """
    import pandas as pd

    records: list[dict[str, Any]] = []
    with open_table(path, most) as packed:
        file = io.TextIOWrapper(packed, encoding=_encoding(packed))
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = clean_record(json.loads(line))
            except RecursionError as error:
                raise ValueError(f"line {number} is nested too deep") from error
            except ValueError as error:
                raise ValueError(f"line {number} is no JSON: {error}") from error
            if not isinstance(record, dict):
                raise ValueError(f"line {number} is no JSON object")  # noqa: TRY004 - the file is wrong, not a type
            records.append(record)
    return pd.DataFrame.from_records(records)
