"""The parameters of the decoder `knn` for a head, chosen on validation locations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from geocell.decoders.balscore import reached_shares
from geocell.decoders.knn import KNN
from geocell.features.neighbour_masses import most_probable
from geocell.features.neighbours import Ints, Singles
from geocell.geo.geodesy import Floats, distance_km, unit_vectors
from geocell.metrics.outcomes import balscore_of

if TYPE_CHECKING:
    from geocell.features.locations import Locations
    from geocell.features.neighbours import NeighbourIndex
    from geocell.heads.head import Head

N_CELLS = (5, 10, 64)
TEMPERATURES = (0.03, 0.05, 0.08, 0.12)
SHARES = (0.0, 0.3, 0.6)
_ROUNDS = 3


def fit_neighbours(  # noqa: PLR0913 - keywords with defaults
    head: Head,
    index: NeighbourIndex,
    val: Locations,
    *,
    n_cells: Sequence[int] = N_CELLS,
    temperatures: Sequence[float] = TEMPERATURES,
    shares: Sequence[float] = SHARES,
    k: int = 256,
    device: str = "auto",
    report: Callable[[str], None] | None = None,
) -> tuple[KNN, list[dict[str, float]]]:
    """Return the decoder `knn` with the largest balscore on validation locations, and what was tried.

    All are tried with the shares W_r that the head's centroids reach; those of the chosen one are then counted again
    on its own answers, three times. Neighbours are searched once per number of cells: the others share them.

    Args:
        head: the head; neither it nor the index may have seen the validation locations.
        index: its training features.
        val: P >= 1 validation locations.
        n_cells: numbers of cells to try.
        temperatures: temperatures of the cosines to try.
        shares: shares of the head to try.
        k: neighbours.
        device: where the head computes.
        report: called with a line for every search among the training locations, which takes nearly all of the time.

    Returns:
        The decoder, and one row of parameters and balscore, a fraction, per combination; the first of equal ones wins.

    Raises:
        ValueError: when there is no location, or the index is of another head.
    """
    if len(val) == 0:
        raise ValueError("neighbours are fitted on validation locations, and there is none: name a split with some.")
    index.require_for(head)
    posterior, features = head.posterior(val, device), val.mean_features()
    vectors = unit_vectors(index.latlon)
    nearest: dict[int, tuple[Ints, Singles]] = {}
    for n in n_cells:
        if report is not None:
            report(
                f"searching {len(index):,} training locations in the {n} most probable cells of {len(val):,} "
                f"locations, {len(nearest) + 1} of {len(n_cells)}"
            )
        nearest[n] = index.nearest(features, k, most_probable(posterior, n))

    def km(decoder: KNN) -> Floats:
        best = decoder.vote(posterior, index.cells, vectors, *nearest[decoder.n_cells])
        return distance_km(index.latlon[best], val.latlon)

    start = reached_shares(distance_km(head.partition.centroids[posterior.argmax(axis=1)], val.latlon))
    tried = [KNN(n, t, s, k, *start.values()) for n, t, s in product(n_cells, temperatures, shares)]
    scores = [balscore_of(km(decoder)) for decoder in tried]
    rows = [
        {"n_cells": d.n_cells, "temperature": d.temperature, "share": d.share, "balscore": score}
        for d, score in zip(tried, scores, strict=True)
    ]
    best = tried[int(np.argmax(scores))]
    for _ in range(_ROUNDS):
        reached = reached_shares(km(best))
        best = replace(best, within_25=reached[25], within_200=reached[200], within_750=reached[750])
    return best, rows
