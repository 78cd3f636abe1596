"""95 % intervals over locations: of shares and what is made of them, of medians and of means.

A location is one draw, however many views it has. Shares are resampled by the Bayesian bootstrap (Rubin 1981), whose
weights are smooth where Efron's counts are whole: half a location that is a hit everywhere and half a location that is
a miss everywhere join the sample, which for one share is Jeffreys' interval. A plain bootstrap of 0 hits among 200
would be certain that no location will ever be hit, and of the balscore likewise, whose slope there has no bound.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

INTERVAL = 0.95
N_DRAWS = 2000

Interval = tuple[float, float]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

_PSEUDO = 0.5
"""Weight of an added location: Jeffreys' prior, the one whose intervals cover best (Brown, Cai, DasGupta 2001)."""


def share_draws(hits: Bools, seed: int = 0, *, paired: bool = False) -> Floats:
    """Return draws of the shares of hits by the Bayesian bootstrap, jointly for all columns.

    Locations that agree in every column are interchangeable, and the sum of their weights is one Gamma variate: the
    draws are exact, and their cost does not grow with P.

    Args:
        hits: (P, S) whether a location is a hit of each share.
        seed: of the draws.
        paired: whether the columns are those of two heads, the first S/2 and the last; then half a location that only
            the one hits and half a location that only the other hits join too, so that two heads that never
            differed in this sample are not taken for equal.

    Returns:
        (N_DRAWS, S) fractions.
    """
    n_shares = hits.shape[1]
    codes = hits @ (1 << np.arange(n_shares, dtype=np.int64))
    found, counts = np.unique(codes, return_counts=True)
    kinds = (found[:, None] >> np.arange(n_shares) & 1).astype(np.float64)
    pseudo = [np.ones(n_shares), np.zeros(n_shares)]
    if paired:
        first = (np.arange(n_shares) < n_shares // 2).astype(np.float64)
        pseudo += [first, 1.0 - first]
    shapes = np.concatenate((counts, np.full(len(pseudo), _PSEUDO)))
    weights = np.random.default_rng(seed).gamma(shapes, size=(N_DRAWS, len(shapes)))
    weights /= weights.sum(axis=1, keepdims=True)
    return np.asarray(weights @ np.concatenate((kinds, pseudo)))


def percentile_interval(draws: Floats) -> Interval:
    """Return the central interval of (N,) draws."""
    low, high = np.quantile(draws, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2])
    return float(low), float(high)


def share_interval(draws: Floats, share: float) -> Interval:
    """Return the interval of a share, or of a mean of shares, which reaches the end of the scale that it stands at."""
    low, high = percentile_interval(draws)
    return (0.0 if share <= 0 else low), (1.0 if share >= 1 else high)


def median_draws(distances: Floats, below: Floats) -> Floats:
    """Return draws of the median that belong to draws of the share of locations below it.

    Where a resample has the share ``s`` below the sample's median, its own median stands about where the sample has
    the share ``1 - s``: to first order in 1/√P the median of that resample (Bahadur 1966), without sorting it.

    Args:
        distances: (P,) km.
        below: (N,) draws of the share of `distances` at most their median.

    Returns:
        (N,) km.
    """
    centre = float((distances <= np.median(distances)).mean())
    return np.asarray(np.quantile(distances, np.clip(0.5 + centre - below, 0.0, 1.0)))


def mean_interval(values: Floats, *, paired: bool = False) -> Interval:
    """Return the interval of the mean of values whose distribution may be skewed, as distances are.

    It is what a studentised bootstrap comes to, in closed form: Hall's cubic transformation takes the skewness out of
    the t statistic ("On the removal of skewness by transformation", 1992, section 2), where a percentile interval of
    a skewed mean covers too little. Differences have heavy tails on both sides and a skewness that a sample does not
    show; their t statistic is left as it is.

    Args:
        values: (P,), P >= 2.
        paired: whether the values are differences.

    Returns:
        Low and high, in the unit of the values.
    """
    from scipy.stats import t

    n, mean, deviation = len(values), float(np.mean(values)), float(np.std(values, ddof=1))
    if deviation == 0:
        return mean, mean
    skewness = 0.0 if paired else float(np.mean(((values - mean) / deviation) ** 3))
    ends = t.ppf([(1 + INTERVAL) / 2, (1 - INTERVAL) / 2], n - 1) / np.sqrt(n)
    if abs(skewness) > 1e-6:  # else the transformation is the identity, and dividing by it is rounding noise
        ends = 3.0 / skewness * (np.cbrt(1.0 + skewness * (ends - skewness / (6.0 * n))) - 1.0)
    low, high = mean - deviation * ends
    return float(low), float(high)
