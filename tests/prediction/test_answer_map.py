"""The small map of answers."""

import numpy as np

from geocell.prediction.answer_map import answers_map
from tests.geo.test_thumbnails import dots


def test_answers_have_the_colour_of_their_error() -> None:
    nan = [np.nan, np.nan]
    points = np.array([[50.0, 10.0], [50.0, 12.0], [52.0, 10.0], nan])
    truths = np.array([[50.0, 10.1], [58.0, 12.0], nan, [40.0, 1.0]])
    svg = answers_map(points, truths)
    found = dots(svg)
    assert {colour: len(spots) for colour, spots in found.items()} == {
        "#27508f": 1,  # the truth is not known
        "#151515": 2,  # rings of truths
        "#ffffff": 2,
        "#1b5fa8": 1,  # within 25 km
        "#b3203a": 1,  # beyond 750 km
    }
    assert "3 answers, rings are the true places" in svg
    assert answers_map(points[3:], truths[3:]) == ""
    assert "rings" not in answers_map(points[2:3], truths[2:3])
