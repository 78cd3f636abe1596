"""What a kind of partition has to say: which raw cell a location is in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geocell.geo.geodesy import Floats
from geocell.geo.shapes import Geometries, areas_km2
from geocell.partitioners.merging import Ints

Bools = NDArray[np.bool_]

_FEW = 50_000

OUTSIDE: int = int(np.iinfo(np.int64).min)
"""The cell of a location that is in none: indexing with it raises, where -1 would silently mean the last cell."""


class RawAssignment(NamedTuple):
    """Which raw cell each location is in: (P,) int64 with OUTSIDE, and (P,) whether it only lies near."""

    cells: Ints
    fallback: Bools


class Level(NamedTuple):
    """A coarser cut of the same earth: (G,) names of its groups, ascending, and the (R,) group of each cell."""

    names: tuple[str, ...]
    groups: Ints


def level_of(groups: Sequence[Hashable] | NDArray[Any], name: Callable[[Any], str] = str) -> Level:
    """Return the level of (R,) groups given as anything that sorts like their names do.

    Args:
        groups: (R,) group of each cell.
        name: gives the name of a group.
    """
    distinct, index = np.unique(np.asarray(groups), return_inverse=True)
    return Level(tuple(map(name, distinct.tolist())), np.asarray(index, dtype=np.int64))


class Rule(ABC):
    """Says which raw cell a location is in. Raw cells have a canonical order; `names` follows it."""

    nearest_when_unseen: ClassVar[bool] = True
    """Whether a location in no raw cell, or in one without training locations, gets the class with the nearest
    centroid; else it is OUTSIDE, or has the class that its raw cell was merged into."""

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
        """(R,) names for people."""
        return self.names

    @property
    def levels(self) -> dict[str, Level]:
        """The coarser cuts that the raw cells nest in, from coarse to fine; none for a kind without a hierarchy."""
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

        A side that is a great circle is made of short straight ones. A cell without any area is an empty polygon.
        """

    def cell_areas_km2(self) -> Floats:
        """Return the (R,) areas of the raw cells."""
        return areas_km2(self.cell_polygons())

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Return what `from_json` needs; equal rules give equal JSON, and only they do."""

    @classmethod
    @abstractmethod
    def from_json(cls, value: Mapping[str, Any], folder: Path) -> Rule:
        """Read the JSON form, and what `write_files` put into `folder`."""

    def write_files(self, folder: Path) -> None:  # noqa: B027 - most kinds need no files
        """Write what does not fit into JSON into an existing folder."""


def workers_for(n: int) -> int:
    """Return how many threads ask a tree about n places, -1 for all: with few, threads cost more than they save."""
    return 1 if n < _FEW else -1


def canonical_latlon(latlon: Floats) -> Floats:
    """Write each place in one way: longitude in [-180, 180), 0 at the poles, no negative zero."""
    lat, lon = latlon[:, 0], latlon[:, 1]
    lon = np.where(lon == 180.0, -180.0, lon)
    lon = np.where(np.abs(lat) == 90.0, 0.0, lon)
    return np.stack((lat, lon), axis=1) + 0.0
