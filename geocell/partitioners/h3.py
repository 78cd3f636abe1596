"""H3 cells of one resolution (https://h3geo.org)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import repeat
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from geocell.compute.engines import over_rows
from geocell.geo.geodesy import Floats
from geocell.geo.shapes import Geometries, great_circle_polygons
from geocell.partitioners.merging import Ints
from geocell.partitioners.partitioner import Partitioner
from geocell.partitioners.rule import OUTSIDE, Level, RawAssignment, Rule, canonical_latlon, level_of, run_starts
from geocell.partitioners.validation import ascending, items, shown, texts, whole

_CHUNK = 1 << 20  # rows turned into Python floats at a time


def h3_indexes(latlon: Floats, resolution: int) -> NDArray[np.uint64]:
    """Return the (P,) H3 indexes of (P, 2) degrees."""
    found: NDArray[np.uint64] = over_rows(partial(_indexes, resolution=resolution), latlon)
    return found


def _indexes(latlon: Floats, resolution: int) -> NDArray[np.uint64]:
    from h3.api.numpy_int import latlng_to_cell

    indexes = np.empty(len(latlon), dtype=np.uint64)
    for start in range(0, len(latlon), _CHUNK):
        part = latlon[start : start + _CHUNK]
        cells = map(latlng_to_cell, part[:, 0].tolist(), part[:, 1].tolist(), repeat(resolution))
        indexes[start : start + _CHUNK] = np.fromiter(cells, dtype=np.uint64, count=len(part))
    return indexes


def h3_parents(indexes: NDArray[np.uint64], resolution: int) -> NDArray[np.uint64]:
    """Return the (R,) parents of H3 indexes at a resolution, and the index itself where it is not finer.

    An index holds its resolution in bits 52 to 55, and below them three bits per resolution, all ones where there is
    none (https://h3geo.org/docs/core-library/h3Indexing): a parent differs in those bits alone.
    """
    finer = h3_resolutions(indexes) > resolution
    unused = np.uint64((1 << (3 * (15 - resolution))) - 1)
    parents = (indexes & ~np.uint64(0xF << 52)) | np.uint64(resolution << 52) | unused
    return np.where(finer, parents, indexes)


def h3_resolutions(indexes: NDArray[np.uint64]) -> Ints:
    """Return the (R,) resolutions of H3 indexes."""
    return ((indexes >> np.uint64(52)) & np.uint64(0xF)).astype(np.int64)


def h3_centres(indexes: NDArray[np.uint64]) -> Floats:
    """Return the (R, 2) degrees of the centres of H3 cells."""
    from h3.api.numpy_int import cell_to_latlng

    return canonical_latlon(np.array([cell_to_latlng(i) for i in indexes.tolist()], dtype=np.float64).reshape(-1, 2))


def h3_polygons(indexes: NDArray[np.uint64]) -> Geometries:
    """Return the (R,) hexagons and pentagons of H3 cells in (lon, lat) degrees."""
    from h3.api.numpy_int import cell_to_boundary

    return great_circle_polygons([cell_to_boundary(index) for index in indexes.tolist()])


def read_h3_cells(names: Sequence[Any], coarsest: int, finest: int) -> NDArray[np.uint64]:
    """Return the (R,) H3 indexes of a file.

    Raises:
        ValueError: unless they are the usual strings of cells between two resolutions, ascending.
    """
    from h3.api.numpy_int import int_to_str, is_valid_cell, str_to_int

    indexes = np.empty(len(names), dtype=np.uint64)
    for i, name in enumerate(texts(names, "H3 cells")):
        index = str_to_int(name) if len(name) <= 16 else 0
        if not is_valid_cell(index) or int_to_str(index) != name:
            raise ValueError(f"'cells' must be H3 indexes, got {shown(name)}")
        indexes[i] = index
    resolutions = h3_resolutions(indexes)
    if not ((resolutions >= coarsest) & (resolutions <= finest)).all():
        raise ValueError(f"'cells' must have resolutions in [{coarsest}, {finest}]")
    return ascending(indexes, "H3 cells")


@dataclass(frozen=True, eq=False)
class H3Rule(Rule):
    """The H3 cells that have training locations.

    Attributes:
        resolution: H3 resolution.
        indexes: (R,) H3 indexes, ascending.
    """

    resolution: int
    indexes: NDArray[np.uint64]

    has_centres: ClassVar[bool] = True

    @cached_property
    def names(self) -> tuple[str, ...]:
        """(R,) H3 indexes as the usual hexadecimal strings."""
        from h3.api.numpy_int import int_to_str

        return tuple(map(int_to_str, self.indexes.tolist()))

    @property
    def outside_rule(self) -> str:
        """What happens to a location in no known cell."""
        return (
            "A location in an H3 cell that is not known gets the cell with the nearest centroid, flagged as "
            "fallback; nothing is outside."
        )

    @cached_property
    def levels(self) -> dict[str, Level]:
        """The parents of the cells at every lower resolution."""
        from h3.api.numpy_int import int_to_str

        resolutions = range(self.resolution)
        return {f"resolution_{r}": level_of(h3_parents(self.indexes, r), int_to_str) for r in resolutions}

    @cached_property
    def centres(self) -> Floats:
        """(R, 2) degrees: the centres of the cells."""
        return h3_centres(self.indexes)

    def locate(self, latlon: Floats) -> RawAssignment:
        """Return the raw cells of (P, 2) degrees."""
        return self.locate_indexes(h3_indexes(latlon, self.resolution))

    def locate_indexes(self, found: NDArray[np.uint64]) -> RawAssignment:
        """Return the raw cells of (P,) H3 indexes of this resolution."""
        cells = np.minimum(np.searchsorted(self.indexes, found), len(self.indexes) - 1)
        cells = np.where(self.indexes[cells] == found, cells, OUTSIDE)
        return RawAssignment(cells, np.zeros(len(found), dtype=np.bool_))

    def cell_polygons(self) -> Geometries:
        """Return the (R,) hexagons, and pentagons, that H3 draws."""
        return h3_polygons(self.indexes)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"resolution": self.resolution, "cells": list(self.names)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], folder: Path) -> H3Rule:  # noqa: ARG003 - needs no files
        """Read the JSON form."""
        resolution = whole(value, "resolution", 0, 15)
        return cls(resolution, read_h3_cells(items(value, "cells"), resolution, resolution))


@dataclass(frozen=True)
class H3Partitioner(Partitioner):
    """H3 cells of one resolution that have training locations, in the order of their index.

    Attributes:
        resolution: 0 to 15; a cell of resolution 4 is about 45 km wide.
    """

    kind: ClassVar[str] = "h3"
    rule_type: ClassVar[type[Rule]] = H3Rule

    resolution: int = 4

    def __post_init__(self) -> None:
        """Check the parameters."""
        super().__post_init__()
        self._require_int("resolution", 0, 15)

    def make_rule(self, latlon: Floats) -> H3Rule:
        """Return the rule for (P, 2) training locations."""
        return H3Partitioner.make_assigned(self, latlon)[0]

    def make_assigned(self, latlon: Floats) -> tuple[H3Rule, RawAssignment]:
        """Return the rule, and the raw cells of the training locations by the indexes it was made of."""
        found = h3_indexes(latlon, self.resolution)
        ordered = np.sort(found)
        rule = H3Rule(self.resolution, ordered[run_starts(ordered)])
        return rule, rule.locate_indexes(found)
