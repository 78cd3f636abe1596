"""What notebooks show: every text is escaped, long ones and many rows are cut, and nothing is asked for."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from geocell.display.html import MOST_CHARACTERS, MOST_ROWS, Display, TextTable


class Reader(HTMLParser):
    """The elements and the texts of some HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open.append(tag)
        assert not any(name.startswith("on") or name in ("src", "href") for name, _ in attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert not reader.open
    return reader


@given(text=st.text(min_size=1, max_size=60))
def test_texts_are_no_markup(text: str) -> None:
    table = TextTable((text, text), [(text, text)], n_left=1)
    reader = read(Display(text, [(text, text)], [table], notes=[text]).html())
    assert set(reader.tags) == {"div", "table", "tbody", "tr", "td", "th"}
    assert reader.tags.count("td") == 4
    assert reader.tags.count("th") == 2


def test_control_characters_and_length() -> None:
    reader = read(Display("a\u202eb\x1b[31m", [("name", "x" * 500)]).html())
    assert reader.texts == ["a\ufffdb\ufffd[31m", "name", "x" * (MOST_CHARACTERS - 1) + "…"]


def test_rows_beyond_the_first_are_counted() -> None:
    rows = [(str(i),) for i in range(100)]
    reader = read(Display("t", tables=[TextTable(("n",), rows)]).html())
    assert reader.texts == ["t", "n", *map(str, range(MOST_ROWS)), f"and {100 - MOST_ROWS} more"]
    reader = read(Display("t", tables=[TextTable(("n",), rows[:2], total=1_000_002)]).html())
    assert reader.texts[-1] == "and 1,000,000 more"
    assert read(Display("t", tables=[TextTable(("n",), rows[:2])]).html()).texts == ["t", "n", "0", "1"]


def test_what_is_empty_is_left_out_and_a_picture_stays() -> None:
    text = Display("t", [("none", ""), ("some", "1")], [TextTable(("n",), [])], "<svg></svg>").html()
    assert read(text).texts == ["t", "some", "1"]
    assert "<div><svg></svg></div>" in text
