"""k-d tree: median splits of the wider side until a leaf has few enough locations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from geocell.geo.geodesy import Floats
from geocell.geo.shapes import Geometries, box_polygons
from geocell.partitioners.merging import Ints
from geocell.partitioners.partitioner import Partitioner, sorted_places
from geocell.partitioners.rule import Bools, Level, RawAssignment, Rule, blocks, level_of
from geocell.partitioners.validation import MAX_TREE_DEPTH, integers, items, number, numbers

_LEAF, _LAT, _LON = -1, 0, 1


@dataclass(frozen=True, eq=False)
class KDTreeRule(Rule):
    """A binary tree of splits in latitude and longitude, as flat arrays in preorder.

    The left child of node i is i + 1; leaves are the raw cells, in the order they appear.

    Attributes:
        cut_lon: degrees; longitudes are measured eastward from here, so that the antimeridian is no special place.
        axes: (M,) int64: what a node splits: 0 latitude, 1 longitude, -1 a leaf.
        thresholds: (M,) degrees; values below go left. 0 in a leaf.
    """

    cut_lon: float
    axes: Ints
    thresholds: Floats

    @cached_property
    def _structure(self) -> tuple[Ints, tuple[str, ...]]:
        """(M,) right child of each node, and (R,) path of each leaf."""
        right = np.zeros(len(self.axes), dtype=np.int64)
        names: list[str] = []
        waiting: list[tuple[int, str]] = []  # splits whose right child is yet to come
        path = ""
        for node, axis in enumerate(self.axes.tolist()):
            if axis != _LEAF:
                waiting.append((node, path))
                path += "L"
                continue
            names.append(path or "root")
            if waiting:
                parent, path = waiting.pop()
                right[parent] = node + 1
                path += "R"
        return right, tuple(names)

    @property
    def names(self) -> tuple[str, ...]:
        """(R,) the way from the root to the leaf: L is south or west, R north or east."""
        return self._structure[1]

    @cached_property
    def levels(self) -> dict[str, Level]:
        """The nodes of the tree at every depth below the root; a leaf higher up stands for itself."""
        deepest = max(map(len, self.names)) if len(self.names) > 1 else 0
        return {f"depth_{d}": level_of([name[:d] for name in self.names]) for d in range(1, deepest)}

    @property
    def outside_rule(self) -> str:
        """What happens to a location in no known cell."""
        return "Every location falls into one leaf of the tree, which covers the earth; nothing is outside."

    def locate(self, latlon: Floats) -> RawAssignment:
        """Return the raw cells of (P, 2) degrees, all locations one level deeper at a time."""
        leaf_number = np.cumsum(self.axes == _LEAF) - 1
        cells = np.empty(len(latlon), dtype=np.int64)
        for rows in blocks(len(latlon)):
            cells[rows] = leaf_number[self._nodes(latlon[rows])]
        return RawAssignment(cells, np.zeros(len(latlon), dtype=np.bool_))

    def _nodes(self, latlon: Floats) -> Ints:
        """Return the (P,) leaf of (P, 2) degrees as a number of its node."""
        right = self._structure[0]
        values = np.stack((latlon[:, 0], east_of(latlon[:, 1], self.cut_lon)), axis=1)
        node = np.zeros(len(latlon), dtype=np.int64)
        moving = np.arange(len(latlon))
        while True:
            moving = moving[self.axes[node[moving]] != _LEAF]
            if len(moving) == 0:
                break
            at = node[moving]
            left = values[moving, self.axes[at]] < self.thresholds[at]
            node[moving] = np.where(left, at + 1, right[at])
        return node

    @cached_property
    def boxes(self) -> Floats:
        """(R, 4) degrees: south, west, north, east of each leaf; west is in [-180, 180), east may be above 180."""
        right = self._structure[0]
        boxes = np.empty((len(self.axes), 4))
        boxes[0] = -90.0, 0.0, 90.0, 360.0
        for node in np.flatnonzero(self.axes != _LEAF).tolist():
            boxes[node + 1] = boxes[right[node]] = boxes[node]
            boxes[node + 1, 2 + self.axes[node]] = boxes[right[node], self.axes[node]] = self.thresholds[node]
        boxes = boxes[self.axes == _LEAF]
        west = np.mod(boxes[:, 1] + self.cut_lon + 180.0, 360.0) - 180.0
        return np.stack((boxes[:, 0], west, boxes[:, 2], west + boxes[:, 3] - boxes[:, 1]), axis=1)

    def cell_polygons(self) -> Geometries:
        """Return the (R,) boxes of the leaves."""
        return box_polygons(self.boxes)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"cut_lon": self.cut_lon, "axes": self.axes.tolist(), "thresholds": self.thresholds.tolist()}

    @classmethod
    def from_json(cls, value: Mapping[str, Any], folder: Path) -> KDTreeRule:  # noqa: ARG003 - needs no files
        """Read the JSON form."""
        cut_lon = number(value, "cut_lon", -180.0, 180.0)
        axes = integers(value, "axes", _LEAF, _LON)
        thresholds = numbers(items(value, "thresholds"), "'thresholds'")
        if len(axes) != len(thresholds):
            raise ValueError(f"'axes' and 'thresholds' must have one length, got {len(axes)} and {len(thresholds)}")
        low, high = np.array([-90.0, 0.0, 0.0])[axes], np.array([90.0, 360.0, 0.0])[axes]
        if ((thresholds < low) | (thresholds > high)).any():
            raise ValueError("'thresholds' must be latitudes, or longitudes from the cut in [0, 360]; 0 for a leaf")
        _require_tree(axes)
        return cls(cut_lon, axes, thresholds)


def _require_tree(axes: Ints) -> None:
    """Refuse nodes that are not one binary tree in preorder, or a tree so deep that its names fill the memory."""
    open_nodes = 1 + np.cumsum(np.where(axes == _LEAF, -1, 1))  # how many subtrees are yet to come
    if (open_nodes[:-1] <= 0).any() or open_nodes[-1] != 0:
        raise ValueError("'axes' must be one binary tree in preorder")
    depths = [0]  # of the subtrees yet to come
    for axis in axes.tolist():
        depth = depths.pop()
        if axis != _LEAF:
            if depth == MAX_TREE_DEPTH:
                raise ValueError(f"the tree must be at most {MAX_TREE_DEPTH} deep")
            depths += [depth + 1, depth + 1]


@dataclass(frozen=True)
class KDTreePartitioner(Partitioner):
    """Leaves of a k-d tree: the wider side in km is split at the median until a leaf has at most `max_count`.

    Coinciding locations stay together, so a leaf of them may have more.

    Attributes:
        max_count: a leaf with more training locations is split.
    """

    kind: ClassVar[str] = "kdtree"
    rule_type: ClassVar[type[Rule]] = KDTreeRule

    max_count: int

    def __post_init__(self) -> None:
        """Check the parameters."""
        super().__post_init__()
        self._require_int("max_count", 1)

    def make_rule(self, latlon: Floats) -> KDTreeRule:
        """Return the rule for (P, 2) training locations."""
        return KDTreePartitioner.make_assigned(self, sorted_places(latlon))[0]

    def make_assigned(self, latlon: Floats) -> tuple[KDTreeRule, RawAssignment]:
        """Return the rule, and the leaf of every training location, which splitting them gives."""
        cut = widest_gap(latlon[:, 1])
        cells = np.empty(len(latlon), dtype=np.int64)
        axes: list[int] = []
        thresholds: list[float] = []
        n_leaves = 0
        stack = [_Part(np.ascontiguousarray(latlon[:, 0]), east_of(latlon[:, 1], cut), np.arange(len(latlon)))]
        while stack:
            part = stack.pop()
            split = None if len(part.rows) <= self.max_count else median_split(part.lat, part.lon)
            if split is None:
                axes.append(_LEAF)
                thresholds.append(0.0)
                cells[part.rows] = n_leaves
                n_leaves += 1
                continue
            axis, threshold = split
            axes.append(axis)
            thresholds.append(threshold)
            stack += reversed(part.halves(axis, threshold))
        rule = KDTreeRule(cut, np.array(axes, dtype=np.int64), np.array(thresholds))
        return rule, RawAssignment(cells, np.zeros(len(latlon), dtype=np.bool_))


class _Part(NamedTuple):
    """Locations in the order of their latitude: (P,) degrees north, degrees eastward from the cut, and rows."""

    lat: Floats
    lon: Floats
    rows: Ints

    def halves(self, axis: int, threshold: float) -> tuple[_Part, _Part]:
        """Return the locations below a threshold, and the others; along the latitude nothing is copied."""
        if axis == _LAT:
            n = int(np.searchsorted(self.lat, threshold))
            return self._some(slice(None, n)), self._some(slice(n, None))
        left = self.lon < threshold
        return self._some(left), self._some(~left)

    def _some(self, which: slice | Bools) -> _Part:
        return _Part(self.lat[which], self.lon[which], self.rows[which])


def east_of(lon: Floats, cut: float) -> Floats:
    """Return degrees eastward from the meridian `cut`, in [0, 360]."""
    return np.mod(lon - cut, 360.0)


def widest_gap(lon: Floats) -> float:
    """Return the middle, in [-180, 180), of the widest range of longitudes without a location."""
    distinct = np.unique(lon)
    gaps = np.append(distinct[1:], distinct[0] + 360.0) - distinct
    widest = int(np.argmax(gaps))
    middle = float(distinct[widest] + gaps[widest] / 2)
    return middle - 360.0 if middle >= 180.0 else middle


def median_split(lat: Floats, lon: Floats) -> tuple[int, float] | None:
    """Return the axis and threshold that halve locations best across their wider side.

    Args:
        lat: (P,) degrees, ascending.
        lon: (P,) degrees from the cut.

    Returns:
        0 for latitude or 1 for longitude, and a threshold between two adjacent distinct values; None when all
        locations coincide.
    """
    south, north = lat[0], lat[-1]
    extent = north - south, lon.max() - lon.min()
    if not any(extent):
        return None
    lon_scale = np.cos(np.radians((south + north) / 2))
    axis = _LON if extent[1] * lon_scale > extent[0] else _LAT
    if extent[axis] == 0.0:  # meridians so close to a pole that the scale vanished
        axis = _LON if axis == _LAT else _LAT
    return axis, _sorted_threshold(lat) if axis == _LAT else median_threshold(lon)


def bounds(values: Floats) -> tuple[Floats, Floats]:
    """Return the (2,) least and the (2,) greatest of (P, 2) values; numpy is slow along the first axis."""
    columns = values[:, 0], values[:, 1]
    return np.array([column.min() for column in columns]), np.array([column.max() for column in columns])


def median_threshold(values: Floats) -> float:
    """Return the threshold, between two adjacent distinct values, that halves values best; the lower one among equals.

    Args:
        values: (P,) of which two differ.
    """
    n = len(values)
    median = np.partition(values, n // 2)[n // 2]
    left, right = values < median, values > median
    split_below = _splits_below(n, int(np.count_nonzero(left)), int(np.count_nonzero(right)))
    below, above = (values[left].max(), median) if split_below else (median, values[right].min())
    return _between(float(below), float(above))


def _sorted_threshold(values: Floats) -> float:
    """Return the `median_threshold` of values that ascend, of which it reads a few."""
    n = len(values)
    median = values[n // 2]
    first, last = int(np.searchsorted(values, median, "left")), int(np.searchsorted(values, median, "right"))
    below, above = (values[first - 1], median) if _splits_below(n, first, n - last) else (median, values[last])
    return _between(float(below), float(above))


def _splits_below(n: int, n_left: int, n_right: int) -> bool:
    """Return whether a threshold below the median halves n values at least as well as one above it."""
    return n_right == 0 or (n_left > 0 and abs(2 * n_left - n) <= abs(n - 2 * n_right))


def _between(below: float, above: float) -> float:
    """Return the middle of two values, and the upper one where no number lies between them."""
    middle = below + (above - below) / 2
    return middle if below < middle <= above else above
