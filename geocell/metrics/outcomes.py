"""Scores of predicted points: distances, shares within radii, balscore, and their intervals over clusters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.geo.geodesy import EARTH_RADIUS_KM, as_latlon, distance_km
from geocell.metrics.clusters import Clusters
from geocell.metrics.geoscore import MOST_POINTS, geoscore_points
from geocell.metrics.groups import named_groups
from geocell.metrics.intervals import (
    Interval,
    mean_interval,
    percentile_interval,
    quantile_draws,
    share_draws,
    share_interval,
)
from geocell.metrics.quantiles import QUANTILES, distance_quantiles

RADII_KM = (1, 25, 200, 750, 2500)
"""Street, city, region, country, continent: the radii of the field (Vo, Jacobs and Hays 2017)."""

TOP_K = 5

_FARTHEST_KM = float(np.pi * EARTH_RADIUS_KM)

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


def balscore(within_25: float, within_200: float, within_750: float) -> float:
    """Return the geometric mean of three shares: high only when street, region and country are right together.

    Args:
        within_25: share of locations within 25 km, a fraction or in percent like the other two.
        within_200: within 200 km.
        within_750: within 750 km.

    >>> round(balscore(31.4, 81.0, 98.6), 2)
    63.06
    """
    return float(np.cbrt(within_25 * within_200 * within_750))


def within_shares(distances: NDArray[np.float64]) -> dict[int, float]:
    """Return radius -> share of the (P,) distances that are at most that far, for `RADII_KM`."""
    return {radius: float((distances <= radius).mean()) for radius in RADII_KM}


def balscore_of(distances: NDArray[np.float64]) -> float:
    """Return the balscore of (P,) distances in km."""
    within = within_shares(distances)
    return balscore(within[25], within[200], within[750])


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Outcomes of P locations, from which scores and their intervals are computed.

    Attributes:
        distances_km: (P,) from the answer to the true point.
        first: (P,) whether the true cell is the most probable one; None when the partition cannot assign.
        five: (P,) whether it is among the five most probable ones; None likewise.
        n_outside: how many lie in no cell, None likewise.
        clusters: which of the locations were drawn together; every one on its own when omitted.
        further: name -> (P,) hits of further shares: of the country, of the levels of the partition.
    """

    distances_km: Floats
    first: Bools | None = None
    five: Bools | None = None
    n_outside: int | None = None
    clusters: Clusters | None = None
    further: Mapping[str, Bools] = field(default_factory=dict)

    @property
    def drawn(self) -> NDArray[np.int64] | None:
        """(P,) numbers of the clusters that intervals are taken over, None where every location is one."""
        return None if self.clusters is None else self.clusters.drawn

    @property
    def n_clusters(self) -> int:
        """How many clusters intervals are taken over."""
        return len(self.distances_km if self.clusters is None else self.clusters)

    def hits(self) -> dict[str, Bools]:
        """Return for every share, and for the median, which of the (P,) locations count."""
        d = self.distances_km
        columns = {f"within_{radius}": d <= radius for radius in RADII_KM}
        if self.first is not None and self.five is not None:
            columns |= {"top1": self.first, "top5": self.five}
        return {**columns, "median_km": d <= np.median(d)}

    def values(self) -> dict[str, float]:
        """Return every score by the name that its interval has."""
        d = self.distances_km
        others = {name: float(hit.mean()) for name, hit in self.further.items()}
        points = {"geoscore": float(self.points.mean()), **self.quantiles()}
        shares = {name: float(hit.mean()) for name, hit in self.hits().items() if name != "median_km"}
        median, mean = float(np.median(d)), float(d.mean())
        return {"balscore": balscore_of(d), **shares, "median_km": median, "mean_km": mean, **points, **others}

    @property
    def points(self) -> Floats:
        """(P,) points of each answer, see `geocell.metrics.geoscore`."""
        return geoscore_points(self.distances_km)

    def quantiles(self) -> dict[str, float]:
        """Return name -> km of every quantile but the median, see `geocell.metrics.quantiles`."""
        found = distance_quantiles(self.distances_km)
        return {f"quantile_{100 * share:.0f}_km": km for share, km in found.items() if share != 0.5}

    def further_hits(self) -> dict[str, Bools]:
        """Return what `hits` lacks: of the quantiles which of the (P,) locations lie within, and the further shares.

        They are drawn apart, so that the intervals of `hits` are those of every outcome of these locations.
        """
        below = {name: self.distances_km <= km for name, km in self.quantiles().items()}
        return {**below, **self.further}

    def further_draws(self, shares: Floats) -> dict[str, Floats]:
        """Return (N,) draws of each, from the (N, S) draws of the shares of `further_hits`."""
        of = {f"quantile_{100 * share:.0f}_km": share for share in QUANTILES}
        return {
            name: quantile_draws(self.distances_km, draw, of[name]) if name in of else draw
            for name, draw in zip(self.further_hits(), shares.T, strict=True)
        }

    def draws(self, shares: Floats) -> dict[str, Floats]:
        """Return (N,) draws of every score but the mean, from the (N, S) draws of the shares of `hits`."""
        by_name = dict(zip(self.hits(), shares.T, strict=True))
        median = quantile_draws(self.distances_km, by_name.pop("median_km"))
        product = by_name["within_25"] * by_name["within_200"] * by_name["within_750"]
        return {"balscore": np.cbrt(product), **by_name, "median_km": median}

    def intervals(self, seed: int = 0) -> dict[str, Interval]:
        """Return the 95 % interval of every score; the mean has one from two clusters on."""
        hits = _columns(self.hits())
        values, draws = self.values(), self.draws(share_draws(hits, seed, clusters=self.drawn))
        intervals = {name: share_interval(draw, values[name]) for name, draw in draws.items() if name != "median_km"}
        intervals["median_km"] = percentile_interval(draws["median_km"])
        others = self.further_draws(share_draws(_columns(self.further_hits()), seed, clusters=self.drawn))
        for name, draw in others.items():
            kilometres = name.endswith("_km")
            intervals[name] = percentile_interval(draw) if kilometres else share_interval(draw, values[name])
        if self.n_clusters > 1:
            low, high = mean_interval(self.points, clusters=self.drawn)
            intervals["geoscore"] = max(0.0, low), min(MOST_POINTS, high)
            low, high = mean_interval(self.distances_km, clusters=self.drawn)
            intervals["mean_km"] = max(0.0, low), min(_FARTHEST_KM, high)  # a few far ones reach beyond what there is
        return intervals


