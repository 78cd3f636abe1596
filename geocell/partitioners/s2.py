"""S2 cells of several levels, as in PlaNet and ISN: fine where the locations are dense, coarse where they are not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from geocell.geo.geodesy import Floats
from geocell.geo.shapes import Geometries, great_circle_polygons
from geocell.partitioners.merging import Ints
from geocell.partitioners.partitioner import Partitioner
from geocell.partitioners.rule import OUTSIDE, Level, RawAssignment, Rule, canonical_latlon, level_of, run_starts
from geocell.partitioners.s2ids import (
    MAX_LEVEL,
    Ids,
    cell_vertices,
    s2_centres,
    s2_ids,
    s2_levels,
    s2_parents,
    s2_ranges,
    s2_token,
    s2_valid,
)
from geocell.partitioners.validation import ascending, items, shown, texts, whole


@dataclass(frozen=True, eq=False)
class S2Rule(Rule):
    """S2 cells of mixed level, none inside another; a location is in the one that its leaf cell lies in.

    Attributes:
        min_level: the coarsest level.
        ids: (R,) S2 cell ids, ascending.
    """

    min_level: int
    ids: Ids

    has_centres: ClassVar[bool] = True

    @cached_property
    def names(self) -> tuple[str, ...]:
        """(R,) S2 tokens."""
        return tuple(map(s2_token, self.ids.tolist()))

    @cached_property
    def levels(self) -> dict[str, Level]:
        """The parents at every level above the finest cell; a cell that is coarser stands for itself."""
        levels = range(self.min_level, int(s2_levels(self.ids).max()))
        return {f"level_{n}": level_of(s2_parents(self.ids, n), s2_token) for n in levels}

    @property
    def families(self) -> list[Ints]:
        """(R,) parents of each cell, the nearest relatives first."""
        return [level.groups for level in reversed(self.levels.values())]

    @cached_property
    def centres(self) -> Floats:
        """(R, 2) degrees: the centres of the cells."""
        return canonical_latlon(s2_centres(self.ids))

    @property
    def outside_rule(self) -> str:
        """What happens to a location in no known cell."""
        return (
            "A location in an S2 cell that is not known gets the cell with the nearest centroid, flagged as fallback; "
            "nothing is outside."
        )

    def locate(self, latlon: Floats) -> RawAssignment:
        """Return the raw cells of (P, 2) degrees: the leaf cells inside a cell have consecutive ids."""
        return self.locate_leaves(s2_ids(latlon))

    def locate_leaves(self, leaves: Ids) -> RawAssignment:
        """Return the raw cells of (P,) leaf cells."""
        first, last = s2_ranges(self.ids)
        cells = np.maximum(np.searchsorted(first, leaves, side="right") - 1, 0)
        inside = (leaves >= first[cells]) & (leaves <= last[cells])
        return RawAssignment(np.where(inside, cells, OUTSIDE), np.zeros(len(leaves), dtype=np.bool_))

    def cell_polygons(self) -> Geometries:
        """Return the (R,) cells, whose sides are great circles."""
        return great_circle_polygons(list(cell_vertices(self.ids)))

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"min_level": self.min_level, "cells": list(self.names)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], folder: Path) -> S2Rule:  # noqa: ARG003 - needs no files
        """Read the JSON form."""
        coarsest = whole(value, "min_level", 0, MAX_LEVEL)
        tokens = texts(items(value, "cells"), "S2 tokens")
        wrong = [token for token in tokens if re.fullmatch(r"[0-9a-f]{1,16}", token) is None]
        if wrong:
            raise ValueError(f"'cells' must be S2 tokens, got {shown(wrong[0])}")
        ids = ascending(np.array([int(token.ljust(16, "0"), 16) for token in tokens], dtype=np.uint64), "S2 cells")
        if not s2_valid(ids).all() or (s2_levels(ids) < coarsest).any() or tuple(map(s2_token, ids.tolist())) != tokens:
            raise ValueError(f"'cells' must be S2 cells of level {coarsest} or finer")
        first, last = s2_ranges(ids)
        if (first[1:] <= last[:-1]).any():
            raise ValueError("no S2 cell must lie inside another, and one does")
        return cls(coarsest, ids)


@dataclass(frozen=True)
class S2Partitioner(Partitioner):
    """S2 cells split into their children while they have more than `max_count` locations, in the order of their id.

    PlaNet and ISN (Müller-Budack et al. 2018) drop cells with at most τ_min images: that is `small="drop"` with
    `min_count` one above τ_min.

    Attributes:
        max_count: a cell with more training locations is split.
        min_level: where splitting starts; a cell of level 2 is about 2,300 km wide.
        max_level: where it ends; a cell there may have more locations. One of level 20 is about 9 m wide.
    """

    kind: ClassVar[str] = "s2"
    rule_type: ClassVar[type[Rule]] = S2Rule

    max_count: int = 1000
    min_level: int = 2
    max_level: int = 20

    def __post_init__(self) -> None:
        """Check the parameters."""
        super().__post_init__()
        self._require_int("max_count", 1)
        self._require_int("min_level", 0, MAX_LEVEL)
        self._require_int("max_level", 0, MAX_LEVEL)
        if self.min_level > self.max_level:
            raise self._error(f"min_level must be at most max_level, {self.max_level}, got {self.min_level}.")

    def make_rule(self, latlon: Floats) -> S2Rule:
        """Return the rule for (P, 2) training locations."""
        return self._rule(s2_ids(latlon))

    def make_assigned(self, latlon: Floats) -> tuple[S2Rule, RawAssignment]:
        """Return the rule, and the raw cells of the training locations by the leaf cells it was made of."""
        leaves = s2_ids(latlon)
        rule = self._rule(leaves)
        return rule, rule.locate_leaves(leaves)

    def _rule(self, leaves: Ids) -> S2Rule:
        leaves = np.sort(leaves)  # the leaf cells in a cell follow each other
        done: list[Ids] = []
        for level in range(self.min_level, self.max_level + 1):
            found = s2_parents(leaves, level)
            starts = run_starts(found)
            counts = np.diff(starts, append=len(found))
            split = (counts > self.max_count) & (level < self.max_level)
            done.append(found[starts[~split]])
            leaves = leaves[np.repeat(split, counts)]
        return S2Rule(self.min_level, np.sort(np.concatenate(done)))
