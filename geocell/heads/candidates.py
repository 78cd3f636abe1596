"""The candidates on which heads with different cells are combined: training places, or pieces of the cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.geo.geodesy import Floats, as_latlon
from geocell.partitioners.base import OUTSIDE, Partition
from geocell.partitioners.centroids import means_of, radius_of
from geocell.partitioners.partition_file import CENTROIDS_KIND
from geocell.partitioners.partitioner import places_sha256
from geocell.views import rounded_latlon

CandidateRule = Literal["auto", "cells", "places", "pieces", "centroids"]
CANDIDATE_RULES: tuple[str, ...] = get_args(CandidateRule)

MOST_PLACES = 5_000
"""Training places up to which each is a candidate of its own unless something else is asked for."""

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Candidates:
    """K candidates, the cells of a combination.

    Attributes:
        partition: the K candidates as cells.
        cells: (M, K) cell of each member that each lies in.
        places: (K,) training places that each stands for, from 1 on.
        train: (N,) candidate of each training location; empty where there are none.
    """

    partition: Partition
    cells: Ints
    places: Ints
    train: Ints


def make_candidates(
    partitions: Sequence[Partition], train: ArrayLike | None = None, rule: CandidateRule = "auto"
) -> Candidates:
    """Return the candidates of members on M partitions.

    Args:
        partitions: the M partitions.
        train: (N, 2) degrees of training locations; None for none.
        rule: `cells`, those of the one partition that all members share; `places`, the distinct coordinates of the
            training locations; `pieces`, the sets of these that share a cell in every partition (CPlaNet, Seo et al.
            2018), at their spherical mean; `centroids`, those of all members; `auto`, which is the first of cells,
            places (up to 5,000), pieces and centroids that there is.

    Raises:
        ValueError: for an unknown rule, or one that needs what is not there.
    """
    if rule not in CANDIDATE_RULES:
        raise ValueError(f"candidates must be one of {', '.join(CANDIDATE_RULES)}, got {rule!r}.")
    alike = len({partition.sha256 for partition in partitions}) == 1
    latlon = None if train is None else as_latlon(train, "training locations")
    if latlon is not None and len(latlon) == 0:
        raise ValueError("candidates are made of training locations, got none: name a split with some.")
    if rule == "auto" and alike:
        rule = "cells"
    if rule == "cells":
        return _of_cells(partitions, latlon, alike)
    if latlon is None:
        if rule in {"places", "pieces"}:
            raise ValueError(f"the candidates {rule} are made of training locations: pass these, or take centroids.")
        return _of_centroids(partitions)
    if rule == "centroids":
        found = _of_centroids(partitions)
        return Candidates(found.partition, found.cells, found.places, found.partition.nearest(latlon))
    rounded = rounded_latlon(latlon)
    place = _groups(rounded)
    distinct = np.unique(rounded, axis=0)
    if rule == "auto":
        rule = "places" if len(distinct) <= MOST_PLACES else "pieces"
    cells = cells_of(partitions, distinct)
    piece = np.arange(len(distinct)) if rule == "places" else _groups(cells.T)
    first = np.unique(piece, return_index=True)[1]
    group = piece[place]
    return Candidates(
        _partition(latlon, group, rule, len(first)), cells[:, first], np.bincount(piece).astype(np.int64), group
    )


def cells_of(partitions: Sequence[Partition], latlon: Floats) -> Ints:
    """Return the (M, K) cell of each partition that points lie in; the nearest one where they lie in none."""
    rows = []
    for partition in partitions:
        nearest = partition.nearest(latlon)
        cells = partition.assign(latlon) if partition.can_assign else nearest
        rows.append(np.where(cells == OUTSIDE, nearest, cells))
    return np.stack(rows)


def _of_cells(partitions: Sequence[Partition], latlon: Floats | None, alike: bool) -> Candidates:
    if not alike:
        raise ValueError("the candidates cells need heads on one partition: take places, or leave candidates out.")
    partition = partitions[0]
    n = len(partition)
    cells = np.tile(np.arange(n), (len(partitions), 1))
    train = np.empty(0, dtype=np.int64) if latlon is None else cells_of([partition], latlon)[0]
    return Candidates(partition, cells, np.ones(n, dtype=np.int64), train)


def _of_centroids(partitions: Sequence[Partition]) -> Candidates:
    latlon = np.concatenate([partition.centroids for partition in partitions])
    first = np.unique(_groups(rounded_latlon(latlon)), return_index=True)[1]
    points = latlon[first]
    n = len(points)
    partition = Partition(
        CENTROIDS_KIND, _names(n), _names(n), points, np.zeros(n, dtype=np.int64), np.full(n, np.nan),
        {"candidates": "centroids"},
    )  # fmt: skip
    return Candidates(partition, cells_of(partitions, points), np.ones(n, dtype=np.int64), np.empty(0, dtype=np.int64))


def _partition(latlon: Floats, group: Ints, rule: str, n: int) -> Partition:
    """Return groups of training locations as a partition that decodes."""
    order = np.lexsort((latlon[:, 1], latlon[:, 0]))  # sums do not depend on the order of the rows
    latlon, group = latlon[order], group[order]
    centroids = means_of(latlon, group, n)
    return Partition(
        CENTROIDS_KIND,
        _names(n),
        _names(n),
        centroids,
        np.bincount(group, minlength=n).astype(np.int64),
        radius_of(latlon, group, centroids),
        {"candidates": rule, "centroid": "mean"},
        {"n_locations": len(latlon), "sha256": places_sha256(latlon)},
    )


def _names(n: int) -> tuple[str, ...]:
    width = len(str(n - 1))
    return tuple(f"p{i:0{width}d}" for i in range(n))


def _groups(rows: NDArray[Any]) -> Ints:
    """Return the (N,) group of equal rows, numbered in their order."""
    return np.asarray(np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1), dtype=np.int64)
