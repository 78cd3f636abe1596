"""Small CSV and TSV tables of the usual form, read without pandas as pandas reads them; all others are not read here.

pandas takes longer to import than such a table to score.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geocell.views.columns import ColumnNames
from geocell.views.delimited import MISSING, SEPARATORS, separator_of, text_columns
from geocell.views.packed import table_suffix

MOST_BYTES = 4 << 20
"""Larger tables are faster by pandas, its import included."""

_NUMBER = re.compile(r"-?\d{1,15}(\.\d{0,40})?", re.ASCII)


@dataclass(frozen=True, eq=False)
class PlainTable:
    """The texts of a table.

    Attributes:
        names: of the columns, all different.
        columns: (P,) texts of each column.
        ids: names of the columns whose values stay texts.
    """

    names: tuple[str, ...]
    columns: tuple[Sequence[str], ...]
    ids: frozenset[str]

    def __len__(self) -> int:
        """Return P."""
        return len(self.columns[0])

    def texts(self, name: str) -> Sequence[str] | None:
        """Return the (P,) values of a column of texts, None of another one."""
        return self.columns[self.names.index(name)] if name in self.ids else None

    def numbers(self, name: str) -> NDArray[np.float64] | None:
        """Return the (P,) numbers of a column, NaN for missing ones; None where a value is written unusually."""
        if name in self.ids:
            return None
        found = [_number(text) for text in self.columns[self.names.index(name)]]
        return None if None in found else np.array(found, dtype=np.float64)


def read_plain(path: Path, columns: ColumnNames) -> PlainTable | None:
    """Return a table that pandas would read as the same texts and numbers; None where that is not sure.

    Args:
        path: file that is there.
        columns: columns that are not spelled as usual.
    """
    usual = SEPARATORS.get(table_suffix(path.name))
    if usual is None or path.suffix.lower() == ".gz" or path.stat().st_size > MOST_BYTES:
        return None
    data = path.read_bytes()
    if data[:2] in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE} or b"\0" in data:
        return None
    try:
        text = data.decode("utf-8-sig")
        first = text.split("\n", 1)[0]
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=separator_of(first, usual), strict=True))
    except (UnicodeDecodeError, csv.Error):
        return None
    names, *rows = rows or [[]]
    rows = [row for row in rows if row]
    if not rows or not all(names) or len(set(names)) < len(names) or len(names) < 2:
        return None
    if any(len(row) != len(names) for row in rows) or "\r" in text.replace("\r\n", "\n"):
        return None
    return PlainTable(tuple(names), tuple(zip(*rows, strict=True)), frozenset(text_columns(names, columns)))


def _number(text: str) -> float | None:
    """Return the nearest number, as pandas from 3.1 on does; None for no plain one."""
    if text in MISSING:
        return np.nan
    if not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    return None if number == 0 and text[0] == "-" else number  # -0 is 0 in a column of whole numbers
