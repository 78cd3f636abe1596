"""Pieces of HTML: what others wrote is text in them and nothing else."""

from dataclasses import replace
from html.parser import HTMLParser

import pytest

from geocell.demo import fragments
from geocell.demo.answering import Answer, Neighbour
from geocell.demo.quiz import Game, Points
from geocell.demo.uploads import Photograph
from geocell.prediction.records import unanswered

HOSTILE = "\"><script>alert(1)</script>'\x1b[2J"


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.said = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.said += data


def test_a_page_is_whole_and_alone_in_its_frame() -> None:
    page = f"<p title='a'>{HOSTILE}&amp;</p>"
    ((tag, attributes),) = Tags(fragments.frame(page, HOSTILE)).tags
    assert tag == "iframe"
    assert attributes["srcdoc"] == page
    assert attributes["sandbox"] == "allow-scripts"  # no origin: neither the demo's cookies nor its page
    assert attributes["title"] == HOSTILE.replace("\x1b", "\ufffd")


@pytest.mark.parametrize(
    "html",
    [
        fragments.remarks([HOSTILE]),
        fragments.neighbours_table([Neighbour(1.0, 2.0, 0.5, 3.0, HOSTILE)]),
        fragments.round_table(Points(1.0, 5), Points(2.0, 4), HOSTILE),
        fragments.picture(b"jpeg", HOSTILE),
    ],
    ids=["remarks", "neighbours", "round", "picture"],
)
def test_text_is_text(html: str) -> None:
    assert "script" not in {tag for tag, _ in Tags(html).tags}
    assert "\x1b" not in html


def test_empty_pieces_are_empty() -> None:
    assert fragments.remarks([]) == fragments.neighbours_table([]) == fragments.strip([]) == ""
    assert fragments.strip([Photograph((), b"")]) == ""
    assert fragments.strip([Photograph((), b"a"), Photograph((), b"b")]).count("<img") == 2
    assert "several" not in fragments.photographs([b"a"])
    assert "several" in fragments.photographs([b"a", b"b"])


def test_warnings_say_why() -> None:
    item = replace(unanswered("a", "mean", ""), lat=1.0, lon=2.0)
    assert fragments.warnings(Answer(item, "")) == []
    doubted = replace(item, doubt="half takes 900 km", abstained=True, confidence=0.31)
    assert fragments.warnings(Answer(doubted, "")) == [
        "The head may be wrong here: half takes 900 km.",
        "The head would withhold this answer: only 31 % of its probability lies within 200 km of it.",
    ]
    outside = replace(item, doubt="its features are unlike", outside_region=True)
    assert fragments.warnings(Answer(outside, "")) == [
        "Probably outside the region of the head: its features are unlike."
    ]


def test_the_score_is_said() -> None:
    assert "GeoScore" in Tags(fragments.score(Game(()))).said
    assert Tags(fragments.score(Game((), played=1, you=4321, head=5000))).said == (
        "After 1 round: you 4,321, the head 5,000 points."
    )
    assert "After 2 rounds" in fragments.score(Game((), played=2))
    assert "963 km apart" in fragments.apart(963.2)
