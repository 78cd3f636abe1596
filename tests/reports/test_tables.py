"""Tables of texts: what is aligned to which side, what is absent, and columns that are chosen or refused."""

import pytest

from geocell.reports.tables import (
    Table,
    chosen_columns,
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
