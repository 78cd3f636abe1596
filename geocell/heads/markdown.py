"""Names that others wrote, in Markdown: shown as they are, never taken for markup, HTML or a mark of a card."""

from __future__ import annotations

import html
import re

from geocell.files import printable

_SPECIAL = re.compile(r"([\\`*_\[\]|~$])")
_LINKS = {"://": "&#58;//", "www.": "www&#46;", "@": "&#64;"}  # GitHub's flavour makes links of bare addresses
_COMMENT = "<!--"


def text(value: object) -> str:
    r"""Return a value for running text, a heading or a cell of a table.

    >>> print(text("<b>a|b"))
    &lt;b&gt;a\|b
    """
    escaped = _SPECIAL.sub(r"\\\1", html.escape(printable(str(value)), quote=False))
    for plain, entity in _LINKS.items():
        escaped = escaped.replace(plain, entity)
    return escaped


def code(value: object) -> str:
    """Return a value as inline code, in a table as well; entities are not read there, so comments are broken up.

    >>> code("a`b")
    '``a`b``'
    """
    plain = printable(str(value)).replace(_COMMENT, "<! --").replace("|", r"\|")
    runs = [len(run) for run in re.findall("`+", plain)]
    fence = "`" * (max(runs, default=0) + 1)
    pad = " " if plain.startswith("`") or plain.endswith("`") or not plain.strip() else ""
    return f"{fence}{pad}{plain}{pad}{fence}"


def fenced(value: object) -> str:
    """Return a value for one line of a block of code between ``` marks."""
    return printable(str(value)).replace("```", "'''").replace(_COMMENT, "<! --")
