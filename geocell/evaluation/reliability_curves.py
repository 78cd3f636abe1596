"""How right probabilities are before and after the calibration of a head, noted piece by piece while it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.evaluation.held_out import true_cells
from geocell.geo.geodesy import Floats
from geocell.partitioners.base import OUTSIDE
from geocell.uncertainty.errors import N_BINS, calibration_errors, expected_calibration_error, reliability

if TYPE_CHECKING:
    from geocell.features.locations import Locations
    from geocell.heads.protocol import HeadLike

_MEANS = ("nll", "brier", "confidence", "accuracy")


def curve_bins(n: int) -> int:
    """Return how many bins the curve of n locations has: those of the ECE, fewer where a bin would have less than ten.

    >>> curve_bins(60), curve_bins(20), curve_bins(100_000)
    (6, 3, 15)
    """
    return max(min(3, n), min(N_BINS, n // 10))


class ReliabilityRecorder:
    """Notes the probability of the most probable cell, and whether it is the true one; no posterior is kept.

    Attributes:
        largest: (P,) probability of the most probable cell as the head answers, calibrated where it is.
    """

    def __init__(self, head: HeadLike, locations: Locations) -> None:
        """Prepare for P locations; where the partition only decodes, the true cell is that of the nearest centroid."""
        n = len(locations)
        self._cells = true_cells(head.partition, locations.latlon) if n else np.empty(0, dtype=np.int64)
        self._calibration = head.calibration if head.calibration is not None and head.calibration.scales else None
        when = ("before",) if self._calibration is None else ("before", "after")
        self._noted = {name: _Noted(n) for name in when}
        self.largest = np.empty(n)

    def __call__(self, rows: slice, posterior: NDArray[np.float32], _points: Floats) -> None:
        """Note a piece of `answer_chunks`."""
        cells = self._cells[rows]
        self.largest[rows] = posterior.max(axis=1)
        if self._calibration is None:
            self._noted["before"].add(rows, posterior, cells)
            return
        self._noted["after"].add(rows, posterior, cells)
        self._noted["before"].add(rows, self._calibration.undone(posterior), cells)

    def to_dict(self) -> dict[str, Any]:
        """Return `before`, and where a calibration changes probabilities `after`, as records of calibrations have them.

        Each has `ece`, `nll`, `brier`, `confidence`, `accuracy` and `reliability` of the locations that lie in a cell,
        and is left out where none does.
        """
        inside = self._cells != OUTSIDE
        return {name: noted.to_dict(inside) for name, noted in self._noted.items()} if inside.any() else {}


class _Noted:
    def __init__(self, n: int) -> None:
        self._confidence, self._hits = np.empty(n), np.empty(n, dtype=bool)
        self._sums: Mapping[str, float] = dict.fromkeys(_MEANS, 0.0)

    def add(self, rows: slice, posterior: NDArray[np.float32], cells: NDArray[np.int64]) -> None:
        self._confidence[rows] = posterior.max(axis=1)
        self._hits[rows] = posterior.argmax(axis=1) == cells
        inside = cells != OUTSIDE
        if inside.any():
            errors = calibration_errors(posterior[inside], cells[inside]).to_dict()
            self._sums = {name: self._sums[name] + errors[name] * int(inside.sum()) for name in _MEANS}

    def to_dict(self, inside: NDArray[np.bool_]) -> dict[str, Any]:
        confidence, hits = self._confidence[inside], self._hits[inside]
        return {
            "ece": expected_calibration_error(confidence, hits),
            **{name: value / len(hits) for name, value in self._sums.items()},
            "reliability": np.round(reliability(confidence, hits, curve_bins(len(hits))), 4).tolist(),
        }
