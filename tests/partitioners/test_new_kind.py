"""A new kind of partition in one file: two small classes, an example, and the contract of every kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from geocell.geo.geodesy import Floats
from geocell.geo.shapes import Geometries, box_polygons
from geocell.partitioners.merging import Ints
from geocell.partitioners.partitioner import Partitioner
from geocell.partitioners.rule import OUTSIDE, Level, RawAssignment, Rule, level_of
from geocell.partitioners.validation import integers, whole
from tests.partitioners.contract import *  # noqa: F403 - the tests
from tests.partitioners.contract import Example


@dataclass(frozen=True, eq=False)
class GridRule(Rule):
    """Boxes of so many degrees that have training locations, numbered eastward and then northward."""

    degrees: int
    boxes: Ints

    has_centres: ClassVar[bool] = True

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(f"{row:03d}/{column:03d}" for row, column in zip(*self._rows_and_columns, strict=True))

    @property
    def outside_rule(self) -> str:
        return "A location in another box gets the cell with the nearest centroid, flagged as fallback."

    @property
    def levels(self) -> dict[str, Level]:
        return {"row": level_of([name[:3] for name in self.names])}

    @property
    def centres(self) -> Floats:
        rows, columns = self._rows_and_columns
        return np.stack((rows + 0.5, columns + 0.5), axis=1) * self.degrees - [90.0, 180.0]

    @property
    def _rows_and_columns(self) -> tuple[Ints, Ints]:
        rows, columns = np.divmod(self.boxes, 360 // self.degrees)
        return rows, columns

    def locate(self, latlon: Floats) -> RawAssignment:
        found = boxes_of(latlon, self.degrees)
        cells = np.minimum(np.searchsorted(self.boxes, found), len(self.boxes) - 1)
        return RawAssignment(np.where(self.boxes[cells] == found, cells, OUTSIDE), np.zeros(len(found), dtype=np.bool_))

    def cell_polygons(self) -> Geometries:
        half = self.degrees / 2
        return box_polygons(np.concatenate((self.centres - half, self.centres + half), axis=1))

    def to_json(self) -> dict[str, Any]:
        return {"degrees": self.degrees, "boxes": self.boxes.tolist()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], folder: Path) -> GridRule:  # noqa: ARG003 - needs no files
        degrees = whole(value, "degrees", 1, 90)
        return cls(degrees, np.unique(integers(value, "boxes", 0, 180 * 360)))


def boxes_of(latlon: Floats, degrees: int) -> Ints:
    rows, columns = np.floor((latlon - [-90.0, -180.0]) / degrees).astype(np.int64).T
    return np.minimum(rows, 180 // degrees - 1) * (360 // degrees) + columns


@dataclass(frozen=True)
class GridPartitioner(Partitioner):
    """Boxes of so many degrees of latitude and longitude that have training locations.

    Attributes:
        degrees: height and width of a box.
    """

    kind: ClassVar[str] = "grid"
    rule_type: ClassVar[type[Rule]] = GridRule

    degrees: int = 10

    def make_rule(self, latlon: Floats) -> GridRule:
        return GridRule(self.degrees, np.unique(boxes_of(latlon, self.degrees)))


EXAMPLES = {"grid": Example(lambda _points, _shapes, n: GridPartitioner(min_count=n), GridPartitioner)}
