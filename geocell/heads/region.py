"""The region of a head: made of its training locations, and asked about others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geocell.features.locations import Locations
from geocell.uncertainty.out_of_region import entropy
from geocell.uncertainty.region_model import FALSE_ALARMS, VARIANCE, RegionModel

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
    """Return the (P,) entropy of a head's posterior before the temperature and the biases of its calibration."""
    return entropy(posterior if head.calibration is None else head.calibration.undone(posterior))


class FlaggedCount:
    """Counts how many locations are flagged as outside the region of a head, piece by piece of its posterior."""

    def __init__(self, head: HeadLike, locations: Locations) -> None:
        """Begin with none of P locations."""
        self._head, self._locations, self._n = head, locations, 0

    def __call__(self, rows: slice, posterior: NDArray[np.float32]) -> None:
        """Note the (rows, C) posterior of a piece."""
        if self._head.region is not None:
            part = self._locations.take(np.arange(rows.start, rows.stop))
            scores = self._head.region.scores(part.mean_features(), plain_entropy(self._head, posterior))
            self._n += int(self._head.region.flagged(scores).sum())

    @property
    def count(self) -> int | None:
        """How many; None where the head did not learn its region."""
        return None if self._head.region is None else self._n
