"""Means over countries, or other groups, in which every group weighs the same, and their intervals over clusters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from geocell.metrics.intervals import INTERVAL, Interval, student_quantile

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_PRIOR = 1.0
"""How many locations of the mean over groups join each group where a deviation from its share is taken."""


@dataclass(frozen=True, eq=False)
class MacroShares:
    """Means over groups of the share of hits in each.

    Attributes:
        hits: (P, S) whether a location is a hit of each share.
        groups: (P,) group of each location, numbers from 0 without gaps.
        clusters: (P,) numbers of what was drawn together; every location on its own when omitted.
    """

    hits: Bools
    groups: Ints
    clusters: Ints | None = None

    @cached_property
    def means(self) -> Floats:
        """(S,) fractions."""
        sizes = np.bincount(self.groups)
        return np.stack([(np.bincount(self.groups, column) / sizes).mean() for column in self.hits.T])

    @cached_property
    def deviations(self) -> Floats:
        """(G, S) what each cluster adds to the error of the means; their sum of squares is the variance.

        It is the jackknife's: a cluster is compared with the share of its group without it (CR3, Bell and McCaffrey
        2002), drawn towards the mean over groups by one location, so that a group of a single cluster deviates too.
        """
        drawn = np.arange(len(self.groups)) if self.clusters is None else self.clusters
        pairs, pair_of = np.unique(np.stack((self.groups, drawn)), axis=1, return_inverse=True)
        pair_of = pair_of.reshape(-1)
        group, cluster = pairs[0], np.unique(pairs[1], return_inverse=True)[1]
        sizes, group_sizes = np.bincount(pair_of), np.bincount(self.groups)[group]
        deviations = []
        for column, mean in zip(self.hits.T, self.means, strict=True):
            inside, totals = np.bincount(pair_of, column), np.bincount(self.groups, column)[group]
            others = (totals - inside + _PRIOR * mean) / (group_sizes - sizes + _PRIOR)
            weights = sizes / group_sizes / len(np.unique(group))
            deviations.append(np.bincount(cluster, weights * (inside / sizes - others)))
        return np.stack(deviations, axis=1)

    def independent(self, clusters: Ints | None = None) -> float:
        """Return how many locations, or clusters, of equal weight would tell as much (Kish 1965)."""
        weights = 1.0 / np.bincount(self.groups)[self.groups]
        totals = weights if clusters is None else np.bincount(clusters, weights)
        return float(weights.sum() ** 2 / (totals**2).sum())

    def intervals(self) -> list[Interval]:
        """Return the 95 % interval of each of the S means, on the scale of log-odds.

        The variance is at least that of as many independent locations, with Jeffreys' half a hit and half a miss: of
        rare hits the deviations alone know too little. An end is 0 or 1 where the mean is.
        """
        return [self.interval(mean, deviations) for mean, deviations in zip(self.means, self.deviations.T, strict=True)]

    def interval(self, mean: float, deviations: Floats) -> Interval:
        """Return the interval of one of the means, or of a smooth function of them with values from 0 to 1.

        Args:
            mean: its value.
            deviations: (G,) what each cluster adds to its error.
        """
        from scipy.special import expit, logit

        n, drawn = self.independent(), self.independent(self.clusters)
        middle = (mean * drawn + 0.5) / (drawn + 1)
        least = middle * (1 - middle) / (n + 1)
        spread = np.sqrt(max(float((deviations**2).sum()), least))
        half = student_quantile((1 + INTERVAL) / 2, max(drawn - 1, 1.0)) * spread / (middle * (1 - middle))
        low, high = float(expit(logit(middle) - half)), float(expit(logit(middle) + half))
        return (0.0 if mean <= 0 else min(low, mean)), (1.0 if mean >= 1 else max(high, mean))
