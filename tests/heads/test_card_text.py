"""Taking cards apart and putting them together: what is generated, what is a person's, and what is neither."""

import pytest

from geocell.heads.card_text import CardText, put_together, require_unchanged, take_apart

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


def test_a_card_comes_back_as_it_was_put_together() -> None:
    card = put_together("license: mit\n", BODY, TEXTS)
    apart = take_apart(card, "a card")
    assert apart == CardText({"license": "mit"}, TEXTS, ())
    assert put_together("license: mit", BODY, apart.own) == card
    assert card.startswith("---\nlicense: mit\n---\n\nabove\n\n<!-- generated: one ")
    assert "| 1 |\n\n<!-- end -->\n\n    indented\n" in card


def test_without_text_of_a_person_nothing_stands_between_the_parts() -> None:
    card = put_together("license: mit", BODY, {})
    assert take_apart(card, "a card") == CardText({"license": "mit"})
    assert card.count("\n\n\n") == 0


@pytest.mark.parametrize("change", [("text", "texts"), ("text\n", "text\nmore\n"), ("# One\n\n", "")])
def test_a_part_that_was_changed_is_told(change: tuple[str, str]) -> None:
    card = put_together("license: mit", BODY, {}).replace(*change)
    apart = take_apart(card, "a card")
    assert apart.changed == ("one",)
    with pytest.raises(ValueError, match=r"a card was changed inside generated parts, .* \(one\): move what you wrote"):
        require_unchanged(apart, "a card")


def test_blanks_at_the_ends_of_lines_are_no_change() -> None:
    card = put_together("license: mit", BODY, {}).replace("text\n", "text  \n").replace("| 1 |\n\n", "| 1 |\n")
    require_unchanged(take_apart(card, "a card"), "a card")


def test_a_part_without_its_number_is_written_anew() -> None:
    assert take_apart(BODY.replace("text", "other"), "a card").changed == ()


def test_text_below_a_part_that_there_is_no_more_stands_at_the_end() -> None:
    assert put_together("license: mit", BODY, {"gone": "still here"}).endswith("<!-- end -->\n\nstill here\n")


def test_cards_of_other_hands() -> None:
    assert take_apart("", "a card") == CardText()
    assert take_apart("# Mine\n", "a card") == CardText({}, {"": "# Mine"})
    assert take_apart("---\nlicense: mit\n---\n", "a card") == CardText({"license": "mit"})
    assert take_apart("---\n---\n# Mine\n\n---\n\nmore", "a card") == CardText({}, {"": "# Mine\n\n---\n\nmore"})


@pytest.mark.parametrize(
    ("card", "words"),
    [
        ("---\n: : :\n---\n", "a card must begin with a YAML block, got a syntax error"),
        ("---\n- a\n---\n", "a card must begin with a YAML block of keys, got a list: mend it"),
        (BODY.replace("<!-- end -->", "", 1), "must have <!-- end --> below every .* lacks the other: put it back"),
        ("<!-- generated: one -->\ntext", "lacks the other"),
        ("text\n<!-- end -->\n", "lacks the other"),
    ],
)
def test_what_is_broken_is_refused(card: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        take_apart(card, "a card")
