"""Scores in each country and which countries are taken for which, by outlines of both the truth and the answers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocell.geo.country_names import country_names
from geocell.metrics.groups import named_groups
from geocell.metrics.outcomes import Outcomes, by_country

MOST_CONFUSED = 18
"""Countries of the confusion matrix, those with most locations; more would not be read."""


def country_scores(outcome: Outcomes, truth: NDArray[np.str_], answered: NDArray[np.str_]) -> list[dict[str, Any]]:
    """Return the scores of every country, those with most locations first.

    Args:
        outcome: of P locations.
        truth: (P,) alpha-2 code of the country of the truth.
        answered: (P,) that of the answer.

    Returns:
        Rows of `code`, `name`, `n_locations`, `balscore`, `balscore_low`, `balscore_high` (95 % interval over
        clusters), `within_25` …, `median_km` and `country_accuracy`.
    """
    names = country_names()
    found = by_country(outcome.distances_km, truth, truth == answered)
    rows = []
    for code, members in named_groups(truth):
        clusters = None if outcome.clusters is None else outcome.clusters.take(members)
        low, high = Outcomes(outcome.distances_km[members], clusters=clusters).intervals()["balscore"]
        row = {"code": code, "name": names.get(code, code), **found[code], "balscore_low": low, "balscore_high": high}
        rows.append(row)
    return sorted(rows, key=lambda row: (-row["n_locations"], row["code"]))


def confusion(truth: NDArray[np.str_], answered: NDArray[np.str_], most: int = MOST_CONFUSED) -> dict[str, Any]:
    """Return how many locations of each country are answered in which.

    Args:
        truth: (P,) alpha-2 code of the country of the truth.
        answered: (P,) that of the answer.
        most: how many countries, those with most locations; ties by code.

    Returns:
        `codes` and `names` of the K countries, and `counts`, K rows of K + 1 numbers: the last is of answers in all
        other countries.
    """
    names = country_names()
    codes, n = np.unique(truth, return_counts=True)
    chosen = codes[np.lexsort((codes, -n))][:most].tolist()
    index = {code: i for i, code in enumerate(chosen)}
    counts = np.zeros((len(chosen), len(chosen) + 1), dtype=np.int64)
    rows = np.array([index.get(code, -1) for code in truth.tolist()])
    columns = np.array([index.get(code, len(chosen)) for code in answered.tolist()])
    np.add.at(counts, (rows[rows >= 0], columns[rows >= 0]), 1)
    return {"codes": chosen, "names": [names.get(code, code) for code in chosen], "counts": counts.tolist()}


def pairs_taken(found: dict[str, Any], most: int = 5) -> list[tuple[str, str, int, int]]:
    """Return the pairs of countries that are taken for one another most: truth, answer, how many, of how many.

    Args:
        found: what `confusion` returns.
        most: how many pairs.
    """
    counts = np.array(found["counts"], dtype=np.int64).reshape(len(found["names"]), len(found["names"]) + 1)
    off = counts[:, :-1] * (1 - np.eye(len(counts), dtype=np.int64))
    order = np.argsort(-off.ravel(), kind="stable")[:most]
    pairs = [(int(i // len(counts)), int(i % len(counts))) for i in order] if len(counts) else []
    return [(found["names"][a], found["names"][b], int(off[a, b]), int(counts[a].sum())) for a, b in pairs if off[a, b]]
