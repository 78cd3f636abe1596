"""Quadtree: boxes of latitude and longitude split in four while they have too many locations, as in OSV-5M."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from geocell.geo.geodesy import Floats
from geocell.geo.shapes import Geometries, box_polygons
from geocell.partitioners.kdtree import bounds, east_of, median_threshold, widest_gap
from geocell.partitioners.merging import Ints
from geocell.partitioners.partitioner import Partitioner
from geocell.partitioners.rule import Bools, Level, RawAssignment, Rule, blocks, level_of
from geocell.partitioners.validation import items, number, numbers

_WORLD = (-90.0, 0.0, 90.0, 360.0)  # south, west, north, east; longitudes eastward from the cut
_MAX_DEPTH = 30


@dataclass(frozen=True, eq=False)
class QuadtreeRule(Rule):
    """A tree of boxes as a flat array, level by level; leaves are the raw cells, in the order of their paths.

    The children of the i-th split are the nodes 4 i + 1 to 4 i + 4: south-west, south-east, north-west, north-east.

    Attributes:
        cut_lon: degrees; the meridian that is the western and eastern edge of the root.
        splits: (M, 2) degrees: where a node is split, latitude and longitude eastward from the cut; values below go
            south or west. NaN for a leaf.
    """

    cut_lon: float
    splits: Floats

    has_centres: ClassVar[bool] = True

    @cached_property
    def _is_leaf(self) -> Bools:
        return np.isnan(self.splits[:, 0])

    @cached_property
    def _children(self) -> Ints:
        """(M,) first child of each node."""
        return 4 * (np.cumsum(~self._is_leaf) - 1) + 1

    @cached_property
    def _leaves(self) -> tuple[tuple[str, ...], Ints]:
        """(R,) path of each leaf, ascending, and its node."""
        paths = [""]
        for node in np.flatnonzero(~self._is_leaf).tolist():
            paths += [f"{paths[node]}{quarter}" for quarter in range(4)]
        nodes = sorted(np.flatnonzero(self._is_leaf).tolist(), key=paths.__getitem__)
        return tuple(paths[node] or "root" for node in nodes), np.array(nodes, dtype=np.int64)

    @property
    def names(self) -> tuple[str, ...]:
        """(R,) the way from the root to the leaf: 0 south-west, 1 south-east, 2 north-west, 3 north-east."""
        return self._leaves[0]

    @cached_property
    def levels(self) -> dict[str, Level]:
        """The nodes of the tree at every depth below the root; a leaf higher up stands for itself."""
        deepest = max(map(len, self.names)) if len(self.names) > 1 else 0
        return {f"depth_{d}": level_of([name[:d] for name in self.names]) for d in range(1, deepest)}

    @property
    def families(self) -> list[Ints]:
        """(R,) nodes above each leaf, the nearest first."""
        return [level.groups for level in reversed(self.levels.values())]

    @cached_property
    def boxes(self) -> Floats:
        """(R, 4) degrees: south, west, north, east of each leaf; west is in [-180, 180), east may be above 180."""
        boxes = np.empty((len(self.splits), 4))
        boxes[0] = _WORLD
        for node in np.flatnonzero(~self._is_leaf).tolist():
            (south, west, north, east), (lat, lon) = boxes[node], self.splits[node]
            quarters = (
                (south, west, lat, lon),
                (south, lon, lat, east),
                (lat, west, north, lon),
                (lat, lon, north, east),
            )
            boxes[self._children[node] : self._children[node] + 4] = quarters
        boxes = boxes[self._leaves[1]]
        west = np.mod(boxes[:, 1] + self.cut_lon + 180.0, 360.0) - 180.0
        return np.stack((boxes[:, 0], west, boxes[:, 2], west + boxes[:, 3] - boxes[:, 1]), axis=1)

    @cached_property
    def centres(self) -> Floats:
        """(R, 2) degrees: the middles of the boxes."""
        south, west, north, east = self.boxes.T
        lon = np.mod((west + east) / 2 + 180.0, 360.0) - 180.0
        return np.stack(((south + north) / 2, lon), axis=1)

    @property
    def outside_rule(self) -> str:
        """What happens to a location in no known cell."""
        return (
            "Every location falls into one box of the tree, which covers the earth; in a box without training "
            "locations it gets the cell with the nearest centroid, flagged as fallback; nothing is outside."
        )

    def locate(self, latlon: Floats) -> RawAssignment:
        """Return the raw cells of (P, 2) degrees, all locations one level deeper at a time."""
        number = np.empty(len(self.splits), dtype=np.int64)
        number[self._leaves[1]] = np.arange(len(self.names))
        cells = np.empty(len(latlon), dtype=np.int64)
        for rows in blocks(len(latlon)):
            cells[rows] = number[self._nodes(latlon[rows])]
        return RawAssignment(cells, np.zeros(len(latlon), dtype=np.bool_))

    def _nodes(self, latlon: Floats) -> Ints:
        """Return the (P,) leaf of (P, 2) degrees as a number of its node."""
        lat, lon = latlon[:, 0], east_of(latlon[:, 1], self.cut_lon)
        node = np.zeros(len(latlon), dtype=np.int64)
        moving = np.arange(len(latlon))
        while True:
            moving = moving[~self._is_leaf[node[moving]]]
            if len(moving) == 0:
                break
            at = node[moving]
            north, east = lat[moving] >= self.splits[at, 0], lon[moving] >= self.splits[at, 1]
            node[moving] = self._children[at] + 2 * north + east
        return node

    def cell_polygons(self) -> Geometries:
        """Return the (R,) boxes."""
        return box_polygons(self.boxes)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        splits = [None if leaf else split for leaf, split in zip(self._is_leaf, self.splits.tolist(), strict=True)]
        return {"cut_lon": self.cut_lon, "splits": splits}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], folder: Path) -> QuadtreeRule:  # noqa: ARG003 - needs no files
        """Read the JSON form."""
        cut_lon, nodes = number(value, "cut_lon", -180.0, 180.0), items(value, "splits")
        given = np.array([split is not None for split in nodes])
        places = numbers([split for split in nodes if split is not None], "'splits'", 2)
        if not ((places >= [-90.0, 0.0]) & (places <= [90.0, 360.0])).all():
            raise ValueError("'splits' must be latitudes, and longitudes from the cut in [0, 360]")
        _require_tree(given)
        splits = np.full((len(nodes), 2), np.nan)
        splits[given] = places
        return cls(cut_lon, splits)


def _require_tree(split: Bools) -> None:
    """Refuse nodes that are not one tree, level by level with four children to a split, or a tree that is too deep."""
    at = np.flatnonzero(split)
    if len(split) != 4 * len(at) + 1 or (at > 4 * np.arange(len(at))).any():
        raise ValueError("'splits' must be one tree, level by level, with four children to each split")
    depth = np.zeros(len(split), dtype=np.int64)
    for i, node in enumerate(at.tolist()):
        depth[4 * i + 1 : 4 * i + 5] = depth[node] + 1
    if depth.max() > _MAX_DEPTH:
        raise ValueError(f"the tree must be at most {_MAX_DEPTH} deep")


@dataclass(frozen=True)
class QuadtreePartitioner(Partitioner):
    """Boxes of latitude and longitude, split in four until one has at most `max_count` locations.

    OSV-5M (Astruc et al. 2024) splits to a depth of 10 while there are at least 1000 locations: `max_count=999`.

    Attributes:
        max_count: a box with more training locations is split.
        max_depth: a box this deep is not split.
        split_at: where a box is split: "midpoint" of the box, or "median" of the latitudes and of the longitudes in it.
    """

    kind: ClassVar[str] = "quadtree"
    rule_type: ClassVar[type[Rule]] = QuadtreeRule
    former_names: ClassVar[Mapping[str, str]] = {"split": "split_at"}

    max_count: int = 1000
    max_depth: int = 10
    split_at: Literal["midpoint", "median"] = "midpoint"

    def __post_init__(self) -> None:
        """Check the parameters."""
        super().__post_init__()
        self._require_int("max_count", 1)
        self._require_int("max_depth", 1, _MAX_DEPTH)
        self._require_one_of("split_at", ("midpoint", "median"))

    def make_rule(self, latlon: Floats) -> QuadtreeRule:
        """Return the rule for (P, 2) training locations.

        The box of the whole earth begins at the antimeridian for midpoints, and in the widest range of longitudes
        without a location for medians.
        """
        cut = -180.0 if self.split_at == "midpoint" else widest_gap(latlon[:, 1])
        level = [(np.stack((latlon[:, 0], east_of(latlon[:, 1], cut)), axis=1), _WORLD)]
        splits: list[tuple[float, float]] = []
        for depth in range(self.max_depth + 1):
            deeper = []
            for values, box in level:
                split = self._split(values, box) if depth < self.max_depth and len(values) > self.max_count else None
                splits.append((np.nan, np.nan) if split is None else split)
                if split is not None:
                    deeper += _quarters(values, box, *split)
            level = deeper
        return QuadtreeRule(cut, np.array(splits))

    def _split(self, values: Floats, box: tuple[float, float, float, float]) -> tuple[float, float] | None:
        """Return the latitude and longitude that quarter a node; None when it cannot be."""
        if self.split_at == "midpoint":
            south, west, north, east = box
            return (south + north) / 2, (west + east) / 2
        low, high = bounds(values)
        if (low == high).all():
            return None
        lat, lon = (median_threshold(values[:, i]) if low[i] < high[i] else float(low[i]) for i in (0, 1))
        return lat, lon


def _quarters(
    values: Floats, box: tuple[float, float, float, float], lat: float, lon: float
) -> list[tuple[Floats, tuple[float, float, float, float]]]:
    """Return locations and box of the south-west, south-east, north-west and north-east quarter."""
    south, west, north, east = box
    found = []
    for below, (low, high) in ((values[:, 0] < lat, (south, lat)), (values[:, 0] >= lat, (lat, north))):
        half = values[below]
        left = half[:, 1] < lon
        found += [(half[left], (low, west, high, lon)), (half[~left], (low, lon, high, east))]
    return found
