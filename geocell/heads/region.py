"""The region of a head: made of its training locations, and asked about others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geocell.features.locations import Locations
from geocell.uncertainty.out_of_region import entropy
from geocell.uncertainty.region_model import FALSE_ALARMS, VARIANCE, RegionModel
from geocell.uncertainty.temperature import scaled

if TYPE_CHECKING:
    from geocell.heads.protocol import HeadLike


def fit_region(
    head: HeadLike,
    train: Locations,
    val: Locations,
    *,
    false_alarms: float = FALSE_ALARMS,
    variance: float = VARIANCE,
    device: str = "auto",
) -> RegionModel:
    """Return what tells locations outside the region of a head apart; it holds for any temperature of the head.

    `dataclasses.replace(head, region=...)` applies it; see `RegionModel.from_locations`.

    Args:
        head: the head; it is not changed.
        train: its training locations, whose features are read in pieces.
        val: locations that it was not trained on, like those that it will be asked about.
        false_alarms: share of these that may be flagged.
        variance: share of the variance of training features that the subspace holds.
        device: where the head computes.

    Raises:
        ValueError: for too few locations, features of another encoder, not finite or all alike.
    """
    head.encoder.require_same(train.encoder, "the head", "the training locations")
    entropies = [plain_entropy(head, posterior) for _, posterior, _ in head.answer_chunks(val, device=device)]
    found = np.concatenate(entropies) if entropies else np.empty(0)
    return RegionModel.from_locations(train, val, found, false_alarms=false_alarms, variance=variance)


def plain_entropy(head: HeadLike, posterior: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the (P,) entropy of a head's posterior before the temperature of its calibration."""
    temperature = 1.0 if head.calibration is None else head.calibration.temperature
    return entropy(posterior if temperature == 1.0 else scaled(posterior, 1.0 / temperature))


def flagged_share(head: HeadLike, locations: Locations, device: str = "auto") -> float | None:
    """Return the share of P >= 1 locations flagged as outside the region of a head; None where it did not learn it."""
    region = head.region
    if region is None:
        return None
    n = 0
    for rows, posterior, _ in head.answer_chunks(locations, device=device):
        part = locations.take(np.arange(rows.start, rows.stop))
        n += int(region.flagged(region.scores(part.mean_features(), plain_entropy(head, posterior))).sum())
    return n / len(locations)
