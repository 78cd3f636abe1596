"""What a fit trains on: the locations inside the partition, their cells and class weights; two splits as one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocell.features.locations import Locations, Rows
from geocell.heads.fit_config import FitConfig
from geocell.heads.offsets import true_offsets
from geocell.partitioners.base import OUTSIDE, Partition
from geocell.partitioners.class_weights import class_weights


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """The training locations of a fit.

    Attributes:
        locations: the P' of them that are in a cell.
        cells: (P',) their cells.
        counts: (C,) locations in each cell.
        weights: (C,) float32 class weights.
        offset: (P', 2) true offsets, None where they are not fitted.
        n_outside: locations in no cell, which are left out.
    """

    locations: Locations
    cells: NDArray[np.int64]
    counts: NDArray[np.int64]
    weights: NDArray[np.float32]
    offset: NDArray[np.float32] | None
    n_outside: int

    @classmethod
    def from_locations(cls, train: Locations, partition: Partition, config: FitConfig) -> TrainingSet:
        """Assign locations to cells and weigh these.

        Raises:
            ValueError: when no location is in a cell.
        """
        cells = partition.assign(train.latlon)
        inside = np.flatnonzero(cells != OUTSIDE)
        if len(inside) == 0:
            raise ValueError(
                f"a fit needs training locations inside the partition, and all {len(train)} lie outside: "
                "fit the partition on these locations, or name the right one."
            )
        counts = np.bincount(cells[inside], minlength=len(partition))
        return cls(
            train.take(inside),
            cells[inside],
            counts,
            class_weights(counts, config.weight_exponent, config.weight_cap),
            true_offsets(partition, cells[inside], train.latlon[inside]) if config.offsets else None,
            len(train) - len(inside),
        )

    def to_dict(self) -> dict[str, Any]:
        """Return what a head records of it, JSON."""
        return {
            "n_train": len(self.locations),
            "n_train_outside": self.n_outside,
            "cells_without_training_location": int((self.counts == 0).sum()),
            "class_weight_range": [float(self.weights[self.counts > 0].min()), float(self.weights.max())],
        }


@dataclass(frozen=True, eq=False)
class _StackedRows:
    """The rows of two sets of features, one after the other; nothing is copied until rows are taken."""

    first: Rows
    second: Rows

    @property
    def shape(self) -> tuple[int, ...]:
        """(N + M, D)."""
        return self.first.shape[0] + self.second.shape[0], self.first.shape[1]

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[Any]:
        """Return the (k, D) numbers of some rows."""
        n = self.first.shape[0]
        before = rows < n
        parts = self.first[rows[before]], self.second[rows[~before] - n]
        taken = np.empty((len(rows), self.shape[1]), dtype=np.result_type(*parts))
        taken[before], taken[~before] = parts
        return taken


def join_locations(first: Locations, second: Locations) -> Locations:
    """Return the locations of two splits as one, in this order; columns that one of them lacks are left out."""
    shared = first.features is second.features
    return replace(
        first,
        ids=np.concatenate((first.ids, second.ids)),
        latlon=np.concatenate((first.latlon, second.latlon)),
        features=first.features if shared else _StackedRows(first.features, second.features),
        rows=np.concatenate((first.rows, second.rows + (0 if shared else first.features.shape[0]))),
        offsets=np.concatenate((first.offsets, second.offsets[1:] + first.offsets[-1])),
        columns={
            name: np.concatenate((values, second.columns[name]))
            for name, values in first.columns.items()
            if name in second.columns
        },
    )
