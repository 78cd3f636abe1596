"""K-Means clusters of unit vectors, assigned to the nearest centre."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from geocell.geo.geodesy import Floats, latlon_from_unit, unit_vectors
from geocell.geo.shapes import Geometries
from geocell.partitioners.lloyd import kmeans_centres
from geocell.partitioners.partitioner import Partitioner
from geocell.partitioners.rule import RawAssignment, Rule, canonical_latlon, locate_all, workers_for
from geocell.partitioners.s2ids import s2_ids
from geocell.partitioners.validation import distinct_places, items
from geocell.partitioners.voronoi import voronoi_polygons

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

MAX_CLUSTERED = 1_000_000
"""Locations that K-Means is fitted on at most."""


@dataclass(frozen=True, eq=False)
class KMeansRule(Rule):
    """The nearest of R centres.

    Attributes:
        places: (R, 2) degrees of the centres, sorted by latitude, then longitude.
    """

    places: Floats

    has_centres: ClassVar[bool] = True

    @cached_property
    def names(self) -> tuple[str, ...]:
        """(R,) "k0000", … in the order of the centres."""
        width = len(str(len(self.places) - 1))
        return tuple(f"k{i:0{width}d}" for i in range(len(self.places)))

    @property
    def centres(self) -> Floats:
        """(R, 2) degrees of the centres."""
        return self.places

    @property
    def outside_rule(self) -> str:
        """What happens to a location in no known cell."""
        return "Every location gets the cell of the nearest cluster centre; nothing is outside."

    @cached_property
    def _tree(self) -> cKDTree:
        from scipy.spatial import cKDTree

        return cKDTree(unit_vectors(self.places))

    def locate(self, latlon: Floats) -> RawAssignment:
        """Return the raw cells of (P, 2) degrees."""
        nearest = np.asarray(
            self._tree.query(unit_vectors(latlon), workers=workers_for(len(latlon)))[1], dtype=np.int64
        )
        return RawAssignment(nearest, np.zeros(len(latlon), dtype=np.bool_))

    def cell_polygons(self) -> Geometries:
        """Return the (R,) Voronoi cells of the centres."""
        return voronoi_polygons(self.places)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"centres": self.places.tolist()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], folder: Path) -> KMeansRule:  # noqa: ARG003 - needs no files
        """Read the JSON form."""
        return cls(distinct_places(items(value, "centres"), "'centres'"))


@dataclass(frozen=True)
class KMeansPartitioner(Partitioner):
    """Voronoi cells of K-Means centres on the sphere, ordered by the latitude, then longitude of the centre.

    Clusters unit vectors, since a degree of longitude is 91 km at 35°N and 47 km at 65°N: every location up to a
    million, a sample of a million above that, which `fitted_on` says.

    Attributes:
        k: number of clusters; clusters that end up empty are dropped, so there may be fewer cells.
        seed: of the first centres and of samples.
    """

    kind: ClassVar[str] = "kmeans"
    rule_type: ClassVar[type[Rule]] = KMeansRule

    k: int
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the parameters."""
        super().__post_init__()
        self._require_int("k", 1)
        self._require_int("seed", 0, 2**32 - 1)

    def notes(self, n_locations: int) -> dict[str, Any]:
        """Return how many of the locations K-Means saw."""
        return {"n_clustered": min(n_locations, MAX_CLUSTERED)}

    def make_rule(self, latlon: Floats) -> KMeansRule:
        """Return the rule for (P, 2) training locations.

        Raises:
            ValueError: when there are fewer distinct locations than clusters.
        """
        return KMeansPartitioner.make_assigned(self, latlon)[0]

    def make_assigned(self, latlon: Floats) -> tuple[KMeansRule, RawAssignment]:
        """Return the rule, and the nearest centre of every training location, which decides what centres are kept."""
        seen = latlon
        if len(latlon) > MAX_CLUSTERED:
            rows = np.random.default_rng(self.seed).choice(len(latlon), MAX_CLUSTERED, replace=False)
            seen = latlon[np.sort(rows)]
        new = np.ones(len(seen), dtype=np.bool_)  # equal locations follow each other
        new[1:] = (seen[1:] != seen[:-1]).any(axis=1)
        first = np.flatnonzero(new)
        if self.k > len(first):
            raise self._error(f"k must be at most the number of distinct locations, {len(first)}, got {self.k}.")
        cells = s2_ids(seen[first])
        order = np.argsort(cells, kind="stable")  # along a Hilbert curve, where neighbours are near
        weights = np.diff(np.append(first, len(seen)))[order]
        centres = kmeans_centres(unit_vectors(seen[first[order]]), weights, self.k, self.seed, cells[order])
        places = np.unique(canonical_latlon(latlon_from_unit(centres)), axis=0)
        # The centre of a cluster is not always nearest to any of the locations: those without any are dropped.
        nearest, fallback = locate_all(KMeansRule(places), latlon)
        used = np.bincount(nearest, minlength=len(places)) > 0
        return KMeansRule(places[used]), RawAssignment((np.cumsum(used) - 1)[nearest], fallback)
