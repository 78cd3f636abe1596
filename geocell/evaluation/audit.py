"""The best scores that a partition allows, and how its cells are filled, measured before any training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from geocell.display import Display, TextTable, km_text, share_text
from geocell.evaluation.ceiling import Ceiling
from geocell.features.locations import Locations
from geocell.files import counted
from geocell.geo.geodesy import Floats, as_latlon, distance_km
from geocell.metrics.clusters import Clusters, clusters_text
from geocell.metrics.groups import named_groups
from geocell.metrics.scores import flat_scores, interval_text, score_label, score_text
from geocell.partitioners.base import OUTSIDE
from geocell.partitioners.cell_polygons import class_areas_km2
from geocell.partitioners.class_weights import class_weights
from geocell.partitioners.partitioner import places_sha256
from geocell.splits.grouping import COUNTRY

if TYPE_CHECKING:
    from geocell.partitioners.base import Partition

# Thresholds of the advice. They are judgements: a head can be fitted beyond each of them.
_SINGLE_SHARE = 0.05
_LOST_SHARE = 0.01
_WITHIN_25 = 0.75
_WEIGHT_RATIO = 100.0
_FEW = 5
_LARGEST_SHARE = 0.1


@dataclass(frozen=True, repr=False)
class Audit:
    """The oracle ceiling of a partition on some locations, and how its cells are filled. Shares are fractions.

    The oracle knows the true cell of every location and answers its centroid; for a location outside every cell it
    answers the nearest centroid. A head that always predicts the true cell has these scores with the centroid decoder.

    Attributes:
        kind: kind of the partition.
        n_cells: C.
        ceiling: what the oracle reaches.
        seen: whether the locations are those that the partition was fitted on.
        fallback: share whose cell is only the nearest by the partition's rule.
        outside: share in no cell.
        count_min: fewest training locations in a cell.
        count_median: median over the cells.
        count_max: most training locations in a cell.
        count_gini: Gini coefficient of the counts: 0 when all cells have equally many, towards 1 when few have all.
        n_training: training locations in all cells.
        n_single: cells with one training location.
        weight_min: least class weight of inverse cell frequency, the mean over training locations being 1.
        weight_max: largest class weight, before any cap.
        radius_km_median: median over the cells of the distance from the centroid to its farthest training location;
            None when it is known of no cell, as for cells of others' files.
        radius_km_max: the largest; None likewise.
        area_km2_min: least area of a cell, without the places that it only gets by fallback.
        area_km2_median: median over the cells.
        area_km2_max: the largest.
        dim: D; None when it is not known.
        n_parameters: of a head on it: C D + C of the Linear, 2 D of the LayerNorm; None likewise.
        countries: country -> what the oracle reaches there; empty when countries are not known.
        partition_sha256: which partition.
        clustered_by: what the locations of a cluster share, over which intervals are taken.
    """

    kind: str
    n_cells: int
    ceiling: Ceiling
    seen: bool
    fallback: float
    outside: float
    count_min: int
    count_median: float
    count_max: int
    count_gini: float
    n_training: int
    n_single: int
    weight_min: float
    weight_max: float
    radius_km_median: float | None
    radius_km_max: float | None
    area_km2_min: float
    area_km2_median: float
    area_km2_max: float
    dim: int | None
    n_parameters: int | None
    countries: dict[str, Ceiling]
    partition_sha256: str
    clustered_by: str

    @property
    def n_locations(self) -> int:
        """P audited locations."""
        return self.ceiling.n_locations

    @property
    def within(self) -> dict[int, float]:
        """Radius in km -> share of the locations at most that far from the oracle's answer."""
        return self.ceiling.within

    @property
    def balscore(self) -> float:
        """The oracle's balscore."""
        return self.ceiling.balscore

    @property
    def median_km(self) -> float:
        """The median distance from the oracle's answer."""
        return self.ceiling.median_km

    @property
    def mean_km(self) -> float:
        """The mean distance from the oracle's answer."""
        return self.ceiling.mean_km

    @property
    def intervals(self) -> dict[str, tuple[float, float]]:
        """The 95 % interval of each of them, over clusters of locations."""
        return self.ceiling.intervals

    @property
    def advice(self) -> tuple[str, ...]:
        """One sentence per problem; no two of them contradict each other."""
        return tuple(_advice(self))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, the ceiling's keys among the others; radii become strings."""
        value = asdict(self)
        del value["ceiling"]
        countries = {name: ceiling.to_dict() for name, ceiling in self.countries.items()}
        return {**value, **self.ceiling.to_dict(), "countries": countries, "advice": list(self.advice)}

    def __repr__(self) -> str:
        """Return the oracle's balscore, and what it is of."""
        balscore = share_text(self.balscore, self.intervals["balscore"])
        return (
            f"<Audit of {self.kind}: {counted(self.n_cells, 'cell')}, balscore of the oracle on "
            f"{counted(self.n_locations, 'location')} {balscore}, median {km_text(self.median_km)}>"
        )

    def _repr_html_(self) -> str:
        rows = [
            (score_label(name), score_text(name, value), interval_text(name, self.intervals.get(name)))
            for name, value in flat_scores(self.ceiling.to_dict()).items()
        ]
        worst = sorted(self.countries.items(), key=lambda item: (item[1].balscore, item[0]))[:5]
        countries = [
            (name, f"{found.n_locations:,}", share_text(found.balscore), km_text(found.median_km))
            for name, found in worst
        ]
        facts = [
            ("cells", f"{self.n_cells:,}"),
            ("in a cell", f"{self.count_min:,} to {self.count_max:,} training locations, median {self.count_median:g}"),
            ("with one location", f"{self.n_single:,}"),
            ("radius, median", "" if self.radius_km_median is None else km_text(self.radius_km_median)),
            ("area, median", f"{self.area_km2_median:,.0f} km²"),
            ("audited locations", f"{self.n_locations:,}{', those of the fit' if self.seen else ''}"),
            ("fallback, outside", f"{share_text(self.fallback)}, {share_text(self.outside)}"),
            ("parameters of a head", "" if self.n_parameters is None else f"{self.n_parameters:,}"),
        ]
        tables = [
            TextTable(("oracle", "", "95 % interval"), rows),
            TextTable(("lowest countries", "locations", "balscore", "median"), countries, total=len(countries)),
        ]
        return Display(f"Audit of {self.kind}: what an oracle reaches", facts, tables, notes=self.advice).html()

    def __str__(self) -> str:
        """Return some lines for people, in percent, and the advice."""
        within = "  ".join(f"{radius} km {share:.1%}" for radius, share in self.within.items())
        low, high = self.intervals["balscore"]
        median, largest = self.radius_km_median, self.radius_km_max
        radius = "unknown" if median is None else f"{median:.1f} km in the median, {largest:.0f} km at most"
        lines = [
            f"{self.kind}: {counted(self.n_cells, 'cell')} with {self.count_min} to "
            f"{counted(self.count_max, 'training location')}, median {self.count_median:g}; {self.n_single} with one",
            f"oracle on {counted(self.n_locations, 'location')}: balscore {100 * self.balscore:.1f}, "
            f"95 % interval over {clusters_text(self.clustered_by, self.ceiling.n_clusters)} {100 * low:.1f} to "
            f"{100 * high:.1f}, "
            f"median {self.median_km:.1f} km, mean {self.mean_km:.1f} km",
            f"within  {within}",
            f"by fallback {self.fallback:.1%}, outside {self.outside:.1%}",
            f"class weights {self.weight_min:.2g} to {self.weight_max:.3g}, Gini of the counts {self.count_gini:.2f}",
            f"radius of a cell {radius}",
            f"area of a cell {self.area_km2_min:,.0f} to {self.area_km2_max:,.0f} km², "
            f"median {self.area_km2_median:,.0f} km²",
        ]
        if self.n_parameters is not None:
            lines.append(f"a head on {self.dim:,} features has {self.n_parameters:,} parameters")
        return "\n".join([*lines, *self.advice])


