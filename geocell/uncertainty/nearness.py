"""How probable candidates make it that the truth is near: a likelihood for points instead of cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from geocell.geo.geodesy import Floats, distance_matrix_km
from geocell.uncertainty.temperature import logits_of

TEMPERATURES = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
"""A few, for comparing posteriors each at the best of them."""

_FINE = np.geomspace(0.2, 10.0, 60)
_STRIDE = 4
_ROWS = 128  # locations at a time, which fit into the cache of a core with some thousands of candidates
_FLOOR = 1e-6  # of the probability within a radius: one location that nothing places must not decide


@dataclass(frozen=True, eq=False)
class Nearness:
    """Which of K candidates lie within some radii of the truth of P locations.

    Where candidates are points, such as training places, the truth is at none of them, and the likelihood of the
    nearest says little. The log of the probability within 25, 200 and 750 km is its smooth counterpart: these are the
    shares that balscore is the geometric mean of.

    Attributes:
        within: radius in km -> (P, K) bool.
    """

    within: Mapping[int, NDArray[np.bool_]]

    @classmethod
    def of(cls, candidates: Floats, truth: Floats, radii_km: Sequence[int]) -> Nearness:
        """Return it for (K, 2) candidates and (P, 2) true points in degrees."""
        within = {radius: np.empty((len(truth), len(candidates)), dtype=np.bool_) for radius in radii_km}
        for start in range(0, len(truth), _ROWS):
            rows = slice(start, start + _ROWS)
            km = distance_matrix_km(truth[rows], candidates)
            for radius, mask in within.items():
                np.less_equal(km, radius, out=mask[rows])
        return cls(within)

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> Nearness:
        """Return it for some of the locations."""
        return Nearness({radius: mask[index] for radius, mask in self.within.items()})

    def masses(self, posterior: NDArray[np.float32]) -> Floats:
        """Return the (R, P) sums of (P, K) numbers within each radius of the truth."""
        rows = [np.einsum("pk,pk->p", posterior, mask, dtype=np.float64) for mask in self.within.values()]
        return np.stack(rows)

    @cached_property
    def reachable(self) -> NDArray[np.bool_]:
        """(R, P) whether there is a candidate within the radius: else no posterior can do anything about it."""
        return np.stack([mask.any(axis=1) for mask in self.within.values()])

    def mean_log(self, posterior: NDArray[np.float32]) -> float:
        """Return the mean over radii and locations of the log of the probability within the radius, in nats."""
        return self._mean_log_of(self.masses(posterior))

    def at_best(self, posterior: NDArray[np.float32], temperatures: Sequence[float] = TEMPERATURES) -> float:
        """Return the largest `mean_log` at some temperatures."""
        return max(self._at(logits_of(posterior).astype(np.float32), temperatures))

    def fit_temperature(self, posterior: NDArray[np.float32]) -> float:
        """Return the temperature from 0.2 to 10, in steps of 7 %, with the largest `mean_log`.

        Every fourth is tried, and then those beside the best of them.
        """
        logits = logits_of(posterior).astype(np.float32)
        tried = dict(zip(range(0, len(_FINE), _STRIDE), self._at(logits, _FINE[::_STRIDE].tolist()), strict=True))
        best = max(tried, key=lambda i: tried[i])
        beside = [i for i in range(best - _STRIDE + 1, best + _STRIDE) if 0 <= i < len(_FINE) and i not in tried]
        tried |= dict(zip(beside, self._at(logits, _FINE[beside].tolist()), strict=True))
        return float(_FINE[max(sorted(tried), key=lambda i: tried[i])])

    def _at(self, logits: NDArray[np.float32], temperatures: Sequence[float]) -> list[float]:
        """Return the `mean_log` at temperatures of a posterior by its (P, K) logarithms."""
        masses = np.empty((len(temperatures), len(self.within), len(logits)))
        for start in range(0, len(logits), _ROWS):
            rows = np.arange(start, min(start + _ROWS, len(logits)))
            near, part = self.take(rows), logits[rows]
            part -= part.max(axis=1, keepdims=True)
            for i, temperature in enumerate(temperatures):
                p = np.exp(part / np.float32(temperature))
                masses[i, :, rows] = (near.masses(p) / p.sum(axis=1, dtype=np.float64)).T
        return [self._mean_log_of(found) for found in masses]

    def _mean_log_of(self, masses: Floats) -> float:
        reachable = self.reachable
        return float(np.log(np.maximum(masses[reachable], _FLOOR)).mean()) if reachable.any() else 0.0
