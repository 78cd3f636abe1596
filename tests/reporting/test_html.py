"""Pieces of HTML: whatever somebody wrote stays text."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from geocell.reporting.html import Cell, chart_figure, facts, paragraph, section, table
from tests.reporting.conftest import HOSTILE


class Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - the parser's
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    return reader


@given(st.text(max_size=30))
def test_no_text_becomes_a_tag(text: str) -> None:
    rows = [[Cell(text, text, text, strong=True), Cell(text)]]
    made = table(text, [text, "b"], rows, sortable=True) + facts([(text, text)]) + paragraph(text)
    made += chart_figure("<svg></svg>", text, text, "a")
    known = {"div", "table", "thead", "tr", "th", "button", "tbody", "b", "small", "td", "dl", "dt", "dd", "p"}
    assert set(read(made).tags) <= known | {"figure", "h3", "svg", "figcaption"}


def test_a_table_names_its_rows_and_carries_what_it_is_sorted_by() -> None:
    made = table("Scores", ["head", "km"], [[Cell(HOSTILE), Cell("1,000", 1000.0, "900–1,100")]], sortable=True)
    assert '<td data-v="1000.0">1,000<small>900–1,100</small></td>' in made
    assert 'role="region" tabindex="0" aria-label="Scores"' in made
    assert made.count('scope="row"') == 1
    assert "<script" not in made
    assert "\x1b" not in made
    assert "button" not in table("Scores", ["head"], [])


def test_what_is_empty_is_left_out() -> None:
    assert section("a", "A", "", "") == ""
    assert section("a", "A & B", "x") == '<section id="a"><h2>A &amp; B</h2>\nx\n</section>'
    assert facts([("a", ""), ("b", "c")]) == "<dl><div><dt>b</dt><dd>c</dd></div></dl>"
    assert paragraph("") == ""
    assert paragraph("90 % within 5 km") == "<p>90\u00a0% within 5\u00a0km</p>"
