"""95 % intervals: of shares and what is made of them, of medians and of means, over what was drawn together.

A location is one draw, however many views it has, and locations of one place are one draw too: see
`geocell.metrics.clusters`. Shares are resampled by the Bayesian bootstrap (Rubin 1981), whose weights are smooth where
Efron's counts are whole: half a location that is a hit everywhere and half a location that is a miss everywhere join
the sample, which for one share of independent locations is Jeffreys' interval. A plain bootstrap of 0 hits among 200
would be certain that no location will ever be hit, and of the balscore likewise, whose slope there has no bound.

Where clusters are drawn, their weights are resampled; what joins weighs as many locations as one independent location
is worth, and the draws are spread as Student's t of few unequal clusters is wider than that of independent locations.
Coverage by simulation: docs/scores.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

INTERVAL = 0.95
N_DRAWS = 2000

Interval = tuple[float, float]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

_PSEUDO = 0.5
"""Weight of an added location: Jeffreys' prior, the one whose intervals cover best (Brown, Cai, DasGupta 2001)."""

_BLOCK = 1024
"""Kinds of clusters whose weights are in memory together."""

_LEAST_FREEDOM = 2.0
"""Degrees of freedom below which the same coverage would cost intervals that are twice as wide."""


def share_draws(hits: Bools, seed: int = 0, *, clusters: Ints | None = None, paired: bool = False) -> Floats:
    """Return draws of the shares of hits by the Bayesian bootstrap of clusters, jointly for all columns.

    Clusters that agree in their size and in the hits of every column are interchangeable, and the sum of their weights
    is one Gamma variate: the draws are exact, and their cost does not grow with P.

    Args:
        hits: (P, S) whether a location is a hit of each share.
        seed: of the draws.
        clusters: (P,) numbers from 0 of what was drawn together; every location on its own when omitted.
        paired: whether the columns are those of two heads, the first S/2 and the last; then half a location that only
            the one hits and half a location that only the other hits join too, so that two heads that never
            differed in this sample are not taken for equal.

    Returns:
        (N_DRAWS, S) fractions.
    """
    n_shares = hits.shape[1]
    pseudo = [np.ones(n_shares), np.zeros(n_shares)]
    if paired:
        first = (np.arange(n_shares) < n_shares // 2).astype(np.float64)
        pseudo += [first, 1.0 - first]
    if clusters is None:
        effect, widening, (kinds, counts) = 1.0, 1.0, _kinds_of_locations(hits)
    else:
        half = n_shares // 2
        compared = hits[:, :half].astype(np.int8) - hits[:, half:].astype(np.int8) if paired else hits
        sizes = np.bincount(clusters).astype(np.float64)
        effect = design_effect(compared, clusters)
        widening, (kinds, counts) = _widening(sizes, effect), _kinds_of_clusters(hits, clusters, sizes)
    kinds = np.concatenate((kinds, effect * np.insert(pseudo, 0, 1.0, axis=1)))
    shapes = np.concatenate((counts, np.full(len(pseudo), _PSEUDO)))
    rng = np.random.default_rng(seed)
    sums = np.zeros((N_DRAWS, n_shares + 1))
    for start in range(0, len(shapes), _BLOCK):
        block = slice(start, start + _BLOCK)
        sums += rng.gamma(shapes[block], size=(N_DRAWS, len(shapes[block]))) @ kinds[block]
    draws = np.asarray(sums[:, 1:] / sums[:, :1])
    return draws if widening == 1.0 else _spread(draws, widening)


_BITS = 62  # columns whose hits are the bits of one whole number


def _kinds_of_locations(hits: Bools) -> tuple[Floats, Ints]:
    """Return (K, 1 + S) ones and hits of every kind of location, and how many there are."""
    if hits.shape[1] > _BITS:
        rows, counts = np.unique(hits, axis=0, return_counts=True)
        return np.insert(rows.astype(np.float64), 0, 1.0, axis=1), counts
    bits = np.arange(hits.shape[1], dtype=np.int64)
    found, counts = np.unique(hits @ (1 << bits), return_counts=True)
    return np.insert((found[:, None] >> bits & 1).astype(np.float64), 0, 1.0, axis=1), counts


def _kinds_of_clusters(hits: Bools, clusters: Ints, sizes: Floats) -> tuple[Floats, Ints]:
    """Return the (K, 1 + S) size and number of hits of every kind of cluster, and how many clusters are of it."""
    totals = np.stack([sizes, *(np.bincount(clusters, column, len(sizes)) for column in hits.T)], axis=1)
    factors = np.random.default_rng(0).integers(1, 1 << 62, totals.shape[1])
    _, first, counts = np.unique(totals.astype(np.int64) @ factors, return_index=True, return_counts=True)
    return totals[first], counts


def design_effect(values: NDArray[np.generic], clusters: Ints) -> float:
    """Return how many locations of clusters tell as much about means as one independent location does.

    The variance of the mean over clusters, by that over independent locations (Kish 1965), both added up over the
    columns: of one share alone it is too uncertain where hits are rare. It is at least 1, and at most what it is where
    all locations of a cluster are alike, which is also taken where nothing varies.

    Args:
        values: (P,) or (P, S), P >= 1.
        clusters: (P,) numbers from 0.
    """
    columns = values.reshape(len(values), -1).T.astype(np.float64)
    sizes = np.bincount(clusters)
    n, n_clusters = len(clusters), len(sizes)
    most = float((sizes.astype(np.float64) ** 2).sum() / n)
    within = between = 0.0
    for column in columns:
        residuals = column - column.mean()
        within += float((residuals**2).sum())
        between += float((np.bincount(clusters, residuals) ** 2).sum())
    if n_clusters == 1 or within <= 1e-12 * float((columns**2).sum()):
        return most
    effect = between * n_clusters / (n_clusters - 1) / (within * n / (n - 1))
    return float(np.clip(effect, 1.0, most))


def student_quantile(share: ArrayLike, freedom: float) -> Floats:
    """Return quantiles of Student's t: `scipy.stats.t.ppf` without scipy.stats, which takes a second to import.

    Args:
        share: (S,) probabilities, or one.
        freedom: degrees of freedom, above 0.
    """
    from scipy.special import stdtrit

    return np.asarray(stdtrit(freedom, np.asarray(share, dtype=np.float64)))


def _degrees_of_freedom(sizes: Floats, effect: float) -> float:
    """Return Satterthwaite's degrees of freedom of a variance over clusters with this design effect, at least 2.

    The total of m locations with an intraclass correlation ρ has a variance in proportion to m (1 + (m - 1) ρ).
    """
    largest = float((sizes**2).sum() / sizes.sum())
    correlation = (effect - 1) / (largest - 1) if largest > 1 else 0.0
    variances = sizes * (1 + (sizes - 1) * correlation)
    return max(float(variances.sum() ** 2 / (variances**2).sum()) - 1.0, _LEAST_FREEDOM)


def _widening(sizes: Floats, effect: float) -> float:
    """Return how much wider Student's t is for clusters than for as many independent locations as are in them."""
    n = float(sizes.sum())
    if len(sizes) == n:
        return 1.0
    few, many = (float(student_quantile((1 + INTERVAL) / 2, df)) for df in (_degrees_of_freedom(sizes, effect), n - 1))
    return max(few / many, 1.0)


def _spread(draws: Floats, factor: float) -> Floats:
    """Return (N, S) draws of shares, each column spread around its median on the scale of log-odds."""
    from scipy.special import expit, logit

    odds = logit(np.clip(draws, 1e-15, 1 - 1e-15))
    middle = np.median(odds, axis=0)
    return np.asarray(expit(middle + factor * (odds - middle)))


def percentile_interval(draws: Floats) -> Interval:
    """Return the central interval of (N,) draws."""
    low, high = np.quantile(draws, [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2])
    return float(low), float(high)


def share_interval(draws: Floats, share: float) -> Interval:
    """Return the interval of a share, or of a mean of shares, which reaches the end of the scale that it stands at."""
    low, high = percentile_interval(draws)
    return (0.0 if share <= 0 else low), (1.0 if share >= 1 else high)


def quantile_draws(distances: Floats, below: Floats, share: float = 0.5) -> Floats:
    """Return draws of a quantile that belong to draws of the share of locations below it.

    Where a resample has the share ``s`` below the sample's median, its own median stands about where the sample has
    the share ``1 - s``: to first order in 1/√P the median of that resample (Bahadur 1966), without sorting it. Other
    quantiles likewise.

    Args:
        distances: (P,) km.
        below: (N,) draws of the share of `distances` at most their quantile.
        share: which quantile, the median when omitted.

    Returns:
        (N,) km.
    """
    centre = float((distances <= np.quantile(distances, share)).mean())
    return np.asarray(np.quantile(distances, np.clip(share + centre - below, 0.0, 1.0)))


def mean_interval(values: Floats, *, clusters: Ints | None = None, paired: bool = False) -> Interval:
    """Return the interval of the mean of values whose distribution may be skewed, as distances are.

    It is what a studentised bootstrap comes to, in closed form: Hall's cubic transformation takes the skewness out of
    the t statistic ("On the removal of skewness by transformation", 1992, section 2), where a percentile interval of
    a skewed mean covers too little. Differences have heavy tails on both sides and a skewness that a sample does not
    show; their t statistic is left as it is.

    Of clusters the standard error is that of their totals, each deviation raised for its share in the mean (CR2, Bell
    and McCaffrey 2002), and the skewness that of as many locations as tell as much independently: the totals of few
    clusters do not show theirs.

    Args:
        values: (P,) in two or more clusters.
        clusters: (P,) numbers from 0 of what was drawn together; every location on its own when omitted.
        paired: whether the values are differences.

    Returns:
        Low and high, in the unit of the values.
    """
    n, mean, deviation = float(len(values)), float(np.mean(values)), float(np.std(values, ddof=1))
    if deviation == 0:
        return mean, mean
    error, freedom = deviation / np.sqrt(n), n - 1.0
    skewness = 0.0 if paired else float(np.mean(((values - mean) / deviation) ** 3))
    if clusters is not None:
        sizes = np.bincount(clusters).astype(np.float64)
        effect = design_effect(values, clusters)
        squares = np.bincount(clusters, values - mean) ** 2
        error, freedom = float(np.sqrt((squares / (1 - sizes / n)).sum())) / n, _degrees_of_freedom(sizes, effect)
        n /= effect
    ends = student_quantile([(1 + INTERVAL) / 2, (1 - INTERVAL) / 2], freedom) / np.sqrt(n)
    if abs(skewness) > 1e-6:  # else the transformation is the identity, and dividing by it is rounding noise
        ends = 3.0 / skewness * (np.cbrt(1.0 + skewness * (ends - skewness / (6.0 * n))) - 1.0)
    low, high = mean - error * np.sqrt(n) * ends
    return float(low), float(high)