def audit(
    partition: Partition,
    latlon: ArrayLike | Locations,
    countries: ArrayLike | None = None,
    dim: int | None = None,
) -> Audit:
    """Measure the ceiling of a partition on locations, best on ones that it was not fitted on.

    Args:
        partition: one that assigns.
        latlon: (P, 2) degrees, P >= 1; or P locations, which know their countries and D as well.
        countries: (P,) country of each location; an empty or missing one is left out of the ceilings by country.
        dim: D of the features that a head would get; that of the locations when omitted. Without either the number of
            its parameters is not known.

    Raises:
        ValueError: when there are no locations, a country is missing, the partition only decodes, or `dim` is no whole
            number of at least 1.
    """
    if isinstance(latlon, Locations):
        countries = latlon.columns.get(COUNTRY) if countries is None else countries
        dim = latlon.encoder.dim if dim is None else dim
        latlon = latlon.latlon
    require_dim(dim)
    places = as_latlon(latlon, "locations")
    if len(places) == 0:
        raise ValueError("an audit needs at least one location, got none.")
    assignment = partition.locate(places)
    outside = assignment.cells == OUTSIDE
    cells = assignment.cells.copy()
    cells[outside] = partition.nearest(places[outside])
    distances = distance_km(places, partition.centroids[cells])
    clusters = Clusters.of_places(places)
    counts = partition.counts
    weights = class_weights(counts)[counts > 0] if counts.any() else np.zeros(1)
    areas = class_areas_km2(partition)
    radii = partition.radius_km[np.isfinite(partition.radius_km)]
    return Audit(
        kind=partition.kind,
        n_cells=len(partition),
        ceiling=Ceiling.from_distances(distances, clusters),
        seen=partition.fitted_on.get("sha256") == places_sha256(places),
        fallback=float(assignment.fallback.mean()),
        outside=float(outside.mean()),
        count_min=int(counts.min()),
        count_median=float(np.median(counts)),
        count_max=int(counts.max()),
        count_gini=gini(counts),
        n_training=int(counts.sum()),
        n_single=int((counts == 1).sum()),
        weight_min=float(weights.min()),
        weight_max=float(weights.max()),
        radius_km_median=float(np.median(radii)) if len(radii) else None,
        radius_km_max=float(radii.max()) if len(radii) else None,
        area_km2_min=float(areas.min()),
        area_km2_median=float(np.median(areas)),
        area_km2_max=float(areas.max()),
        dim=dim,
        n_parameters=None if dim is None else len(partition) * (dim + 1) + 2 * dim,
        countries={} if countries is None else _by_country(distances, countries, clusters),
        partition_sha256=partition.sha256,
        clustered_by=clusters.by,
    )


