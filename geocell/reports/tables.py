"""Tables of texts, for the terminal and for Markdown: columns of rows, aligned, with what is absent as a dash."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

ABSENT = "–"
"""What a table shows where a row has no value."""

Row = Mapping[str, object]


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        key: how the column is called in `columns=` and, for plain ones, in the row.
        header: what stands above it.
        text: a row -> what stands in it, None when the row has no value.
        left: whether it is aligned to the left, as words are.
        shared: whether it moves below the table when every row says the same.
    """

    key: str
    header: str
    text: Callable[[Row], str | None]
    left: bool = False
    shared: bool = False


def percent(fraction: float) -> str:
    """Return a fraction as percent with one decimal, without the sign.

    >>> percent(0.6306)
    '63.1'
    """
    return f"{100.0 * fraction:.1f}"


def number(row: Row, key: str) -> float | None:
    """Return the number under a key of a row, None where there is none.

    Raises:
        TypeError: when it is something else.
    """
    value = row.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"a row of scores must hold a number or null as {key!r}, got {value!r}: pass Scores.to_dict().")
    return float(value)


def words(key: str, header: str, *, shared: bool = False) -> Column:
    """Return a column of words, empty ones being absent."""

    def text(row: Row) -> str | None:
        value = row.get(key)
        return None if value is None or value == "" else str(value)

    return Column(key, header, text, left=True, shared=shared)


def numbers(key: str, header: str, form: Callable[[float], str], *, shared: bool = False) -> Column:
    """Return a column of numbers in some form."""

    def text(row: Row) -> str | None:
        value = number(row, key)
        return None if value is None else form(value)

    return Column(key, header, text, shared=shared)


def text_table(header: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[bool] | int) -> str:
    """Return texts as an aligned table for the terminal: header, rule and rows, without a final newline.

    Args:
        header: what stands above the columns.
        rows: the texts of every row, as many as the header has.
        left: which columns are aligned to the left, as words are; or how many, from the first on.
    """
    lines = [header, *rows]
    to_left = [i < left for i in range(len(header))] if isinstance(left, int) else left
    widths = [max(len(line[i]) for line in lines) for i in range(len(header))]
    texts = [aligned(line, widths, to_left) for line in lines]
    texts.insert(1, "  ".join("─" * width for width in widths))
    return "\n".join(texts)


def aligned(line: Sequence[str], widths: Sequence[int], left: Sequence[bool]) -> str:
    """Return one line of a table, every text as wide as its column."""
    texts = [t.ljust(w) if to_left else t.rjust(w) for t, w, to_left in zip(line, widths, left, strict=True)]
    return "  ".join(texts).rstrip()


def chosen_columns(rows: Sequence[Row], all_columns: Sequence[Column], keys: Sequence[str] | None) -> list[Column]:
    """Return the columns of those keys, or those in which at least one row has a value.

    Raises:
        ValueError: for no rows, or an unknown key.
    """
    if not rows:
        raise ValueError("a table needs at least one row, got none: score a head first.")
    if keys is None:
        return [column for column in all_columns if any(column.text(row) is not None for row in rows)]
    known = {column.key: column for column in all_columns}
    unknown = [key for key in keys if key not in known]
    if unknown:
        raise ValueError(f"columns must be among {', '.join(known)}, got {', '.join(unknown)}: name one of those.")
    return [known[key] for key in keys]


@dataclass(frozen=True)
class Table:
    """Columns, the texts of every row, and a note."""

    columns: list[Column]
    cells: list[list[str]]
    note: str

    def text(self) -> str:
        """Return it for the terminal, without a final newline."""
        left = [column.left for column in self.columns]
        table = text_table([column.header for column in self.columns], self.cells, left)
        return f"{table}\n{self.note}" if self.note else table

    def markdown(self) -> str:
        """Return it in Markdown, without a final newline."""
        header = [column.header for column in self.columns]
        rule = ["---" if column.left else "---:" for column in self.columns]
        lines = [header, rule, *self.cells]
        texts = ["| " + " | ".join(text.replace("|", "\\|") for text in line) + " |" for line in lines]
        return "\n".join([*texts, "", self.note] if self.note else texts)
