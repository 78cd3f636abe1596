"""CSV that a spreadsheet can't run and that keeps every number, and text that can't steer a terminal."""

import csv
import io
import math
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from geocell.files import counted, csv_text, printable, sentence
from geocell.files.text import LONGEST_MESSAGE

FORMULA = "=+-@\t\r\n＝＋－＠"
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


@given(st.lists(st.floats(allow_nan=False), min_size=1), st.lists(st.integers(), min_size=1))
def test_numbers_are_exact(floats: list[float], integers: list[int]) -> None:
    rows = [{"n": 0, "x": x} for x in floats] + [{"n": n, "x": None} for n in integers]
    header, *cells = read(csv_text(rows))
    assert header == ["n", "x"]
    assert [float(x) for _, x in cells[: len(floats)]] == floats
    assert [int(n) for n, _ in cells[len(floats) :]] == integers
    assert {x for _, x in cells[len(floats) :]} == {""}


@given(st.lists(TEXT, min_size=1))
def test_text_comes_back_and_no_cell_is_a_formula(texts: list[str]) -> None:
    _, *cells = read(csv_text([{"id": i, "name": text} for i, text in enumerate(texts)]))
    assert len(cells) == len(texts)
    for (_, cell), original in zip(cells, texts, strict=True):
        text = original.replace("\r\n", "\n").replace("\r", "\n")  # a lone carriage return would end the row
        assert not cell.startswith(tuple(FORMULA))
        assert cell == (f"'{text}" if text.startswith(tuple(FORMULA)) else text)


def test_columns_are_those_of_all_rows_or_the_named_ones() -> None:
    rows = [{"a": 1, "b": True}, {"c": math.nan, "a": 2}]
    assert csv_text(rows) == "a,b,c\n1,True,\n2,,\n"
    assert csv_text(rows, ["c", "a"]) == "c,a\n,1\n,2\n"
    assert csv_text([], ["a", "=b"]) == "a,'=b\n"
    assert csv_text([{"name": "caf\udce9"}]) == "name\ncaf\ufffd\n"


@given(st.text(), st.booleans())
def test_printable_text_holds_nothing_that_steers_a_terminal(text: str, lines: bool) -> None:
    shown = printable(text, lines=lines)
    assert len(shown) == len(text)
    assert printable(shown, lines=lines) == shown
    kept = {"\n"} if lines else set()
    assert all(unicodedata.category(c) not in {"Cc", "Cs"} or c in kept for c in shown)
    assert not set(shown) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u061c\u2028\u2029")
    shown.encode()


def test_names_of_the_world_stay_as_they_are() -> None:
    for name in ("Łódź", "Côte d'Ivoire", "東京", "ประเทศไทย", "کۆیە", "🇦🇹", "می‌خواهم"):
        assert printable(name) == name
    assert printable("\x1b[31mred\x1b[0m\tend\n") == "\ufffd[31mred\ufffd[0m end "


def test_numbers_of_things() -> None:
    assert [counted(n, "place") for n in (0, 1, 2, 1234)] == ["0 places", "1 place", "2 places", "1,234 places"]


@given(st.text(max_size=3000))
def test_a_sentence_is_one_line_of_bounded_length_with_both_ends(text: str) -> None:
    short = sentence(text)
    assert len(short) <= LONGEST_MESSAGE
    assert printable(short) == short
    if len(text) <= LONGEST_MESSAGE:
        assert short == printable(text)
    else:
        assert (short[:400], short[-400:]) == (printable(text)[:400], printable(text)[-400:])
