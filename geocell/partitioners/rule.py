"""The interface of a kind of partition: the rule that assigns locations to raw cells."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geocell.compute.cores import usable_cores
from geocell.compute.engines import over_rows
from geocell.geo.geodesy import Floats
from geocell.geo.shapes import Geometries, areas_km2
from geocell.partitioners.merging import Ints

Bools = NDArray[np.bool_]

_FEW = 50_000
BLOCK = 1 << 15
"""Locations whose cells are found at a time: what is computed on the way stays in the cache of a core."""

OUTSIDE: int = int(np.iinfo(np.int64).min)
"""The cell of a location outside every cell: indexing with it raises, where -1 would silently mean the last cell."""


class RawAssignment(NamedTuple):
    """The raw cell of each location: (P,) int64 or OUTSIDE, and (P,) bool whether it is only the nearest cell."""

    cells: Ints
    fallback: Bools


class Level(NamedTuple):
    """A coarser level of the hierarchy: (G,) names of its groups, ascending, and the (R,) group of each cell."""

    names: tuple[str, ...]
    groups: Ints


def level_of(groups: Sequence[Hashable] | NDArray[Any], name: Callable[[Any], str] = str) -> Level:
    """Return the level of (R,) groups, given as any values that sort in the order of their names.

    Args:
        groups: (R,) group of each cell.
        name: returns the name of a group.
    """
    distinct, index = np.unique(np.asarray(groups), return_inverse=True)
    return Level(tuple(map(name, distinct.tolist())), np.asarray(index, dtype=np.int64))


class Rule(ABC):
    """Assigns locations to raw cells, which have a canonical order: that of `names`."""

    nearest_when_unseen: ClassVar[bool] = True
    """Whether a location in no raw cell, or in one without training locations, gets the class with the nearest
    centroid; otherwise it is OUTSIDE, or has the class that its raw cell was merged into."""

    has_centres: ClassVar[bool] = False
    """Whether the kind has `centres`."""

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """(R,) distinct names."""

    @property
    @abstractmethod
    def outside_rule(self) -> str:
        """One sentence: what happens to a location in no known cell."""

    @property
    def labels(self) -> tuple[str, ...]:
        """(R,) human-readable names."""
        return self.names

    @property
    def levels(self) -> dict[str, Level]:
        """The levels above the raw cells, from coarse to fine; empty for a kind without a hierarchy."""
        return {}

    @property
    def families(self) -> Sequence[Ints]:
        """(R,) group of each raw cell, from fine to coarse: a small cell is merged inside the first that has others."""
        return ()

    @property
    def centres(self) -> Floats | None:
        """(R, 2) degrees: the middle of each raw cell, for kinds whose cells have one."""
        return None

    @property
    def anchors(self) -> Floats | None:
        """(R, 2) degrees: where each raw cell lies, for kinds whose cells may hold no training location."""
        return self.centres

    @abstractmethod
    def locate(self, latlon: Floats) -> RawAssignment:
        """Return the raw cells of (P, 2) validated degrees."""

    @abstractmethod
    def cell_polygons(self) -> Geometries:
        """Return the (R,) raw cells as valid polygons in (lon, lat) degrees, cut at ±180°.

        Sides that are great circles are approximated by short straight lines. A cell without area is an empty polygon.
        """

    def cell_areas_km2(self) -> Floats:
        """Return the (R,) areas of the raw cells."""
        return areas_km2(self.cell_polygons())

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` needs. Rules with the same JSON assign locations equally."""

    @classmethod
    @abstractmethod
    def from_json(cls, value: Mapping[str, Any], folder: Path) -> Rule:
        """Read the JSON form, and the files that `write_files` wrote into `folder`.

        The file may come from anybody: check types, ranges and sizes (`geocell.partitioners.validation`). Every
        exception becomes a DamagedFileError that names the file.
        """

    def write_files(self, folder: Path) -> None:  # noqa: B027 - most kinds need no files
        """Write `cells.geojson`, the one additional file that a partition or head may have, into a folder."""


def locate_all(rule: Rule, latlon: Floats) -> RawAssignment:
    """Return the raw cells of (P, 2) validated degrees, found wherever work is done; see `geocell.compute.engines`."""
    found: RawAssignment = over_rows(rule.locate, latlon)
    return found


def blocks(n: int) -> Iterator[slice]:
    """Yield the rows of n locations, `BLOCK` at a time."""
    for start in range(0, n, BLOCK):
        yield slice(start, min(start + BLOCK, n))


def run_starts(values: NDArray[Any]) -> Ints:
    """Return the first row of each run of equal values in a (P,) array."""
    return np.flatnonzero(np.append(np.ones(min(len(values), 1), dtype=np.bool_), values[1:] != values[:-1]))


def workers_for(n: int) -> int:
    """Return the number of threads to query a tree for n points: the usable cores; with few points one is faster."""
    return 1 if n < _FEW else usable_cores()


def canonical_latlon(latlon: Floats) -> Floats:
    """Return canonical coordinates: longitude in [-180, 180), 0 at the poles, no negative zero."""
    canonical = latlon + 0.0
    lat, lon = canonical[:, 0], canonical[:, 1]
    lon[lon == 180.0] = -180.0
    lon[np.abs(lat) == 90.0] = 0.0
    return canonical
