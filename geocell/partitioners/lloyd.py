"""K-Means on the sphere: Lloyd's iterations with a tree over the centres, for points whose nearest centre may change.

The tree makes an iteration cost P log k instead of P k, and bounds on two distances (Hamerly 2010) spare most points
the tree. The same points give the same bytes whatever the number of threads: queries do not depend on each other, and
sums are added in the order of the points.
"""

from __future__ import annotations

import numpy as np

from geocell.geo.geodesy import Floats
from geocell.partitioners.merging import Ints
from geocell.partitioners.rule import run_starts, workers_for
from geocell.partitioners.s2ids import MAX_LEVEL, Ids
from geocell.partitioners.seeding import cluster_means, first_centres, squared_distances

_CELLS = 50  # S2 cells per cluster, at most, whose means the first centres are found on
_MAX_STEPS = 300
_TOLERANCE = 1e-4  # of the variance: scikit-learn's rule for when the centres have stopped moving
_AROUND = 16  # centres around a centre whose moves count for the bound of its points
_BLOCK = 1 << 15  # points at a time whose bounds are updated, in the cache of a core
_ROUNDING = 1e-12  # of distances of unit vectors: bounds this near each other decide nothing


def kmeans_centres(vectors: Floats, weights: Ints, k: int, seed: int, cells: Ids | None = None) -> Floats:
    """Return the centres of K-Means clusters of unit vectors.

    Args:
        vectors: (P, 3) distinct unit vectors, P >= k; fastest when neighbours are near each other.
        weights: (P,) how many locations each stands for.
        k: number of clusters.
        seed: of the first centres.
        cells: (P,) S2 ids of the vectors, ascending; with them, the first centres are found on the means of cells.

    Returns:
        (k, 3) unit vectors.
    """
    heavy = weights.astype(np.float64)
    points, masses = (vectors, heavy) if cells is None else _means_of_cells(vectors, heavy, cells, _CELLS * k)
    if len(points) < k:
        points, masses = vectors, heavy
    clusters = (_Halves if k == 2 else _Clusters)(vectors, first_centres(points, masses, k, seed))
    tolerance = _TOLERANCE * float(np.mean(np.var(vectors, axis=0)))
    weighted = np.ascontiguousarray(vectors.T) * heavy
    for _ in range(_MAX_STEPS):
        centres, total = cluster_means(weighted, heavy, clusters.nearest, clusters.centres)
        empty = np.flatnonzero(total == 0.0)
        if len(empty):
            distance = np.linalg.norm(vectors - clusters.centres[clusters.nearest], axis=1)
            centres[empty] = vectors[np.argsort(-distance, kind="stable")[: len(empty)]]
        shift = float(((centres - clusters.centres) ** 2).sum())
        if shift <= tolerance and len(empty) == 0:
            return centres
        clusters.move(centres)
    return clusters.centres


def _means_of_cells(vectors: Floats, weights: Floats, ids: Ids, most: int) -> tuple[Floats, Floats]:
    """Return the (n, 3) means and (n,) weights of points in the finest S2 cells that are no more than `most`."""
    starts = np.zeros(1, dtype=np.int64)
    for level in range(MAX_LEVEL + 1):
        cells = ids >> np.uint64(2 * (MAX_LEVEL - level) + 1)
        finer = run_starts(cells)
        if len(finer) > most:
            break
        starts = finer
    masses = np.add.reduceat(weights, starts)
    return np.add.reduceat(vectors * weights[:, None], starts, axis=0) / masses[:, None], masses


class _Clusters:
    """Points, each with its nearest centre, which centres that move change as little as they must.

    Attributes:
        centres: (k, 3) unit vectors.
        nearest: (P,) nearest centre of each point.
    """

    def __init__(self, vectors: Floats, centres: Floats) -> None:
        """Find the nearest centre of every point."""
        self._vectors = vectors
        self.centres = centres
        self.nearest = np.empty(len(vectors), dtype=np.int64)
        self._upper = np.empty(len(vectors))  # of the distance to the nearest centre
        self._lower = np.empty(len(vectors))  # of the distance to any other
        self._ask(np.arange(len(vectors)))

    def move(self, centres: Floats) -> None:
        """Move the centres, and find the nearest one of those points for which it may be another."""
        from scipy.spatial import cKDTree

        moved = np.linalg.norm(centres - self.centres, axis=1)
        self.centres = centres
        k = min(_AROUND + 2, len(centres))
        found = cKDTree(centres).query(centres, k=list(range(1, k + 1)))
        apart, around = np.asarray(found[0]), np.asarray(found[1])
        beyond = apart[:, -1] if k < len(centres) else np.full(len(centres), np.inf)  # all others are farther apart
        half = apart[:, 1] / 2 if k > 1 else np.full(len(centres), np.inf)
        # Centres around came nearer by what they moved; others are no nearer than from centre to centre less `upper`.
        closer = moved[around].max(axis=1)
        asked = [
            self._unsure(slice(row, row + _BLOCK), moved, closer, beyond, half)
            for row in range(0, len(self.nearest), _BLOCK)
        ]
        self._ask(np.concatenate(asked))

    def _unsure(self, rows: slice, moved: Floats, closer: Floats, beyond: Floats, half: Floats) -> Ints:
        """Update the bounds of some points, and return those for which another centre may be the nearest one."""
        nearest, upper, lower = self.nearest[rows], self._upper[rows], self._lower[rows]
        upper += moved[nearest]
        lower -= closer[nearest]
        np.minimum(lower, beyond[nearest] - upper, out=lower)
        bound = np.maximum(lower, half[nearest]) - _ROUNDING
        unsure = np.flatnonzero(upper >= bound)
        distance = np.linalg.norm(self._vectors[rows][unsure] - self.centres[nearest[unsure]], axis=1)
        upper[unsure] = distance
        return np.asarray(rows.start + unsure[distance >= bound[unsure]])

    def _ask(self, rows: Ints) -> None:
        from scipy.spatial import cKDTree

        found = cKDTree(self.centres).query(self._vectors[rows], k=[1, 2], workers=workers_for(len(rows)))
        distance, near = np.asarray(found[0]), np.asarray(found[1])
        self.nearest[rows] = near[:, 0]
        self._upper[rows], self._lower[rows] = distance[:, 0], distance[:, 1]


class _Halves:
    """What `_Clusters` is, of two centres: bounds and trees cost more than they spare."""

    def __init__(self, vectors: Floats, centres: Floats) -> None:
        """Find the nearer centre of every point."""
        self._columns = np.ascontiguousarray(vectors.T)
        self.move(centres)

    def move(self, centres: Floats) -> None:
        """Move the centres, and find the nearer one of every point; of equal ones the second, as in `_Clusters`."""
        self.centres = centres
        first, second = (squared_distances(self._columns, centre) for centre in centres)
        self.nearest: Ints = (second <= first).astype(np.int64)