def _columns(hits: Mapping[str, Bools]) -> Bools:
    return np.stack(list(hits.values()), axis=1)


def top_hits(posterior: NDArray[np.float32], cells: NDArray[np.int64]) -> tuple[Bools, Bools]:
    """Return whether the true cell is the most probable one, and whether it is among the five most probable.

    Args:
        posterior: (P, C) probabilities.
        cells: (P,) true cells; a location outside the partition has a negative one, and hits nothing.

    Returns:
        Two (P,) bool arrays.
    """
    k = min(TOP_K, posterior.shape[1])
    best = np.argpartition(-posterior, k - 1, axis=1)[:, :k]
    first = posterior.argmax(axis=1) == cells
    return first, first | (best == cells[:, None]).any(axis=1)


def require_scored(n: int, split: str) -> None:
    """Raise ValueError when there is no location in a split that is scored."""
    if not n:
        raise ValueError(f"scores need at least one location, and the split {split!r} has none: name another split.")


def outcomes_of(
    predicted: ArrayLike,
    truth: ArrayLike,
    hits: tuple[Bools, Bools] | None = None,
    n_outside: int | None = None,
    split: str = "",
    clusters: Clusters | None = None,
) -> Outcomes:
    """Return the outcomes of predicted points.

    Args:
        predicted: (P, 2) degrees, P >= 1.
        truth: (P, 2) degrees.
        hits: what `top_hits` returns, None when the partition cannot assign.
        n_outside: locations outside the partition, None when it cannot assign.
        split: name of the split, for the message.
        clusters: which of the P locations were drawn together; those of one place when omitted.

    Raises:
        ValueError: when there is no location, or the shapes differ, or coordinates are invalid.
    """
    require_scored(np.size(truth), split)
    points, true_points = as_latlon(predicted, "predicted"), as_latlon(truth, "truth")
    if points.shape != true_points.shape:
        raise ValueError(f"scores need one prediction per location, got {len(points)} for {len(true_points)}.")
    first, five = hits or (None, None)
    together = Clusters.of_places(true_points) if clusters is None else clusters
    return Outcomes(distance_km(points, true_points), first, five, n_outside, together)


def by_country(
    distances: Floats, countries: ArrayLike | None, same_country: Bools | None = None
) -> dict[str, dict[str, float]]:
    """Return the scores of every country, by its name; locations whose country is missing or empty are left out.

    Args:
        distances: (P,) km.
        countries: (P,) names, None when they are not known.
        same_country: (P,) whether the answer lies in the country of the truth, None when that is not known.
    """
    result: dict[str, dict[str, float]] = {}
    for name, members in named_groups([] if countries is None else countries):
        there = distances[members]
        within = {f"within_{radius}": share for radius, share in within_shares(there).items()}
        rest = {"balscore": balscore_of(there), **within, "median_km": float(np.median(there))}
        right = {} if same_country is None else {"country_accuracy": float(same_country[members].mean())}
        result[name] = {"n_locations": len(there), **rest, **right}
    return result
