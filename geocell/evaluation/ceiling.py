"""The best scores that a partition allows, measured by an oracle that knows the true cell."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from geocell.geo.geodesy import Floats
from geocell.metrics.clusters import Clusters
from geocell.metrics.outcomes import RADII_KM, Outcomes


@dataclass(frozen=True)
class Ceiling:
    """The best that any head could answer on some locations, by the centroid decoder. Shares are fractions.

    Attributes:
        n_locations: how many.
        within: radius in km -> share of the locations at most that far from the oracle's answer.
        balscore: of the oracle.
        median_km: median distance from the oracle's answer.
        mean_km: mean distance.
        intervals: `balscore`, `within_25` …, `median_km`, `mean_km` -> 95 % interval over clusters, those of a score;
            see `geocell.metrics.intervals`. One cluster has none of its mean.
        n_clusters: how many clusters of locations the intervals are taken over.
    """

    n_locations: int
    within: dict[int, float]
    balscore: float
    median_km: float
    mean_km: float
    intervals: dict[str, tuple[float, float]]
    n_clusters: int

    @classmethod
    def from_distances(cls, distances: Floats, clusters: Clusters | None = None) -> Ceiling:
        """Return the ceiling for (P,) distances in km, P >= 1, of locations that are drawn by clusters."""
        outcomes = Outcomes(distances, clusters=clusters)
        values = outcomes.values()
        within = {radius: values[f"within_{radius}"] for radius in RADII_KM}
        rest = {name: values[name] for name in ("balscore", "median_km", "mean_km")}
        told = {*rest, *(f"within_{radius}" for radius in within)}
        intervals = {name: interval for name, interval in outcomes.intervals().items() if name in told}
        return cls(len(distances), within, **rest, intervals=intervals, n_clusters=outcomes.n_clusters)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; radii become strings."""
        within = {str(radius): share for radius, share in self.within.items()}
        return {**asdict(self), "within": within, "intervals": {k: list(ends) for k, ends in self.intervals.items()}}
