"""What a notebook shows of an object: HTML that carries its own style, asks for nothing and runs no script."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from geocell.files import printable

MOST_ROWS = 12
"""Rows of a table that are shown."""
MOST_CHARACTERS = 120
"""Characters of a cell that are shown."""

# Lines and letters take the colour of the page, so that all is legible in light and in dark notebooks.
_LINE = "1px solid rgba(128,128,128,0.35)"
_BLOCK = "font-size:13px;line-height:1.45;color:inherit;text-align:left;max-width:100%;overflow-x:auto"
_TABLE = "border-collapse:collapse;margin:0;color:inherit;background:transparent;font-variant-numeric:tabular-nums"
_CELL = "padding:2px 10px 2px 0;border:0;vertical-align:top;max-width:32em;overflow-wrap:break-word"


@dataclass(frozen=True)
class TextTable:
    """A small table of texts.

    Attributes:
        header: what stands above the columns; empty for a table of names and values.
        rows: texts, as many as the header has; those beyond `MOST_ROWS` are only counted.
        n_left: columns, from the first on, that are words and stand at the left.
        total: how many rows there are, where `rows` are only the first of them.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    n_left: int = 1
    total: int | None = None


@dataclass(frozen=True)
class Display:
    """What a notebook shows of an object.

    Attributes:
        title: one line.
        facts: name and value, in order; one with an empty value is left out.
        tables: small tables.
        picture: an `<svg>` element that this package made; it alone is not escaped.
        notes: sentences below.
    """

    title: str
    facts: Sequence[tuple[str, str]] = ()
    tables: Sequence[TextTable] = ()
    picture: str = ""
    notes: Sequence[str] = ()

    def html(self) -> str:
        """Return it as one element; every text is escaped."""
        facts = [fact for fact in self.facts if fact[1]]
        blocks = [_table(TextTable((), facts, n_left=2))] if facts else []
        blocks += [_table(table) for table in self.tables if table.rows]
        body = "".join(f"<div>{block}</div>" for block in [*blocks, *([self.picture] if self.picture else [])])
        notes = "".join(f'<div style="opacity:0.8;margin-top:4px">{_escaped(note)}</div>' for note in self.notes)
        return (
            f'<div style="{_BLOCK}"><div style="font-weight:600;margin-bottom:4px">{_short(self.title)}</div>'
            f'<div style="display:flex;flex-wrap:wrap;gap:8px 24px;align-items:flex-start">{body}</div>{notes}</div>'
        )


def _escaped(text: str) -> str:
    return html.escape(printable(text))


def _short(text: str) -> str:
    return _escaped(text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…")


def _table(table: TextTable) -> str:
    head = _row(table.header, table.n_left, "th") if table.header else ""
    body = "".join(_row(row, table.n_left, "td") for row in table.rows[:MOST_ROWS])
    left = (len(table.rows) if table.total is None else table.total) - min(len(table.rows), MOST_ROWS)
    more = f'<div style="opacity:0.8">and {left:,} more</div>' if left > 0 else ""
    return f'<table style="{_TABLE}"><tbody>{head}{body}</tbody></table>{more}'


def _row(texts: Sequence[str], n_left: int, tag: str) -> str:
    cells = []
    for i, text in enumerate(texts):
        side = "left" if i < n_left else "right;white-space:nowrap"
        weight = f";font-weight:600;border-bottom:{_LINE}" if tag == "th" else ""
        cells.append(f'<{tag} style="{_CELL};text-align:{side}{weight}">{_short(text)}</{tag}>')
    return f'<tr style="background:transparent">{"".join(cells)}</tr>'
