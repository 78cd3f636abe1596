"""Taking cards apart and putting them together: what is generated, what is a person's, and what is neither."""

import pytest

from geocell.heads.card_text import CardText, parse_card, render_card, require_unchanged

BODY = """<!-- generated: one -->
# One

text
<!-- end -->

<!-- generated: two -->
| a |
|---|
| 1 |
<!-- end -->
"""
TEXTS = {"": "above", "one": "between\n\n\n\nwith empty lines", "two": "    indented"}


def test_a_card_comes_back_as_it_was_render_card() -> None:
    card = render_card("license: mit\n", BODY, TEXTS)
    apart = parse_card(card, "a card")
    assert apart == CardText({"license": "mit"}, TEXTS, ())
    assert render_card("license: mit", BODY, apart.own) == card
    assert card.startswith("---\nlicense: mit\n---\n\nabove\n\n<!-- generated: one ")
    assert "| 1 |\n\n<!-- end -->\n\n    indented\n" in card


def test_without_text_of_a_person_nothing_stands_between_the_parts() -> None:
    card = render_card("license: mit", BODY, {})
    assert parse_card(card, "a card") == CardText({"license": "mit"})
    assert card.count("\n\n\n") == 0


@pytest.mark.parametrize("change", [("text", "texts"), ("text\n", "text\nmore\n"), ("# One\n\n", "")])
def test_a_part_that_was_changed_is_told(change: tuple[str, str]) -> None:
    card = render_card("license: mit", BODY, {}).replace(*change)
    apart = parse_card(card, "a card")
    assert apart.changed == ("one",)
    with pytest.raises(ValueError, match=r"a card was changed inside generated parts, .* \(one\): move what you wrote"):
        require_unchanged(apart, "a card")


def test_blanks_at_the_ends_of_lines_are_no_change() -> None:
    card = render_card("license: mit", BODY, {}).replace("text\n", "text  \n").replace("| 1 |\n\n", "| 1 |\n")
    require_unchanged(parse_card(card, "a card"), "a card")


def test_a_part_without_its_number_is_written_anew() -> None:
    assert parse_card(BODY.replace("text", "other"), "a card").changed == ()


def test_text_below_a_part_that_there_is_no_more_stands_at_the_end() -> None:
    assert render_card("license: mit", BODY, {"gone": "still here"}).endswith("<!-- end -->\n\nstill here\n")


def test_cards_of_other_hands() -> None:
    assert parse_card("", "a card") == CardText()
    assert parse_card("# Mine\n", "a card") == CardText({}, {"": "# Mine"})
    assert parse_card("---\nlicense: mit\n---\n", "a card") == CardText({"license": "mit"})
    assert parse_card("---\n---\n# Mine\n\n---\n\nmore", "a card") == CardText({}, {"": "# Mine\n\n---\n\nmore"})


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ("---\n: : :\n---\n", "a card must begin with a YAML block, got a syntax error"),
        ("---\n- a\n---\n", "a card must begin with a YAML block of keys, got a list: correct it"),
        (BODY.replace("<!-- end -->", "", 1), "must have <!-- end --> below every .* lacks the other: put it back"),
        ("<!-- generated: one -->\ntext", "lacks the other"),
        ("text\n<!-- end -->\n", "lacks the other"),
    ],
)
def test_what_is_broken_is_refused(card: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_card(card, "a card")
