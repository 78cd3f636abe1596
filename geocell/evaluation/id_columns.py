"""Which columns of predictions and of the truth hold the same ids, where those that are usually taken do not."""

from __future__ import annotations

import warnings
from itertools import product

import numpy as np
from numpy.typing import NDArray

from geocell.evaluation.point_tables import PointTable


def matched(answers: PointTable, truth: PointTable) -> tuple[PointTable, PointTable]:
    """Return both tables with the ids of the columns that belong together.

    These are the usual ones as soon as they have one id in common, so that a file that lacks some is not read by
    another column. Else they are the one pair of columns, among those that may hold ids, in which every id of the
    answers is one of the truth; a warning says which. Several pairs that mean the same rows are one, and where they
    mean different ones nothing is chosen. Rows of the truth that have one id and the same coordinates, views of one
    location say, are one then.

    Args:
        answers: points of the predictions.
        truth: the true points.

    Raises:
        ValueError: when the only such column of the truth has an id more than once, at different coordinates.
    """
    if not set(answers.ids).isdisjoint(truth.ids):
        return answers, truth
    keyed = [[table.by(name) for name in table.id_columns] for table in (answers, truth)]
    found = [(a, t) for a, t in product(*keyed) if _fits(a, t)]
    if not found:
        return answers, truth
    rows = [_rows(a, t) for a, t in found]
    if any(not np.array_equal(rows[0], others) for others in rows[1:]):
        return answers, truth
    a, t = found[0]
    if len(rows[0]) != len(a):
        t = _joined(t, answers)
    joined = "" if len(t) == len(truth) else f", {len(truth):,} as {len(t):,} locations"
    warnings.warn(
        f"{answers.path}: the ids of its column {a.id_column} are those of the column {t.id_column} of {truth.path}, "
        f"by which rows are matched{joined}; its column {answers.id_column} has none of the column {truth.id_column}.",
        stacklevel=5,
    )
    return a, t


def _joined(truth: PointTable, answers: PointTable) -> PointTable:
    """Return the first row of every id, which must have the coordinates of the others, and every row without an id."""
    first: dict[str, int] = {}
    kept = []
    for row, identity in enumerate(truth.ids):
        at = first.setdefault(identity, row) if identity else row
        if at == row:
            kept.append(row)
        elif not np.array_equal(truth.latlon[at], truth.latlon[row]):
            raise ValueError(
                f"{truth.path}: the id {identity!r} of the column {truth.id_column}, which has the ids of "
                f"{answers.path}, is there more than once, at different coordinates: keep one row of each id."
            )
    return truth.take(np.array(kept, dtype=np.int64))


def _fits(answers: PointTable, truth: PointTable) -> bool:
    """Return whether all ids of the answers are different ones, and of the truth."""
    ids = set(answers.ids)
    return len(ids) == len(answers) and "" not in ids and ids <= set(truth.ids)


def _rows(answers: PointTable, truth: PointTable) -> NDArray[np.int64]:
    """Return row of the answers and of the truth, as one number, of every id of the truth that is answered."""
    row_of = {identity: row for row, identity in enumerate(answers.ids)}
    pairs = [(row_of[identity], row) for row, identity in enumerate(truth.ids) if identity in row_of]
    return np.array([a * len(truth) + t for a, t in pairs], dtype=np.int64)
