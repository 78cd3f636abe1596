"""Split-conformal quantiles, and radii: a factor by which radii of a posterior hold the truth as often as they say."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

OFFSET_KM = 50.0
"""Added to a radius before it is scaled: an answer that is sure of one small cell still errs by kilometres."""


def conformal_quantile(scores: ArrayLike, coverage: float) -> float:
    """Return the ⌈(n + 1) · coverage⌉-th smallest score: that of a new location is at most it with that probability.

    Split-conformal prediction (Vovk et al. 2005). The promise holds on average over locations that are drawn like those
    of the calibration, and only for those: locations of other regions are outside of it.

    Args:
        scores: (n,) of locations that the head was not trained on; infinite where nothing finite holds the truth.
        coverage: the wanted share, between 0 and 1.

    Raises:
        ValueError: when there are too few locations for that coverage.
    """
    s = np.asarray(scores, dtype=np.float64)
    if not 0 < coverage < 1:
        raise ValueError(f"a coverage must be between 0 and 1, got {coverage:g}: ask for another.")
    rank = _ceil((len(s) + 1) * coverage)
    if rank > len(s):
        needed = _ceil(coverage / (1 - coverage))
        raise ValueError(
            f"a coverage of {coverage:g} needs at least {needed} locations, got {len(s)}: calibrate on more."
        )
    return float(np.sort(s)[rank - 1])


def _ceil(number: float) -> int:
    return int(np.ceil(round(number, 9)))  # 0.9 / (1 - 0.9) is 9.000000000000002


def conformal_factor(distances_km: ArrayLike, radii_km: ArrayLike, coverage: float) -> float:
    """Return q such that ``q (r + 50 km)`` holds the truth of a new location with at least that probability.

    The scores are ``d / (r + 50)`` (Lei et al. 2018, section 5.2, "locally weighted"); see `conformal_quantile`.

    Args:
        distances_km: (n,) from the answers to the truth, of locations that the head was not trained on.
        radii_km: (n,) radius that the posterior gives to half of its mass.
        coverage: the wanted share, between 0 and 1.

    Raises:
        ValueError: when there are too few locations for that coverage.
    """
    d, r = np.asarray(distances_km, dtype=np.float64), np.asarray(radii_km, dtype=np.float64)
    return conformal_quantile(d / (r + OFFSET_KM), coverage)


def conformal_radius_km(factor: float, radius_km: ArrayLike) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Return ``q (r + 50 km)`` for (n,) radii."""
    return factor * (np.asarray(radius_km, dtype=np.float64) + OFFSET_KM)
