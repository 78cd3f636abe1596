"""The map of the quiz: empty before a guess; with truth, guess and answer after it. One page that asks for nothing."""

from __future__ import annotations

from typing import Any

from geocell.plots.paths import Box, extent
from geocell.plots.web import filled_template, ground
from geocell.prediction.page import arc

Point = tuple[float, float]


def guess_map(box: Box) -> str:
    """Return the map that a player clicks on; the frame around it hears `{geocell: "guess", lat, lon}`.

    Args:
        box: south, west, north, east in degrees that it begins with.
    """
    caption = "Click on the map, or type coordinates."
    return _page("Where was this taken?", caption, box, {"guess": None, "answer": None, "truth": None, "arcs": []})


def result_map(truth: Point, guess: Point, answer: Point, place: str) -> str:
    """Return the map after a guess, all in degrees.

    Args:
        truth: where it was.
        guess: of the player.
        answer: of the head.
        place: the truth in words.
    """
    points = (truth, guess, answer)
    data = {
        "guess": _rounded(guess),
        "answer": _rounded(answer),
        "truth": _rounded(truth),
        "arcs": [arc(truth, guess), arc(truth, answer)],
    }
    return _page("It was taken here", place, extent(points, margin=0.1), data)


def _rounded(point: Point) -> list[float]:
    return [round(degrees, 5) for degrees in point]


def _page(title: str, caption: str, box: Box, data: dict[str, Any]) -> str:
    return filled_template(
        "quiz.html",
        title,
        caption,
        {**ground(box), **data},
        room="geocell.demo",
        parts={"PAGE_STYLE": "quiz.css", "PAGE_SCRIPT": "quiz.js"},
    )
