"""Names in Markdown: rendered by a CommonMark renderer with HTML switched on, they are shown as they are."""

import html
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from geocell.evaluation.score import score
from geocell.files import printable
from geocell.heads.card_file import card_of, read_card
from geocell.heads.card_text import parse_card
from geocell.heads.markdown import code, fenced, text
from tests.heads.test_head import make_head, world

RENDERER = MarkdownIt("commonmark", {"html": True}).enable("table")
HOSTILE = (
    "<script>alert(1)</script>",
    "<!-- end -->",
    "<!-- generated: scores -->",
    "a|b",
    "[x](http://evil.example)",
    "**bold** _it_ `code` ``` ~~~ $x$",
    "\x1b[31mred\u202e",
    "=1+1",
    "&lt;",
    "\\",
    "# title",
    "http://evil.example www.evil.example @somebody",
    "a\n\n<!-- end -->\n",
)


def shown(markdown: str) -> str:
    """Return the text that a reader sees; tags that the renderer made are taken out, and there may be no others."""
    rendered = RENDERER.render(markdown)
    tags = re.findall(r"<(/?\w+)[^>]*>", rendered)
    assert {tag.strip("/") for tag in tags} <= {"p", "code", "table", "thead", "tbody", "tr", "th", "td"}
    return html.unescape(re.sub(r"<[^>]*>", "", rendered)).strip()


@pytest.mark.parametrize("value", HOSTILE)
@pytest.mark.parametrize("escape", [text, code])
def test_names_are_cells_of_a_table(value: str, escape: object) -> None:
    cell = escape(value)  # type: ignore[operator]
    table = shown(f"| a | b |\n|---|---|\n| {cell} | end |\n")
    assert [line for line in table.split("\n") if line.strip()][-1] == "end"
    assert "<!--" not in cell
    assert not re.search(r"[\x00-\x1f\u202a-\u202e]", cell)


@given(st.text(min_size=1, max_size=30))
@example("<script>")
@example("1. a")
def test_running_text_is_shown_as_it_is(value: str) -> None:
    expected = " ".join(printable(f"x {value} x").split())
    assert " ".join(shown(f"x {text(value)} x").split()) == expected


@given(st.text(min_size=1, max_size=30))
@example("`")
@example("``a`")
def test_code_is_shown_as_it_is(value: str) -> None:
    plain = printable(value).replace("<!--", "<! --").replace("|", r"\|")  # the bar is unescaped in tables alone
    assert " ".join(shown(f"x {code(value)} x").split()) == " ".join(f"x {plain} x".split())


def test_a_line_of_a_block_stays_in_it() -> None:
    block = f"```\n{fenced('```' + chr(10) + '<script>')}\n```\n"
    assert RENDERER.render(block).count("<pre>") == 1
    assert "<script" not in RENDERER.render(block)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_card_with_hostile_names_is_read_again(tmp_path: Path, name: str) -> None:
    head = make_head(training={"origin": {
        "source": name, "checkpoint": name, "revision": name, "sha256": name, "license": name,
        "published": {name: 3.0, "balscore": 62.1},
    }})  # fmt: skip
    head = replace(head, encoder=replace(head.encoder, name=name, revision=name, pooling=name))
    here = replace(world(), encoder=head.encoder, columns={"country": np.array([name, "FR"] * 20, dtype=object)})
    head.save(tmp_path / "head", scores=score(head, here, split=name))
    card = (tmp_path / "head" / "README.md").read_text(encoding="utf-8")
    assert not read_card(tmp_path / "head").own
    body = card.split("---\n", 2)[2]
    rendered = RENDERER.render(body)
    assert "<script" not in rendered
    assert 'evil.example"' not in rendered
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202a-\u202e]", card)
    again = parse_card(card_of(head.parts, None, before=parse_card(card, "a card")), "a card")
    assert not again.changed