def require_dim(dim: int | None) -> None:
    """Refuse a number of features that cannot be.

    Raises:
        ValueError: when it is no whole number of at least 1.
    """
    if dim is not None and (not isinstance(dim, int | np.integer) or isinstance(dim, bool) or dim < 1):
        raise ValueError(
            f"dim must be a whole number of at least 1, got {dim!r}: pass the number of features of the encoder, "
            "or leave it out where the locations have features."
        )


def gini(counts: ArrayLike) -> float:
    """Return the Gini coefficient of (C,) counts: half the mean absolute difference of two, over their mean.

    >>> gini([1, 1, 1, 1]), gini([0, 0, 0, 4])
    (0.0, 0.75)
    """
    n = np.sort(np.asarray(counts, dtype=np.float64))
    if not n.sum() > 0:
        return 0.0
    return float((2 * np.arange(1, len(n) + 1) - len(n) - 1) @ n / (len(n) * n.sum()))


def _by_country(distances: Floats, countries: ArrayLike, clusters: Clusters) -> dict[str, Ceiling]:
    if np.size(countries) != len(distances):
        raise ValueError(f"countries must name one for each of {len(distances)} locations, got {np.size(countries)}.")
    return {
        name: Ceiling.from_distances(distances[there], clusters.take(there)) for name, there in named_groups(countries)
    }


def _advice(audit: Audit) -> Iterator[str]:
    coarse = audit.within[25] < _WITHIN_25
    if audit.seen:
        yield (
            "These are the locations that the partition was fitted on, which lie in known cells: audit others too, "
            "with --split val."
        )
    yield from _count_advice(audit, coarse)
    if audit.outside > _LOST_SHARE:
        yield (
            f"{audit.outside:.1%} of the locations are outside every cell: no head can learn them; fit the partition "
            "on locations, or on boundaries, that cover them."
        )
    if audit.fallback > _LOST_SHARE:
        yield (
            f"{audit.fallback:.1%} of the locations get a cell only by the fallback rule: they lie where the partition "
            "saw no training locations, or beside its boundaries; fit it on more"
            f"{'' if coarse else ', or take larger cells'}."
        )
    if coarse:
        yield f"Even the oracle is within 25 km for {audit.within[25]:.1%} of the locations only: {_remedy(audit)}."


def _is_sparse(audit: Audit) -> bool:
    return audit.n_single > _SINGLE_SHARE * audit.n_cells or 0 < audit.count_median < _FEW


def _count_advice(audit: Audit, coarse: bool) -> Iterator[str]:
    """Yield what is off with the numbers of training locations; larger cells are no remedy where cells are `coarse`."""
    cells = counted(audit.n_cells, "cell")
    remedy = "collect more training locations" if coarse else "raise --min-count"
    if audit.n_single > _SINGLE_SHARE * audit.n_cells:
        have = "has" if audit.n_single == 1 else "have"
        yield f"{audit.n_single:,} of {cells} {have} one training location: {remedy}."
    elif _is_sparse(audit):
        yield (
            f"Half of the {cells} have at most {audit.count_median:g} training locations: {remedy}"
            f"{'' if coarse else ', or take fewer cells'}."
        )
    if audit.count_max > _LARGEST_SHARE * audit.n_training and audit.n_cells > 2 / _LARGEST_SHARE:
        yield (
            f"One of {cells} has {audit.count_max / audit.n_training:.0%} of the training locations: "
            "take a kind that splits full cells."
        )
    if audit.weight_max > _WEIGHT_RATIO * max(audit.weight_min, 1e-300):
        yield (
            f"Inverse-frequency class weights run from {audit.weight_min:.2g} to {audit.weight_max:.3g}: "
            f"keep --weight-cap low{'' if coarse else ', or raise --min-count'}."
        )


def _remedy(audit: Audit) -> str:
    """Return why the oracle is far away, and what helps, so that no other advice says the opposite."""
    missed = 1.0 - audit.within[25]
    if audit.outside + audit.fallback >= missed / 2:
        return "most of the others lie where there is no cell of their own, so smaller cells would not help"
    if _is_sparse(audit):
        return "smaller cells would help, and need more training locations"
    reach = audit.radius_km_median
    if reach is None or reach < 1:  # of others' files, and of cells with one location
        return "take smaller cells"
    return (
        f"take smaller cells; half of the {audit.n_cells:,} cells reach {reach:.0f} km or farther from their centroid"
    )
