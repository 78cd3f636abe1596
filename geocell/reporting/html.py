"""Pieces of HTML: every text is escaped, and what steers a terminal or the direction of writing is replaced."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from geocell.files import printable


@dataclass(frozen=True)
class Cell:
    """One cell of a table.

    Attributes:
        text: what is shown.
        value: what the column is sorted by; None sorts it last, by no number.
        small: shown smaller below the text, an interval say.
        strong: whether it stands out.
    """

    text: str
    value: float | str | None = None
    small: str = ""
    strong: bool = False


def escaped(text: str) -> str:
    """Return text for HTML, in an attribute or between tags."""
    return html.escape(printable(text))


def table(name: str, header: Sequence[str], rows: Iterable[Sequence[Cell]], *, sortable: bool = False) -> str:
    """Return a table whose first column names its rows, in a box that scrolls sideways where it is too wide.

    Args:
        name: what it is of, for those who hear it.
        header: names of the columns.
        rows: their cells.
        sortable: whether a click on a column sorts by it.
    """
    heads = "".join(_head(text, sortable) for text in header)
    body = "".join(f"<tr>{''.join(_cell(cell, i) for i, cell in enumerate(row))}</tr>" for row in rows)
    kind = ' class="sortable"' if sortable else ""
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escaped(name)}"><table{kind}>'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _head(text: str, sortable: bool) -> str:
    inner = f'<button type="button">{escaped(text)}</button>' if sortable else escaped(text)
    return f'<th scope="col">{inner}</th>'


def _cell(cell: Cell, column: int) -> str:
    value = "" if cell.value is None else f' data-v="{escaped(str(cell.value))}"'
    text = f"<b>{escaped(cell.text)}</b>" if cell.strong else escaped(cell.text)
    small = f"<small>{escaped(cell.small)}</small>" if cell.small else ""
    tag = 'th scope="row"' if column == 0 else "td"
    return f"<{tag}{value}>{text}{small}</{tag.split(maxsplit=1)[0]}>"


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Return a list of names and what they are; those without a text are left out."""
    rows = "".join(f"<div><dt>{escaped(name)}</dt><dd>{escaped(text)}</dd></div>" for name, text in pairs if text)
    return f"<dl>{rows}</dl>"


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph, "" for no text."""
    attribute = f' class="{kind}"' if kind else ""
    return f"<p{attribute}>{_joined(escaped(text))}</p>" if text else ""


def section(name: str, title: str, *parts: str) -> str:
    """Return a section with its heading, "" where it has no part."""
    inner = "\n".join(filter(None, parts))
    return f'<section id="{name}"><h2>{escaped(title)}</h2>\n{inner}\n</section>' if inner else ""


def chart_figure(svg: str, title: str, reading: str, name: str) -> str:
    """Return a chart with its title above and how it is read below."""
    caption = f"<figcaption>{_joined(escaped(reading))}</figcaption>"
    return f'<figure id="{name}"><h3>{escaped(title)}</h3>{svg}{caption}</figure>'


def _joined(text: str) -> str:
    """Return text in which no number is torn from its unit."""
    return re.sub(r"(?<=\d) (?=%|km\b)", "\u00a0", text)
