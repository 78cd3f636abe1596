"""Merging cells with too few training locations into their neighbours."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geocell.geo.geodesy import Floats

Ints = NDArray[np.int64]


class _Alive:
    """Nearest-neighbour search among a fixed set of cells that shrinks as cells are merged."""

    def __init__(self, vectors: Floats, members: Ints) -> None:
        self._vectors = vectors
        self._alive = {int(member) for member in members}
        self._plant()

    def _plant(self) -> None:
        from scipy.spatial import cKDTree

        self._members = np.array(sorted(self._alive), dtype=np.int64)
        self._tree = cKDTree(self._vectors[self._members])

    def remove(self, cell: int) -> None:
        self._alive.discard(cell)
        if self._alive and len(self._alive) < len(self._members) // 2:
            self._plant()

    def nearest(self, cell: int) -> int | None:
        """Return the remaining cell nearest to `cell`, the lowest index among equals, None when there is no other."""
        n = len(self._members)
        k = min(8, n)
        while True:
            found = self._tree.query(self._vectors[cell], k=np.arange(1, k + 1))
            distance, position = np.asarray(found[0]), np.asarray(found[1])
            ranked = sorted(zip(distance.tolist(), self._members[position].tolist(), strict=True))
            best = next((pair for pair in ranked if pair[1] != cell and pair[1] in self._alive), None)
            # A cell at the distance of the last one may have an equal that was not returned.
            if k == n or (best is not None and best[0] < ranked[-1][0]):
                return None if best is None else best[1]
            k = min(2 * k, n)


class _Living:
    """The remaining cells of every family that was queried, and of the whole earth."""

    def __init__(self, counts: Ints, vectors: Floats, families: Sequence[Ints]) -> None:
        self._vectors = vectors
        self._families = [*families, np.zeros(len(counts), dtype=np.int64)]
        self._lives = counts > 0
        self._groups: dict[tuple[int, int], _Alive | None] = {}
        self._order = [np.argsort(family, kind="stable") for family in self._families]
        self._sorted = [family[order] for family, order in zip(self._families, self._order, strict=True)]

    def _group(self, level: int, name: int) -> _Alive | None:
        """Return the remaining cells of one family, None when there are none; built on first use."""
        if (level, name) not in self._groups:
            first, last = np.searchsorted(self._sorted[level], [name, name + 1])
            members = self._order[level][first:last]
            members = members[self._lives[members]]
            self._groups[level, name] = _Alive(self._vectors, members) if len(members) else None
        return self._groups[level, name]

    def nearest(self, cell: int) -> int | None:
        """Return the nearest remaining cell in the smallest family of `cell` that has another one."""
        for level, family in enumerate(self._families):
            group = self._group(level, int(family[cell]))
            found = None if group is None else group.nearest(cell)
            if found is not None:
                return found
        return None

    def remove(self, cell: int) -> None:
        self._lives[cell] = False
        for level, family in enumerate(self._families):
            group = self._groups.get((level, int(family[cell])))
            if group is not None:
                group.remove(cell)


def merge_small_cells(counts: Ints, vectors: Floats, families: Sequence[Ints], min_count: int) -> Ints:
    """Merge cells until all that remain have at least `min_count` locations, and return where each went.

    Cells are merged smallest first (the lower index among equals), each into the nearest remaining cell of its
    smallest family that has another one, or into the nearest of all. A cell keeps its own position when it absorbs
    others. Cells without locations come last and never absorb any.

    Args:
        counts: (R,) locations per cell.
        vectors: (R, 3) unit vector of each cell's position.
        families: (R,) group of each cell, one array per level from fine to coarse; empty where the kind has none.
        min_count: at least 1, at most the sum of `counts`.

    Returns:
        (R,) index of the remaining cell that each cell belongs to; its own where it remains.
    """
    into = np.arange(len(counts), dtype=np.int64)
    if counts.min() >= min_count:
        return into
    living = _Living(counts, vectors, families)
    total = counts.copy()
    heap = [(int(total[cell]), int(cell)) for cell in np.flatnonzero((counts > 0) & (counts < min_count))]
    heapq.heapify(heap)
    order: list[int] = []
    while heap:
        count, cell = heapq.heappop(heap)
        if count != total[cell]:
            continue  # outdated: the cell has absorbed another one since
        target = living.nearest(cell)
        if target is None:
            break
        into[cell] = target
        total[target] += count
        order.append(cell)
        living.remove(cell)
        if total[target] < min_count:
            heapq.heappush(heap, (int(total[target]), target))
    for cell in reversed(order):  # a target may have been merged itself, always later
        into[cell] = into[into[cell]]
    for cell in np.flatnonzero(counts == 0).tolist():
        target = living.nearest(cell)
        into[cell] = cell if target is None else target
    return into
