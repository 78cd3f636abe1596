"""H3 cells of several resolutions: fine where the locations are dense, coarse where they are not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from geocell.geo.geodesy import Floats
from geocell.geo.shapes import Geometries, areas_km2, great_circle_polygons
from geocell.partitioners.h3 import h3_centres, h3_indexes, h3_parents, h3_polygons, h3_resolutions, read_h3_cells
from geocell.partitioners.merging import Ints
from geocell.partitioners.partitioner import Partitioner
from geocell.partitioners.rule import OUTSIDE, Level, RawAssignment, Rule, level_of, run_starts
from geocell.partitioners.validation import items, whole

Indexes = NDArray[np.uint64]

_OUTLINE_DEPTH = 3  # resolutions; an outline then errs on less than a hundredth of its cell


@dataclass(frozen=True, eq=False)
class H3AdaptiveRule(Rule):
    """H3 cells of mixed resolution, none inside another; a location is in the ancestor of its finest cell.

    Attributes:
        min_resolution: the coarsest resolution.
        max_resolution: the resolution at which locations are indexed.
        indexes: (R,) H3 indexes, ascending.
    """

    min_resolution: int
    max_resolution: int
    indexes: Indexes

    has_centres: ClassVar[bool] = True

    @cached_property
    def names(self) -> tuple[str, ...]:
        """(R,) H3 indexes as the usual hexadecimal strings."""
        from h3.api.numpy_int import int_to_str

        return tuple(map(int_to_str, self.indexes.tolist()))

    @cached_property
    def levels(self) -> dict[str, Level]:
        """The parents at every resolution above the finest cell; a cell that is coarser stands for itself."""
        from h3.api.numpy_int import int_to_str

        resolutions = range(self.min_resolution, int(h3_resolutions(self.indexes).max()))
        return {f"resolution_{r}": level_of(h3_parents(self.indexes, r), int_to_str) for r in resolutions}

    @property
    def families(self) -> list[Ints]:
        """(R,) parents of each cell, the nearest relatives first."""
        return [level.groups for level in reversed(self.levels.values())]

    @cached_property
    def centres(self) -> Floats:
        """(R, 2) degrees: the centres of the cells."""
        return h3_centres(self.indexes)

    @property
    def outside_rule(self) -> str:
        """What happens to a location in no known cell."""
        return (
            "A location in an H3 cell that is not known gets the cell with the nearest centroid, flagged as fallback; "
            "nothing is outside."
        )

    @cached_property
    def _starts(self) -> tuple[Indexes, Ints]:
        """(R,) the lowest descendant of each cell at `max_resolution`, ascending, and the cells in that order.

        The descendants of a cell are consecutive among the indexes of one resolution.
        """
        unset = np.uint64(45) - np.uint64(3) * h3_resolutions(self.indexes).astype(np.uint64)
        used = np.uint64((1 << (3 * (15 - self.max_resolution))) - 1)
        digits = (np.uint64(1) << unset) - np.uint64(1)
        lowest = (self.indexes & ~digits & ~np.uint64(0xF << 52)) | np.uint64(self.max_resolution << 52) | used
        order = np.argsort(lowest, kind="stable")
        return lowest[order], order

    def locate(self, latlon: Floats) -> RawAssignment:
        """Return the raw cells of (P, 2) degrees."""
        return self.locate_indexes(h3_indexes(latlon, self.max_resolution))

    def locate_indexes(self, fine: Indexes) -> RawAssignment:
        """Return the raw cells of (P,) H3 indexes of `max_resolution`."""
        starts, order = self._starts
        cells = order[np.maximum(np.searchsorted(starts, fine, side="right") - 1, 0)]
        inside = np.zeros(len(fine), dtype=np.bool_)
        resolutions = h3_resolutions(self.indexes)[cells]
        for resolution in range(self.min_resolution, self.max_resolution + 1):
            rows = np.flatnonzero(resolutions == resolution)
            inside[rows] = h3_parents(fine[rows], resolution) == self.indexes[cells[rows]]
        return RawAssignment(np.where(inside, cells, OUTSIDE), np.zeros(len(fine), dtype=np.bool_))

    def cell_polygons(self) -> Geometries:
        """Return the (R,) outlines of the descendants that make up each cell, three resolutions finer at most.

        A cell is not the hexagon of its own resolution, but all cells of `max_resolution` whose ancestor it is.
        """
        return great_circle_polygons(descendant_outlines(self.indexes, self.max_resolution))

    def cell_areas_km2(self) -> Floats:
        """Return the (R,) areas of the hexagons, which those of the descendants are near to."""
        return areas_km2(h3_polygons(self.indexes))

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "min_resolution": self.min_resolution,
            "max_resolution": self.max_resolution,
            "cells": list(self.names),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], folder: Path) -> H3AdaptiveRule:  # noqa: ARG003 - needs no files
        """Read the JSON form."""
        coarsest = whole(value, "min_resolution", 0, 15)
        finest = whole(value, "max_resolution", coarsest, 15)
        indexes = read_h3_cells(items(value, "cells"), coarsest, finest)
        for resolution in range(coarsest, finest):
            finer = indexes[h3_resolutions(indexes) > resolution]
            if np.isin(h3_parents(finer, resolution), indexes).any():
                raise ValueError("no H3 cell must lie inside another, and one does")
        return cls(coarsest, finest, indexes)


@dataclass(frozen=True)
class H3AdaptivePartitioner(Partitioner):
    """H3 cells split into their children while they have more than `max_count` locations, in the order of their index.

    A child with fewer than `min_count` locations joins the nearest cell under the same parent. A cell none of whose
    children would have that many stays whole.

    Attributes:
        max_count: a cell with more training locations is split.
        min_resolution: where splitting starts.
        max_resolution: where it ends; a cell there may have more locations.
    """

    kind: ClassVar[str] = "h3-adaptive"
    rule_type: ClassVar[type[Rule]] = H3AdaptiveRule

    max_count: int
    min_resolution: int = 1
    max_resolution: int = 7

    def __post_init__(self) -> None:
        """Check the parameters."""
        super().__post_init__()
        self._require_int("max_count", 1)
        self._require_int("min_resolution", 0, 15)
        self._require_int("max_resolution", 0, 15)
        if self.min_resolution > self.max_resolution:
            raise self._error(
                f"min_resolution must be at most max_resolution, {self.max_resolution}, got {self.min_resolution}."
            )

    def make_rule(self, latlon: Floats) -> H3AdaptiveRule:
        """Return the rule for (P, 2) training locations."""
        return self._rule(h3_indexes(latlon, self.max_resolution))

    def make_assigned(self, latlon: Floats) -> tuple[H3AdaptiveRule, RawAssignment]:
        """Return the rule, and the raw cells of the training locations by the indexes it was made of."""
        fine = h3_indexes(latlon, self.max_resolution)
        rule = self._rule(fine)
        return rule, rule.locate_indexes(fine)

    def _rule(self, fine: Indexes) -> H3AdaptiveRule:
        fine = np.sort(fine)  # the descendants of a cell follow each other
        done: list[Indexes] = []
        for resolution in range(self.min_resolution, self.max_resolution + 1):
            cells = h3_parents(fine, resolution)
            starts = run_starts(cells)
            counts = np.diff(starts, append=len(fine))
            split = (counts > self.max_count) & (resolution < self.max_resolution)
            children = run_starts(h3_parents(fine, min(resolution + 1, self.max_resolution)))
            largest = np.zeros(len(starts))
            parent_of = np.searchsorted(starts, children, side="right") - 1
            np.maximum.at(largest, parent_of, np.diff(children, append=len(fine)))
            split &= largest >= self.min_count
            done.append(cells[starts[~split]])
            fine = fine[np.repeat(split, counts)]
        return H3AdaptiveRule(self.min_resolution, self.max_resolution, np.sort(np.concatenate(done)))


def descendant_outlines(indexes: Indexes, max_resolution: int) -> list[Floats]:
    """Return the (n, 2) degrees of the outline of the descendants of each cell, counter-clockwise.

    Only those on the rim are followed further: the others have none but relatives beside them.

    Args:
        indexes: (R,) H3 indexes.
        max_resolution: of the descendants; those of a cell coarser by more than three resolutions are coarser too.
    """
    from h3.api.numpy_int import cell_to_children, cells_to_h3shape, grid_disk

    target = np.minimum(h3_resolutions(indexes) + _OUTLINE_DEPTH, max_resolution)
    cells, owner = indexes, np.arange(len(indexes))
    while True:
        unfinished = np.flatnonzero(h3_resolutions(cells) < target[owner])
        if not len(unfinished):
            break
        finished = np.setdiff1d(np.arange(len(cells)), unfinished)
        children, parent = _related(cell_to_children, cells[unfinished])
        disks, child = _related(lambda cell: grid_disk(cell, 1), children)
        ancestor = indexes[owner[unfinished][parent][child]]
        rim = np.zeros(len(children), dtype=np.bool_)
        for resolution in np.unique(h3_resolutions(ancestor)).tolist():
            rows = h3_resolutions(ancestor) == resolution
            rim[child[rows][h3_parents(disks[rows], resolution) != ancestor[rows]]] = True
        cells = np.concatenate((cells[finished], children[rim]))
        owner = np.concatenate((owner[finished], owner[unfinished][parent[rim]]))
    order = np.argsort(owner, kind="stable")
    groups = np.split(cells[order], np.flatnonzero(np.diff(owner[order])) + 1)
    return [np.array(cells_to_h3shape(group).outer) for group in groups]


def _related(relation: Callable[[int], Indexes], cells: Indexes) -> tuple[Indexes, Ints]:
    """Return the cells related to each of some cells, and which one they are related to."""
    found = [relation(cell) for cell in cells.tolist()]
    return np.concatenate(found).astype(np.uint64), np.repeat(np.arange(len(cells)), [len(part) for part in found])
