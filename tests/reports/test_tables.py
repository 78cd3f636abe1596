"""Tables of texts: what is aligned to which side, what is absent, and columns that are chosen or refused."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from geocell.reports.tables import (
    Table,
    chosen_columns,
    fitted_to,
    folded,
    markdown,
    number,
    numbers,
    percent,
    text_table,
    words,
)

COLUMNS = (words("name", "name"), numbers("share", "share", percent), numbers("n", "n", "{:,.0f}".format))


def test_percent_rounds_to_one_decimal() -> None:
    assert [percent(x) for x in (0.0, 0.00049, 0.9996, 1.0)] == ["0.0", "0.0", "100.0", "100.0"]


def test_words_stand_left_and_numbers_right() -> None:
    text = text_table(["name", "n"], [["a", "1"], ["longer", "1,000"]], 1)
    assert text == "name        n\n─────────────\na           1\nlonger  1,000"
    assert text_table(["name", "n"], [["a", "1"], ["longer", "1,000"]], [True, False]) == text


def test_the_same_table_in_markdown_escapes_bars() -> None:
    table = Table([COLUMNS[0], COLUMNS[2]], [["a|b", "1"]], "a note")
    assert table.markdown() == "| name | n |\n|---|---:|\n| a\\|b | 1 |\n\na note"
    assert table.text() == "name  n\n───────\na|b   1\na note"


def test_columns_without_a_value_are_left_out() -> None:
    rows = [{"name": "a", "share": None, "n": 1000}, {"name": ""}]
    assert [column.key for column in chosen_columns(rows, COLUMNS, None)] == ["name", "n"]
    assert [column.key for column in chosen_columns(rows, COLUMNS, ["share"])] == ["share"]
    assert [column.text(rows[0]) for column in COLUMNS] == ["a", None, "1,000"]
    assert COLUMNS[0].text(rows[1]) is None
    with pytest.raises(ValueError, match="columns must be among name, share, n, got x: name one of those"):
        chosen_columns(rows, COLUMNS, ["x"])
    with pytest.raises(ValueError, match="at least one row, got none"):
        chosen_columns([], COLUMNS, None)


@pytest.mark.parametrize("bad", ["1", True, [1]])
def test_what_is_no_number_is_refused(bad: object) -> None:
    with pytest.raises(TypeError, match="must hold a number or null as 'n', got"):
        number({"n": bad}, "n")


def test_what_a_name_holds_neither_steers_the_terminal_nor_is_markup() -> None:
    table = text_table(["name", "n"], [["a\x1b[31m", "1"], ["[bold]b[/bold]", "22"], ["東京", "3"]], left=1)
    assert "\x1b" not in table
    assert "[bold]b[/bold]" in table
    *_, wide = table.splitlines()
    assert len(wide) + 2 == len(table.splitlines()[0])  # two characters that take two columns each
    assert markdown(["name"], [["a\nb|c"]]).splitlines()[-1] == "| a b\\|c |"


def test_a_wide_table_goes_on_below_itself_with_the_columns_that_tell_rows_apart() -> None:
    header, rows = ["a", "b", "n", "share"], [["x", "1", "10", "30.0"], ["x", "2", "7", "100.0"]]
    wide = "a  b   n  share\n───────────────\nx  1  10   30.0\nx  2   7  100.0"
    assert text_table(header, rows, 2) == wide
    for width in (15, 80, None):
        with fitted_to(width):
            assert text_table(header, rows, 2) == wide
    with fitted_to(14):
        text = "a  b   n\n────────\nx  1  10\nx  2   7\n\na  b  share\n───────────\nx  1   30.0\nx  2  100.0"
        assert text_table(header, rows, 2) == text
        assert markdown(header, rows) == markdown(header, rows, 1)
    with fitted_to(16):
        assert len(text_table(header, rows, 2, indent=1).splitlines()) == 4
    with fitted_to(15):
        assert len(text_table(header, rows, 2, indent=1).splitlines()) == 9
    assert text_table(header, rows, 2) == wide


CELL = st.text("ab東 .1", max_size=9).map(str.strip)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(CELL.map("r{}".format), *[CELL] * 5), min_size=1, max_size=4), st.integers(1, 70), st.booleans()
)
def test_parts_hold_every_column_once_and_fit(rows: list[tuple[str, ...]], width: int, rule: bool) -> None:
    header = [f"h{n}" for n in range(6)]
    with fitted_to(width):
        parts = text_table(header, rows, 1, rule=rule).split("\n\n")
    columns = [part.split("\n")[0].split() for part in parts]
    repeated = len(columns[0]) if len(parts) == 1 else len([name for name in columns[0] if name in columns[1]])
    assert columns[0][:repeated] == header[:repeated]
    assert [name for names in columns for name in names[repeated:]] == header[repeated:]
    for part, names in zip(parts, columns, strict=True):
        assert max(map(cell_len, part.split("\n"))) <= width or len(names) == repeated + 1 or len(names) == 2


def test_notes_are_broken_between_words() -> None:
    text = "decoder centroid · 60 locations\nsecond"
    assert folded(text) == text
    with fitted_to(20):
        assert folded(text) == "decoder centroid ·\n60 locations\nsecond"
        assert Table([COLUMNS[0]], [["x"]], text).text().endswith("─\nx\ndecoder centroid ·\n60 locations\nsecond")
        assert Table([COLUMNS[0]], [["x"]], text).markdown().endswith(text)
