"""How probable candidates make it that the truth is near: a likelihood for points instead of cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geocell.geo.geodesy import Floats, distance_km
from geocell.uncertainty.temperature import scaled

TEMPERATURES = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8)
"""A few, for comparing posteriors each at the best of them."""

_FINE = np.geomspace(0.2, 10.0, 60)
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
        for row, point in enumerate(truth):
            km = distance_km(point, candidates)
            for radius, mask in within.items():
                mask[row] = km <= radius
        return cls(within)

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> Nearness:
        """Return it for some of the locations."""
        return Nearness({radius: mask[index] for radius, mask in self.within.items()})

    def masses(self, posterior: NDArray[np.float32]) -> Floats:
        """Return the (R, P) sums of (P, K) numbers within each radius of the truth."""
        rows = [np.einsum("pk,pk->p", posterior, mask, dtype=np.float64) for mask in self.within.values()]
        return np.stack(rows)

    @property
    def reachable(self) -> NDArray[np.bool_]:
        """(R, P) whether there is a candidate within the radius: else no posterior can do anything about it."""
        return np.stack([mask.any(axis=1) for mask in self.within.values()])

    def mean_log(self, posterior: NDArray[np.float32]) -> float:
        """Return the mean over radii and locations of the log of the probability within the radius, in nats."""
        reachable = self.reachable
        if not reachable.any():
            return 0.0
        return float(np.log(np.maximum(self.masses(posterior)[reachable], _FLOOR)).mean())

    def at_best(self, posterior: NDArray[np.float32], temperatures: Sequence[float] = TEMPERATURES) -> float:
        """Return the largest `mean_log` at some temperatures."""
        return max(self.mean_log(scaled(posterior, t)) for t in temperatures)

    def fit_temperature(self, posterior: NDArray[np.float32]) -> float:
        """Return the temperature from 0.2 to 10, in steps of 7 %, with the largest `mean_log`."""
        return float(_FINE[int(np.argmax([self.mean_log(scaled(posterior, t)) for t in _FINE]))])
