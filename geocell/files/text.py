"""Text that leaves the program: tables as CSV, and names that are safe to print."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence

_FORMULA = tuple("=+-@\t\r\n＝＋－＠")
_SPACES = "\t\n\v\f\r\x85\u2028\u2029"
_BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_REPLACEMENT = "\ufffd"

LONGEST_MESSAGE = 1000
"""Characters of an error message at most, whatever a file holds."""


def csv_text(rows: Iterable[Mapping[str, object]], columns: Sequence[str] | None = None) -> str:
    r"""Return rows as CSV with a header: exact numbers, `\n` line ends, nothing for None and NaN.

    Text that a spreadsheet would take for a formula gets a leading apostrophe
    (https://owasp.org/www-community/attacks/CSV_Injection).

    Args:
        rows: column name -> value, one mapping per row.
        columns: the columns in order; without them, those of the rows in the order in which they first come.
    """
    import pandas as pd

    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row)) if columns is None else list(columns)
    cells = [[_safe_cell(row.get(name)) for name in names] for row in rows]
    # Of type object, a column keeps whole numbers whole beside empty cells.
    frame = pd.DataFrame(cells, columns=[_safe_cell(name) for name in names], dtype=object)
    return str(frame.to_csv(index=False, lineterminator="\n"))


def _safe_cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = "".join(_REPLACEMENT if unicodedata.category(c) == "Cs" else c for c in value)
    text = text.replace("\r\n", "\n").replace("\r", "\n")  # a lone carriage return is not quoted, and ends the row
    return f"'{text}" if text.startswith(_FORMULA) else text


def printable(text: str, *, lines: bool = False) -> str:
    """Return text that can't steer a terminal or reorder what stands beside it, one character for each.

    Args:
        text: what somebody else wrote: a name, a path, a part of a file.
        lines: whether line feeds may stay.

    Returns:
        White-space controls as spaces; other control characters, marks that override the direction of writing and
        lone surrogates as U+FFFD.
    """
    return "".join(c if lines and c == "\n" else _printable(c) for c in text)


def sentence(text: str) -> str:
    """Return an error message as `printable`, with at most `LONGEST_MESSAGE` characters.

    What a file holds stands in the middle of a longer one, which is left out: the file comes first, and what to do
    next last.
    """
    text = printable(text)
    kept = LONGEST_MESSAGE // 2 - 2
    return text if len(text) <= LONGEST_MESSAGE else f"{text[:kept]} … {text[-kept:]}"


def _printable(character: str) -> str:
    if character in _SPACES:
        return " "
    return _REPLACEMENT if character in _BIDI or unicodedata.category(character) in {"Cc", "Cs"} else character


def counted(n: int, noun: str) -> str:
    """Return a number of things, in English.

    >>> counted(1, "location"), counted(2000, "test location")
    ('1 location', '2,000 test locations')
    """
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
