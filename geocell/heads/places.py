"""The decoder `balscore` over training places for a head, chosen on validation locations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from geocell.decoders.balscore import BalScore, reached_shares
from geocell.decoders.base import PartitionData
from geocell.geo.geodesy import Floats, distance_km
from geocell.metrics.outcomes import balscore_of

if TYPE_CHECKING:
    from geocell.features.locations import Locations
    from geocell.features.training_places import TrainingPlaces
    from geocell.heads.head import Head

N_CELLS = (1, 3, 5, 8, 16)
_ROUNDS = 3


def fit_places(
    head: Head,
    places: TrainingPlaces,
    val: Locations,
    *,
    n_cells: Sequence[int] = N_CELLS,
    device: str = "auto",
) -> tuple[BalScore, list[dict[str, float]]]:
    """Return the decoder `balscore` over training places with the largest balscore on validation locations.

    Its shares W_r are first those that the head's centroids reach, and then three times those of its own answers.

    Args:
        head: the head; neither it nor the places may have seen the validation locations.
        places: its training places.
        val: P >= 1 validation locations.
        n_cells: numbers of cells to try.
        device: where the head computes.

    Returns:
        The decoder, and one row of the number of cells and balscore, a fraction, per number; the first of equal ones
        wins.

    Raises:
        ValueError: when there is no location, or the places are in the cells of another head.
    """
    if len(val) == 0:
        raise ValueError("places are chosen on validation locations, and there is none: name a split with some.")
    places.require_for(head)
    posterior = head.posterior(val, device)
    data = PartitionData(head.partition.centroids, places=places)

    def km(decoder: BalScore) -> Floats:
        return distance_km(decoder.prepare(data)(posterior), val.latlon)

    start = reached_shares(distance_km(head.partition.centroids[posterior.argmax(axis=1)], val.latlon))
    rows: list[dict[str, float]] = []
    tried = []
    for n in n_cells:
        decoder = BalScore(*start.values(), places=n)
        for _ in range(_ROUNDS):
            reached = reached_shares(km(decoder))
            decoder = replace(decoder, within_25=reached[25], within_200=reached[200], within_750=reached[750])
        tried.append(decoder)
        rows.append({"places": n, "balscore": balscore_of(km(decoder))})
    best = max(range(len(rows)), key=lambda i: rows[i]["balscore"])
    return tried[best], rows
