"""Split-conformal sets of cells, which hold the true cell as often as they say."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.geo.geodesy import Floats
from geocell.partitioners.base import OUTSIDE
from geocell.uncertainty.areas import ranked_before

Method = Literal["hpd", "lac", "aps"]
METHODS: tuple[Method, ...] = ("hpd", "lac", "aps")
"""How cells are taken:

- `hpd`: by probability per area until a level of probability (HPD-split: Izbicki, Shimizu and Stern 2022, "CD-split and
  HPD-split"), the smallest in km²;
- `lac`: all with at least some probability (least ambiguous classifier: Sadinle, Lei and Wasserman 2019), the fewest
  cells;
- `aps`: by probability until a level of probability (adaptive prediction sets: Romano, Sesia and Candès 2020).
"""


def set_scores(
    posterior: ArrayLike, cells: NDArray[np.int64], method: Method, areas_km2: Floats, uniform: Floats
) -> Floats:
    """Return how badly each true cell conforms: a set with the threshold q holds it where this is at most q.

    Args:
        posterior: (P, C) probabilities.
        cells: (P,) true cells; `OUTSIDE` for locations in none, which no set holds.
        method: of `METHODS`.
        areas_km2: (C,) of the cells.
        uniform: (P,) numbers from 0 to 1, drawn once per location: the randomisation of `hpd` and `aps`, by which
            the last cell of a set is in it as often as is needed, and no more.

    Returns:
        (P,) from 0 to 1: ``1 − p`` of the true cell for `lac`, else the probability of the cells before it and a
        share u of its own; infinite for locations outside.
    """
    p = np.asarray(posterior)
    scores = np.full(len(p), np.inf)
    for i, (row, cell) in enumerate(zip(p, cells.tolist(), strict=True)):
        if cell == OUTSIDE:
            continue
        exact = row.astype(np.float64)
        if method == "lac":
            scores[i] = 1.0 - exact[cell]
        else:
            before = ranked_before(exact / areas_km2 if method == "hpd" else exact, cell)
            scores[i] = min(1.0, exact[before].sum() + uniform[i] * exact[cell])
    return scores


def conformal_set(
    row: ArrayLike, method: Method, threshold: float, areas_km2: Floats, uniform: float
) -> NDArray[np.int64]:
    """Return the cells whose score is at most a threshold: the set of one location.

    Args:
        row: (C,) probabilities.
        method: of `METHODS`.
        threshold: q, of `conformal_quantile`; 1 for all cells.
        areas_km2: (C,) of the cells.
        uniform: u of the location.

    Returns:
        (k,) cells in the order in which they are taken; there may be none, see `first_cells`.
    """
    p = np.asarray(row, dtype=np.float64)
    order = np.argsort(-(p / areas_km2 if method == "hpd" else p), kind="stable")
    if method == "lac":
        return order[1.0 - p[order] <= threshold]
    before = np.cumsum(p[order]) - p[order]
    return order[np.minimum(1.0, before + uniform * p[order]) <= threshold]


def first_cells(posterior: ArrayLike, method: Method, areas_km2: Floats) -> NDArray[np.int64]:
    """Return the (P,) cells that are taken first; an empty set is given its own, which only adds coverage."""
    p = np.asarray(posterior)
    return np.asarray((p / areas_km2 if method == "hpd" else p).argmax(axis=1), dtype=np.int64)


def uniform_of(ids: Sequence[str] | NDArray[np.object_]) -> Floats:
    """Return (P,) numbers from 0 to 1 that are drawn by the ids of locations: the same set when asked again."""
    digests = (hashlib.sha256(f"set {name}".encode("utf-8", "surrogatepass")).digest() for name in ids)
    return np.array([int.from_bytes(digest[:8], "big") / 2.0**64 for digest in digests], dtype=np.float64)
