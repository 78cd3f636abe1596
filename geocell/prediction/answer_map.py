"""A small map of answers for notebooks: coloured by their errors, with rings at the true places."""

from __future__ import annotations

import numpy as np

from geocell.files import counted
from geocell.geo.geodesy import Floats, distance_km
from geocell.geo.maps import ERROR_COLOURS, error_class
from geocell.geo.thumbnails import Marks, map_svg
from geocell.plots.paths import great_circle, split_at_antimeridian

_MOST_LINES = 500  # between truths and answers
_STEP_KM = 250.0


def answers_map(points: Floats, truths: Floats) -> str:
    """Return a map as `<svg>`, "" without an answer.

    Args:
        points: (P, 2) degrees, NaN where there is no answer.
        truths: (P, 2) degrees, NaN where the truth is not known.
    """
    answered = np.isfinite(points).all(axis=1)
    if not answered.any():
        return ""
    points, truths = points[answered], truths[answered]
    known = np.isfinite(truths).all(axis=1)
    classes = error_class(distance_km(truths[known], points[known]))
    marks = [Marks(points[~known], "#27508f", 5.0), Marks(truths[known], "#151515", 6.0, hollow=True)]
    marks += [Marks(points[known][classes == i], colour, 5.0) for i, colour in enumerate(ERROR_COLOURS)]
    lines = [
        piece
        for truth, point in zip(truths[known][:_MOST_LINES], points[known][:_MOST_LINES], strict=True)
        for piece in split_at_antimeridian(great_circle(truth, point, step_km=_STEP_KM))
    ]
    label = f"map of {counted(len(points), 'answer')}{', rings are the true places' if known.any() else ''}"
    return map_svg(marks, lines, label)
