"""Semantic cells, PIGEON's idea: administrative regions, the dense ones split where their locations cluster."""

# No postponed annotations here, see partitioner.py.

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from geocell.geo.geodesy import Floats, latlon_from_unit, unit_vectors
from geocell.geo.shapes import Geometries
from geocell.partitioners.lloyd import kmeans_centres
from geocell.partitioners.merging import Ints
from geocell.partitioners.polygon_rule import PolygonRule
from geocell.partitioners.polygons import PolygonsPartitioner
from geocell.partitioners.rule import (
    OUTSIDE,
    Level,
    RawAssignment,
    Rule,
    blocks,
    canonical_latlon,
    level_of,
    locate_all,
    run_starts,
    workers_for,
)
from geocell.partitioners.seeding import squared_distances
from geocell.partitioners.validation import distinct_places, items
from geocell.partitioners.voronoi import voronoi_polygons

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

_MAX_CLUSTERED = 2_000  # locations of one cell used for density clustering, whose cost is quadratic
_MAX_NEIGHBOURS = 30  # used for a density estimate, at most; the cost grows with them
_MAX_LEAF = 16  # centres in a leaf of a `cKDTree`, at most
_MAX_ROUNDS = 64  # each splits all crowded cells; halving ends after a few dozen


@dataclass(frozen=True, eq=False)
class SemanticRule(Rule):
    """The region of a location, and in a region that was split the nearest of its centres.

    Attributes:
        polygons: the regions.
        split: region -> (n, 2) degrees of its centres, n >= 2, sorted by latitude, then longitude.
    """

    polygons: PolygonRule
    split: Mapping[int, Floats]

    nearest_when_unseen: ClassVar[bool] = False

    @cached_property
    def _sizes(self) -> Ints:
        """(regions,) number of cells in each region."""
        sizes = np.ones(len(self.polygons.codes), dtype=np.int64)
        for region, centres in self.split.items():
            sizes[region] = len(centres)
        return sizes

    @cached_property
    def _firsts(self) -> Ints:
        """(regions,) first cell of each region."""
        return np.cumsum(self._sizes) - self._sizes

    @cached_property
    def _regions(self) -> Ints:
        """(R,) region of each cell."""
        return np.repeat(np.arange(len(self._sizes)), self._sizes)

    def _texts(self, texts: tuple[str, ...], separator: str, first: int) -> tuple[str, ...]:
        found: list[str] = []
        for text, size in zip(texts, self._sizes.tolist(), strict=True):
            width = len(str(size - 1 + first))
            found += [text] if size == 1 else [f"{text}{separator}{i + first:0{width}d}" for i in range(size)]
        return tuple(found)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """(R,) identifier of the region, with "/0", "/1", … where it was split."""
        return self._texts(self.polygons.codes, "/", 0)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """(R,) name of the region, numbered from 1 where it was split."""
        return self._texts(self.polygons.titles, " ", 1)

    @cached_property
    def levels(self) -> dict[str, Level]:
        """The regions, and the larger regions where the layer has them."""
        codes, parents = np.array(self.polygons.codes), np.array(self.polygons.parents)
        larger = {"parent": level_of(parents[self._regions])} if len(parents) else {}
        return {**larger, "region": level_of(codes[self._regions])}

    @property
    def families(self) -> list[Ints]:
        """(R,) region of each cell, then the larger region."""
        return [level.groups for level in reversed(self.levels.values())]

    @cached_property
    def anchors(self) -> Floats:
        """(R, 2) degrees: the centre of a cell in a region that was split, a point inside one that was not."""
        anchors = self.polygons.anchors[self._regions]
        for region, centres in self.split.items():
            anchors[self._regions == region] = centres
        return anchors

    @property
    def outside_rule(self) -> str:
        """What happens to a location in no known cell."""
        return f"{self.polygons.outside_rule} In a region that was split it gets the cell with the nearest centre."

    def locate(self, latlon: Floats) -> RawAssignment:
        """Return the raw cells of (P, 2) degrees."""
        return self.locate_in(self.polygons.locate(latlon), latlon)

    def locate_in(self, found: RawAssignment, latlon: Floats) -> RawAssignment:
        """Return the raw cells of (P, 2) degrees whose regions are found."""
        inside = np.flatnonzero(found.cells != OUTSIDE)
        cells = found.cells.copy()
        cells[inside] = self._firsts[found.cells[inside]]
        rows = inside[self._sizes[found.cells[inside]] > 1]
        if len(rows):
            tree, split_cells = self._centre_tree
            places = _apart(unit_vectors(latlon[rows]), found.cells[rows])
            cells[rows] = split_cells[np.asarray(tree.query(places, workers=workers_for(len(places)))[1])]
        return RawAssignment(cells, found.fallback)

    @cached_property
    def _centre_tree(self) -> "tuple[cKDTree, Ints]":
        """Tree over the centres of all regions that were split, and the cell of each."""
        from scipy.spatial import cKDTree

        cells = np.flatnonzero(self._sizes[self._regions] > 1)
        return cKDTree(_apart(unit_vectors(self.anchors[cells]), self._regions[cells])), cells

    def cell_polygons(self) -> Geometries:
        """Return the (R,) regions, cut along the borders between the centres of those that were split."""
        cells = self.polygons.shapes[self._regions]
        for region, centres in self.split.items():
            first = self._firsts[region]
            cells[first : first + len(centres)] = voronoi_polygons(centres, self.polygons.shapes[region])
        return cells

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form; the polygons are in their own file."""
        split = {self.polygons.codes[region]: centres.tolist() for region, centres in sorted(self.split.items())}
        return {**self.polygons.to_json(), "split": split}

    def write_files(self, folder: Path) -> None:
        """Write the regions as GeoJSON."""
        self.polygons.write_files(folder)

    @classmethod
    def from_json(cls, value: Mapping[str, Any], folder: Path) -> "SemanticRule":
        """Read the JSON form and the regions beside it."""
        polygons = PolygonRule.from_json(value, folder)
        region = {code: i for i, code in enumerate(polygons.codes)}
        if not isinstance(value.get("split"), Mapping):
            raise ValueError(  # noqa: TRY004 - a file is damaged
                "'split' must give the centres of each region that was split"
            )
        split = {region[code]: _read_centres(value["split"], code) for code in value["split"]}
        return cls(polygons, split)


def _read_centres(split: Mapping[str, Any], code: str) -> Floats:
    return distinct_places(items(split, code, least=2), f"the centres of {code!r:.40}")


@dataclass(frozen=True)
class SemanticPartitioner(PolygonsPartitioner):
    """Regions of a polygon layer, split where their locations cluster, in the order of their identifiers.

    A region with more than `max_count` locations is split into the Voronoi cells of its density clusters (HDBSCAN on
    unit vectors), and these again while they have more; where there are none, by K-Means into halves, and those into
    halves again. Cells with fewer than `min_count` are merged inside their region, else inside its larger region. So
    `max_count` says what is split and bounds nothing: a cell that takes in small ones may have more, and so do
    coinciding locations. PIGEON (Haas et al. 2023) has 30 and 60 for street view, 1000 and 2000 for the world.

    Attributes:
        max_count: a region or cell with more training locations is split; it may end up with more by taking in
            small ones.
        min_count: cells with fewer training locations are small; also the least size of a cluster.
    """

    kind: ClassVar[str] = "semantic"
    rule_type: ClassVar[type[Rule]] = SemanticRule

    max_count: int = 60
    min_count: int = field(default=30, kw_only=True)

    def __post_init__(self) -> None:
        """Check the parameters."""
        super().__post_init__()
        self._require_int("max_count", 1)

    def make_rule(self, latlon: Floats) -> SemanticRule:
        """Return the rule for (P, 2) training locations.

        Raises:
            FileNotFoundError: when there is no layer.
            ValueError: when it is not one.
        """
        return SemanticPartitioner.make_assigned(self, latlon)[0]

    def make_assigned(self, latlon: Floats) -> tuple[SemanticRule, RawAssignment]:
        """Return the rule, and the raw cells of the training locations in the regions it splits."""
        polygons = self.read_polygons()
        found = locate_all(polygons, latlon)
        region = found.cells
        inside = np.flatnonzero(region != OUTSIDE)
        counts = np.bincount(region[inside], minlength=len(polygons.codes))
        members = [inside[rows] for rows in _members(region[inside], counts)]
        crowded = np.flatnonzero(counts > self.max_count).tolist()
        pieces = {r: voronoi_centres(latlon[members[r]], self.min_count, self.max_count) for r in crowded}
        rule = SemanticRule(polygons, {r: centres for r, centres in pieces.items() if len(centres) > 1})
        if len(set(rule.names)) != len(rule.names):
            raise self._error(
                f"{self.id_column} must not hold both X and X/0 for a region X that is split: rename one."
            )
        return rule, rule.locate_in(found, latlon)


def voronoi_centres(latlon: Floats, min_count: int, max_count: int) -> Floats:
    """Return centres such that few of their Voronoi cells hold more than `max_count` locations.

    All crowded cells are split at once, until there is none; a cell whose locations coincide stays. Where a cell has no
    density clusters, its halves are halved again and not searched: of 2,372 halves 4 had any.

    Args:
        latlon: (P, 2) degrees, sorted.
        min_count: least size of a density cluster.
        max_count: a cell with more is split.

    Returns:
        (n, 2) degrees, sorted by latitude, then longitude.
    """
    vectors = unit_vectors(latlon)
    centres = [(latlon_from_unit(vectors.mean(axis=0)), True)]  # and whether to search for clusters there
    final: set[tuple[float, ...]] = set()
    for _ in range(_MAX_ROUNDS):
        nearest = _nearest(vectors, np.array([centre for centre, _ in centres]))
        counts = np.bincount(nearest, minlength=len(centres))
        crowded = [
            n > max_count and tuple(centre) not in final
            for n, (centre, _) in zip(counts.tolist(), centres, strict=True)
        ]
        if not any(crowded):
            break
        members = _members(nearest, counts)
        kept = [pair for i, pair in enumerate(centres) if counts[i] > 0 and not crowded[i]]
        for i in np.flatnonzero(crowded).tolist():
            centre, searched = centres[i]
            inside, of_inside = latlon[members[i]], vectors[members[i]]
            clusters = _clusters(of_inside, min_count) if searched else None
            parts = _halves(inside, of_inside) if clusters is None else clusters
            if parts is None:
                final.add(tuple(centre))
            kept += [(centre, False)] if parts is None else [(part, clusters is not None) for part in parts]
        centres = kept
    return np.unique(canonical_latlon(np.array([centre for centre, _ in centres])), axis=0)


def _members(groups: Ints, counts: Ints) -> list[Ints]:
    """Return the rows of each group, ascending, of (P,) groups that have (n,) rows each."""
    narrow = np.uint16 if len(counts) <= np.iinfo(np.uint16).max else np.int64  # numpy sorts 16 bits by their digits
    return np.split(np.argsort(groups.astype(narrow), kind="stable"), np.cumsum(counts)[:-1])


def _clusters(vectors: Floats, min_count: int) -> Floats | None:
    """Return the centres of the density clusters of a cell's unit vectors; None without two that divide them."""
    step = -(-len(vectors) // _MAX_CLUSTERED)
    labels = _density_clusters(vectors[::step], max(2, min_count // step))
    clusters = [vectors[::step][labels == label].mean(axis=0) for label in range(labels.max() + 1)]
    centres = np.unique(latlon_from_unit(np.array(clusters)), axis=0) if len(clusters) > 1 else np.empty((0, 2))
    return None if len(centres) < 2 or len(np.unique(_nearest(vectors, centres))) < 2 else centres


def _halves(latlon: Floats, vectors: Floats) -> Floats | None:
    """Return the centres of two K-Means clusters of a cell's sorted locations; None when they coincide.

    Args:
        latlon: (P, 2) degrees, sorted.
        vectors: (P, 3) unit vectors of them.
    """
    starts = run_starts(latlon.view(np.complex128)[:, 0])
    if len(starts) < 2:
        return None
    weights = np.diff(np.append(starts, len(latlon)))
    return latlon_from_unit(kmeans_centres(vectors[starts], weights, 2, 0))


def _density_clusters(vectors: Floats, min_size: int) -> Ints:
    """Return the (P,) density cluster of unit vectors, -1 for those in none."""
    from sklearn import config_context
    from sklearn.cluster import HDBSCAN

    if len(vectors) <= min_size:
        return np.full(len(vectors), -1)
    clustering = HDBSCAN(min_cluster_size=min_size, min_samples=min(min_size, _MAX_NEIGHBOURS), copy=True)
    with config_context(assume_finite=True, skip_parameter_validation=True):  # a fifth of the time of small cells
        return np.asarray(clustering.fit_predict(vectors), dtype=np.int64)


def _apart(vectors: Floats, regions: Ints) -> Floats:
    """Return (P, 4) points: the fourth coordinate keeps regions farther apart than any two points on the earth."""
    return np.column_stack((vectors, 4.0 * regions))


def _nearest(vectors: Floats, centres: Floats) -> Ints:
    """Return the (P,) nearest of (n, 2) centres to unit vectors, the first of equally near ones.

    That is the one `cKDTree` finds while it has one leaf, at a fraction of the time; with more it is the faster one.
    """
    from scipy.spatial import cKDTree

    others = unit_vectors(centres)
    if len(others) > _MAX_LEAF:
        return np.asarray(cKDTree(others).query(vectors)[1], dtype=np.int64)
    nearest = np.zeros(len(vectors), dtype=np.int64)
    for rows in blocks(len(vectors) if len(others) > 1 else 0):
        columns = np.ascontiguousarray(vectors[rows].T)
        least = squared_distances(columns, others[0])
        for i, centre in enumerate(others[1:], start=1):
            squares = squared_distances(columns, centre)
            nearest[rows][squares < least] = i
            np.minimum(least, squares, out=least)
    return nearest
