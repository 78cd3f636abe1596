"""Tables of texts, for the terminal and for Markdown: columns of rows, aligned, with what is absent as a dash."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from geocell.display.numbers import ABSENT, percent
from geocell.files import printable

__all__ = [
    "ABSENT",
    "Column",
    "Row",
    "Table",
    "chosen_columns",
    "fitted_to",
    "folded",
    "markdown",
    "number",
    "numbers",
    "percent",
    "text_table",
    "words",
]

Row = Mapping[str, object]

_WIDTH = 10_000  # columns of text: rich folds nothing, `fitted_to` does

_fitted: ContextVar[int | None] = ContextVar("fitted", default=None)


@contextmanager
def fitted_to(width: int | None) -> Iterator[None]:
    """Fold the tables and notes made in the block to a width, that of a terminal; none where it is None.

    A table that is too wide goes on below itself: the further columns follow as parts, each with the first columns
    again that tell the rows apart, as pandas shows wide frames.

    Args:
        width: columns of text.
    """
    token = _fitted.set(width)
    try:
        yield
    finally:
        _fitted.reset(token)


def folded(text: str) -> str:
    """Return lines of text, those that are wider than `fitted_to` says broken between words."""
    width = _fitted.get()
    if width is None:
        return text
    wrapped = (
        textwrap.wrap(line, max(width, 20), break_long_words=False, break_on_hyphens=False) or [line]
        for line in text.split("\n")
    )
    return "\n".join(line for lines in wrapped for line in lines)


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


def words(key: str, header: str, *, shared: bool = False, form: Callable[[str], str] = str) -> Column:
    """Return a column of words in some form, empty ones being absent."""

    def text(row: Row) -> str | None:
        value = row.get(key)
        return None if value is None or value == "" else form(str(value))

    return Column(key, header, text, left=True, shared=shared)


def km_text(value: float) -> str:
    """Return a distance in km with one decimal."""
    return f"{value:,.1f}"


def numbers(key: str, header: str, form: Callable[[float], str], *, shared: bool = False) -> Column:
    """Return a column of numbers in some form."""

    def text(row: Row) -> str | None:
        value = number(row, key)
        return None if value is None else form(value)

    return Column(key, header, text, shared=shared)


def text_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    left: Sequence[bool] | int,
    *,
    rule: bool = True,
    indent: int = 0,
) -> str:
    """Return texts as an aligned table for the terminal, without a final newline; in parts where `fitted_to` asks so.

    Args:
        header: what stands above the columns.
        rows: the texts of every row, as many as the header has.
        left: which columns are aligned to the left, as words are; or how many, from the first on.
        rule: whether there is a line below the header.
        indent: by how much the caller moves the table to the right.
    """
    to_left = [n < left for n in range(len(header))] if isinstance(left, int) else left
    parts = [
        _text_table(
            [header[n] for n in columns],
            [[row[n] for n in columns] for row in rows],
            [to_left[n] for n in columns],
            rule,
        )
        for columns in _parts(header, rows, gap=1 if rule else 2, indent=indent)
    ]
    return "\n\n".join(parts)


def _parts(header: Sequence[str], rows: Sequence[Sequence[str]], gap: int, indent: int) -> list[list[int]]:
    """Return the columns of each part of a table, so that it fits; each begins with those that tell rows apart."""
    everything = list(range(len(header)))
    width = _fitted.get()
    if width is None:
        return [everything]
    from rich.cells import cell_len

    widths = [
        max(cell_len(printable(text)) for text in (header[n], *(row[n] for row in rows))) + 2 * gap for n in everything
    ]
    if sum(widths) - 2 * gap + indent <= width:
        return [everything]
    distinct = (k for k in everything[1:] if len({tuple(row[:k]) for row in rows}) == len(rows))
    first = next(distinct, 1)
    names = everything[: first if 2 * sum(widths[:first]) <= width else 1]
    parts = [names]
    for n in everything[len(names) :]:
        fits = sum(widths[m] for m in [*parts[-1], n]) - 2 * gap + indent <= width
        if fits or len(parts[-1]) == len(names):
            parts[-1] = [*parts[-1], n]
        else:
            parts.append([*names, n])
    return parts


def _text_table(header: Sequence[str], rows: Sequence[Sequence[str]], to_left: Sequence[bool], rule: bool) -> str:
    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable
    from rich.text import Text

    style = {"show_edge": False, "pad_edge": False, "padding": (0, 1, 0, 0) if rule else (0, 2, 0, 0)}
    table = RichTable(box=box.SIMPLE_HEAD if rule else None, header_style="", **style)  # type: ignore[arg-type]
    for text, is_left in zip(header, to_left, strict=True):
        table.add_column(Text(text), justify="left" if is_left else "right", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, map(printable, row)))
    console = Console(file=io.StringIO(), width=_WIDTH, color_system=None, force_terminal=False, legacy_windows=False)
    with console.capture() as capture:
        console.print(table)
    return "\n".join(line.rstrip() for line in capture.get().rstrip("\n").split("\n"))


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[bool] | int = 1) -> str:
    """Return a Markdown table without a final newline; see `text_table`. What is between two bars stays one cell."""
    to_left = [n < left for n in range(len(header))] if isinstance(left, int) else left
    rule = "|" + "|".join("---" if words else "---:" for words in to_left) + "|"
    top, *lines = (
        "| " + " | ".join(printable(text).replace("|", "\\|") for text in line) + " |" for line in (header, *rows)
    )
    return "\n".join([top, rule, *lines])


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
        return f"{table}\n{folded(self.note)}" if self.note else table

    def markdown(self) -> str:
        """Return it in Markdown, without a final newline."""
        table = markdown([column.header for column in self.columns], self.cells, [c.left for c in self.columns])
        return f"{table}\n\n{self.note}" if self.note else table
