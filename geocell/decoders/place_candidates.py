"""Training places as candidates: the best expected utility over those of the most probable cells."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocell.features.training_places import TrainingPlaces
from geocell.geo.geodesy import EARTH_RADIUS_KM, Floats, unit_vectors
from geocell.partitioners.s2ids import s2_ids

_CHUNK = 4096  # locations at a time: what is computed for two cells serves all locations in which both are probable
_PAIRS = 1 << 20  # pairs of places at a time: 8 MB of float64 distances
_MOST_PAIRS = 1 << 26  # of places in two cells that are probable together, about
_TOGETHER = 64  # cells that are probable together with one, about

Ints = NDArray[np.int64]
Singles = NDArray[np.float32]
Utility = Callable[[Singles], Singles]


@dataclass(frozen=True, eq=False)
class Candidates:
    """K candidates, grouped by cell, over which the probability of their cell is spread.

    Attributes:
        latlon: (K, 2) degrees.
        starts: (C + 1,) the candidates of cell c are ``starts[c]`` to ``starts[c + 1]``, at least one.
        weights: (K,) shares of the probability of their cell; those of a cell sum to 1.
    """

    latlon: Floats
    starts: Ints
    weights: Floats

    @classmethod
    def of(cls, places: TrainingPlaces, centroids: Floats) -> Candidates:
        """Return the training places by cell, at most `most_places` of each; the centroid for a cell without any.

        Args:
            places: training places and their cells.
            centroids: (C, 2) degrees.
        """
        bare = np.setdiff1d(np.arange(len(centroids)), places.cells)
        latlon = np.concatenate((places.latlon, centroids[bare]))
        cells = np.concatenate((places.cells, bare))
        counts = np.concatenate((places.counts, np.ones(len(bare), dtype=np.int64)))
        kept, weights = _thinned(latlon, cells, counts, most_places(len(centroids)))
        starts = np.searchsorted(cells[kept], np.arange(len(centroids) + 1))
        return cls(latlon[kept], starts, weights)


def most_places(n_cells: int) -> int:
    """Return how many candidates a cell has at most: fewer where there are more cells, so that the cost is bounded.

    128 up to 64 cells, 23 of 1,898 and 13 of 5,444.
    """
    return min(max(math.isqrt(_MOST_PAIRS // (n_cells * min(n_cells, _TOGETHER))), 8), 128)


def _thinned(latlon: Floats, cells: Ints, counts: Ints, most: int) -> tuple[Ints, Floats]:
    """Return the places that represent each cell, by cell, and their shares of it.

    The places of a cell are ordered along the Hilbert curve of S2 and cut into runs of about equal count, each of which
    is represented by the place nearest to its mean; in a cell with up to `most` every place is a run.
    """
    order = np.lexsort((s2_ids(latlon), cells))
    cells, counts = cells[order], counts[order]
    first = np.flatnonzero(np.diff(cells, prepend=-1))
    size = np.diff(np.append(first, len(cells)))
    total = np.add.reduceat(counts, first)
    before = np.cumsum(counts) - counts
    middle = (before - np.repeat(before[first], size) + counts / 2) / np.repeat(total, size)
    number = np.arange(len(cells)) - np.repeat(first, size)
    run = np.where(np.repeat(size, size) > most, np.floor(middle * most), number)
    heads = np.flatnonzero((np.diff(cells, prepend=-1) != 0) | (np.diff(run, prepend=-1) != 0))
    length = np.diff(np.append(heads, len(cells)))
    vectors = unit_vectors(latlon[order])
    means = np.add.reduceat(vectors * counts[:, None], heads, axis=0)
    away = -(vectors * np.repeat(means, length, axis=0)).sum(axis=1)
    of_run = np.repeat(np.arange(len(heads)), length)
    nearest = np.lexsort((away, of_run))[heads]
    weights = np.add.reduceat(counts, heads) / total[np.searchsorted(cells[first], cells[heads])]
    return order[nearest], weights


def best_candidates(
    candidates: Candidates, n_cells: int, utility: Utility, tie: float
) -> Callable[[NDArray[np.floating[Any]]], Ints]:
    """Return the function from (P, C) posteriors to the (P,) candidates of the largest expected utility.

    Candidates are those of the `n_cells` most probable cells of a location, and the expectation is over the same: the
    probability of each cell is spread over its candidates, that of other cells is left out, as if it were 0. What is
    computed for the places of two cells serves all locations in which both are probable.

    Args:
        candidates: of every cell.
        n_cells: cells, at most; those of probability 0 are left out.
        utility: what answers are worth that are so many km off. Distances are float32, 10 cm wrong at most.
        tie: among expectations that differ by less the candidate with the most probability wins.
    """
    vectors = unit_vectors(candidates.latlon)

    def function(posterior: NDArray[np.floating[Any]]) -> Ints:
        best = np.empty(len(posterior), dtype=np.int64)
        for start in range(0, len(posterior), _CHUNK):
            rows = slice(start, start + _CHUNK)
            best[rows] = _best(posterior[rows], n_cells, candidates, vectors, utility, tie)
        return best

    return function


def _best(
    posterior: NDArray[np.floating[Any]],
    n_cells: int,
    candidates: Candidates,
    vectors: Floats,
    utility: Utility,
    tie: float,
) -> Ints:
    top = _most_probable(posterior, n_cells)
    mass = np.take_along_axis(posterior, top, axis=1).astype(np.float64)
    worth, weight = np.full(top.shape, -np.inf), np.full(top.shape, -1.0)
    found, slot = np.zeros(top.shape, dtype=np.int64), np.zeros(posterior.shape[1], dtype=np.int64)
    for cell, rows, columns in _by_cell(top, mass):
        near, known = top[rows], mass[rows]
        seen = np.unique(near[known > 0])
        slot[seen] = np.arange(len(seen))
        shares = np.zeros((len(rows), len(seen)))
        location, place = np.nonzero(known > 0)
        shares[location, slot[near[location, place]]] = known[location, place]
        own = slice(candidates.starts[cell], candidates.starts[cell + 1])
        value = shares @ _expected(vectors[own], seen, candidates, vectors, utility).T
        most = value.max(axis=1)
        chosen = np.where(value >= most[:, None] - tie, candidates.weights[own], -1.0).argmax(axis=1)
        worth[rows, columns], found[rows, columns] = most, own.start + chosen
        weight[rows, columns] = mass[rows, columns] * candidates.weights[own][chosen]
    close = worth >= worth.max(axis=1, keepdims=True) - tie
    column = np.where(close, weight, -2.0).argmax(axis=1)
    return np.take_along_axis(found, column[:, None], axis=1)[:, 0]


def _by_cell(top: Ints, mass: Floats) -> Iterator[tuple[int, Ints, Ints]]:
    """Yield every cell that is probable anywhere, with the rows and columns of `top` where it stands."""
    pairs = np.flatnonzero(mass.ravel() > 0)
    pairs = pairs[np.argsort(top.ravel()[pairs], kind="stable")]
    cells, first = np.unique(top.ravel()[pairs], return_index=True)
    for cell, own in zip(cells.tolist(), np.split(pairs, first[1:]), strict=False):  # no pair at all is one piece
        yield cell, *np.divmod(own, top.shape[1])


def _expected(asked: Floats, cells: Ints, candidates: Candidates, vectors: Floats, utility: Utility) -> Floats:
    """Return the (A, S) expected utilities of A unit vectors where the truth is in each of S cells."""
    result = np.empty((len(asked), len(cells)))
    first = candidates.starts[cells]
    sizes = candidates.starts[cells + 1] - first
    step = max(1, _PAIRS // (len(asked) * int(sizes.max())))
    for start in range(0, len(cells), step):
        some = slice(start, start + step)
        heads = np.cumsum(sizes[some]) - sizes[some]
        places = np.arange(sizes[some].sum()) + np.repeat(first[some] - heads, sizes[some])
        dots = asked @ vectors[places].T
        gap = np.subtract(1.0, dots, out=dots).astype(np.float32)  # the difference in float64, all else in float32
        half = np.sqrt(np.clip(gap, 0.0, 2.0, out=gap) * np.float32(0.5))
        worth = utility(np.arcsin(half, out=half) * np.float32(2 * EARTH_RADIUS_KM))
        result[:, some] = np.add.reduceat(worth * candidates.weights[places].astype(np.float32), heads, axis=1)
    return result


def _most_probable(posterior: NDArray[np.floating[Any]], n_cells: int) -> Ints:
    """Return the (P, k) most probable cells, in the order of their numbers."""
    n = posterior.shape[1]
    if n_cells >= n:
        return np.tile(np.arange(n), (len(posterior), 1))
    return np.asarray(np.sort(np.argpartition(posterior, n - n_cells, axis=1)[:, n - n_cells :], axis=1))
