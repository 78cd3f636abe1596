"""The card and the scores beside a head: what they say, and what a person wrote into the card stays."""

import json
from pathlib import Path

import pytest
from huggingface_hub import ModelCard

from geocell.evaluation.score import score
from geocell.heads.card_file import read_card
from geocell.heads.card_text import CardText
from geocell.heads.head import load_head
from tests.heads.test_head import make_head, world


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    make_head().save(tmp_path / "head")
    return tmp_path / "head"


def score_again(folder: Path) -> str:
    """Score the head in a folder and return the card that it has then."""
    load_head(folder).write_scores(folder, score(make_head(), world(), split="test"))
    return (folder / "README.md").read_text()


def test_what_a_person_wrote_and_set_stays_when_scores_come(saved: Path) -> None:
    path = saved / "README.md"
    text = path.read_text()
    for before, after in (
        ("license: mit", "license: cc-by-4.0\nlanguage: de"),
        ("- street-view", "- street-view\n- alps"),
        ("<!-- generated: head", "A photograph by Ann.\n\n<!-- generated: head"),
        ("<!-- generated: training", "## My remarks\n\nOne.\n\n\n\nTwo.\n\n<!-- generated: training"),
    ):
        assert before in text
        text = text.replace(before, after, 1)
    path.write_text(f"{text}\nThe end.\n")
    card = score_again(saved)
    assert "| balscore |" in card
    assert "Not measured." not in card
    assert card.index("A photograph by Ann.") < card.index("# Geocell head")
    assert card.index("## Scores") < card.index("## My remarks\n\nOne.\n\n\n\nTwo.\n") < card.index("## Training")
    assert card.endswith("\n\nThe end.\n")
    data = ModelCard(card).data
    assert (data.license, data.language) == ("cc-by-4.0", "de")
    assert data.tags == ["image-geolocation", "geolocation", "geocell", "street-view", "alps"]
    assert "This head: `cc-by-4.0`." in card
    assert score_again(saved) == card


def test_a_card_that_a_person_wrote_alone_stays_above(saved: Path) -> None:
    (saved / "README.md").write_text("# My head\n\nIt knows the Alps.\n")
    card = score_again(saved)
    assert "---\n\n# My head\n\nIt knows the Alps.\n\n<!-- generated: head " in card
    assert "| balscore |" in card


def test_nothing_is_written_where_text_would_be_lost(saved: Path) -> None:
    path = saved / "README.md"
    path.write_text(path.read_text().replace("## Limits\n", "## Limits\n\nOnly by day.\n"))
    before = path.read_text()
    words = (
        r"README\.md was changed inside generated parts, which are written anew \(limits\): move what you wrote below"
    )
    with pytest.raises(ValueError, match=words):
        score_again(saved)
    assert path.read_text() == before
    assert not (saved / "scores.json").exists()
    text = before.replace("\nOnly by day.\n", "").replace(
        "<!-- generated: scores", "Only by day.\n\n<!-- generated: scores"
    )
    path.write_text(text)
    assert "Only by day." in score_again(saved)


def test_a_broken_card_is_not_taken_for_an_empty_one(saved: Path) -> None:
    path = saved / "README.md"
    path.write_text(path.read_text().replace("license: mit", "license: : mit"))
    with pytest.raises(
        ValueError, match=r"README\.md must begin with a YAML block, got a syntax error \(mapping values"
    ):
        score_again(saved)
    assert "license: : mit" in path.read_text()


def test_scores_and_card(tmp_path: Path) -> None:
    head = make_head()
    scores = score(head, world(), split="test")
    head.save(tmp_path / "head", scores=scores)
    assert json.loads((tmp_path / "head" / "scores.json").read_text()) == scores.to_dict()
    card = (tmp_path / "head" / "README.md").read_text()
    for words in (
        "6 cells (kmeans)",
        f"| balscore | {100 * scores.balscore:.1f} % |",
        f"| median | {scores.median_km:.1f} km | {scores.intervals['median_km'][0]:.1f} km – ",
        "| within 25 km | ",
        "| top-5 | ",
        "the split `test`",
        "`tiny`",
    ):
        assert words in card


def test_no_card_is_an_empty_one(tmp_path: Path) -> None:
    assert read_card(tmp_path) == CardText()
