"""Where the training locations of each cell are, without their features: candidates of decoders."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.features.locations import Locations, require_locations
from geocell.files import write_bytes
from geocell.files.tensors import Shapes, damaged_tensors, read_tensors
from geocell.geo.geodesy import Floats, as_latlon
from geocell.partitioners.base import OUTSIDE, Partition

PLACES_FILE = "places.safetensors"

_PER_DEGREE = 100_000
_LIMITS = np.array([90, 180]) * _PER_DEGREE
_WHAT = "the training places of a head"

Ints = NDArray[np.int64]


class OnPartition(Protocol):
    """What places are made for: a head, or what answers like one."""

    @property
    def partition(self) -> Partition:
        """The C cells."""
        ...


@dataclass(frozen=True, eq=False, repr=False)
class TrainingPlaces:
    """N distinct coordinates of training locations, by cell. It discloses where they are, to whoever has it.

    Attributes:
        rounded: (N, 2) int32 latitude and longitude in units of 10⁻⁵ degrees, about a metre.
        cells: (N,) int64 cell of each, ascending.
        counts: (N,) int64 training locations at each.
        partition_sha256: of the cells.
    """

    rounded: NDArray[np.int32]
    cells: Ints
    counts: Ints
    partition_sha256: str

    def __post_init__(self) -> None:
        """Check that the parts belong together."""
        n = len(self.cells)
        shapes = (self.rounded.shape, self.cells.shape, self.counts.shape)
        if n == 0 or shapes != ((n, 2), (n,), (n,)):
            raise ValueError(f"training places need coordinates (N, 2), cells and counts (N,), N >= 1, got {shapes}.")
        if (np.abs(self.rounded.astype(np.int64)) > _LIMITS).any():
            raise ValueError("training places need coordinates on the earth: build them again.")
        if self.cells[0] < 0 or (np.diff(self.cells) < 0).any() or self.counts.min() < 1:
            raise ValueError("training places need ascending cells from 0 on and counts from 1 on: build them again.")

    def __len__(self) -> int:
        """Return N."""
        return len(self.cells)

    def __repr__(self) -> str:
        """Return how many places stand for how many locations."""
        return f"<TrainingPlaces: {len(self):,} places of {int(self.counts.sum()):,} locations>"

    @property
    def latlon(self) -> Floats:
        """(N, 2) degrees."""
        return self.rounded / _PER_DEGREE

    @classmethod
    def from_locations(cls, head: OnPartition, train: Locations) -> TrainingPlaces:
        """Return the places of training locations in the cells of a head; those in none are left out.

        Raises:
            ValueError: when none of them is in a cell.
        """
        require_locations(train, "the training locations of places")
        cells = head.partition.assign(train.latlon)
        inside = cells != OUTSIDE
        if not inside.any():
            raise ValueError("training places need training locations in the cells of the head, and there is none.")
        return cls.of(train.latlon[inside], cells[inside], head.partition.sha256)

    @classmethod
    def of(cls, latlon: ArrayLike, cells: ArrayLike, partition_sha256: str) -> TrainingPlaces:
        """Return the places of coordinates in cells, whatever their order.

        Args:
            latlon: (P, 2) degrees.
            cells: (P,) cell of each.
            partition_sha256: of the cells.
        """
        rounded = np.rint(as_latlon(latlon, "training places") * _PER_DEGREE).astype(np.int64)
        rows = np.concatenate((np.asarray(cells, dtype=np.int64)[:, None], rounded), axis=1)
        found, counts = np.unique(rows, axis=0, return_counts=True)
        return cls(found[:, 1:].astype(np.int32), found[:, 0].copy(), counts.astype(np.int64), partition_sha256)

    @cached_property
    def sha256(self) -> str:
        """Hash of everything that answers depend on."""
        digest = hashlib.sha256(self.partition_sha256.encode())
        for part in (self.rounded, self.cells, self.counts):
            digest.update(f"{part.dtype} {part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()

    def require_for(self, head: OnPartition) -> None:
        """Raise ValueError unless the places are in the cells of a head."""
        if self.partition_sha256 != head.partition.sha256 or self.cells[-1] >= len(head.partition):
            raise ValueError(
                f"training places must be in the cells of the head, {head.partition.sha256[:12]}, got those of "
                f"{self.partition_sha256[:12]}: build them again for this head."
            )

    def save_into(self, folder: Path) -> None:
        """Write `places.safetensors` into an existing folder."""
        from safetensors.numpy import save

        tensors: dict[str, NDArray[Any]] = {
            "latlon": np.ascontiguousarray(self.rounded),
            "cells": np.ascontiguousarray(self.cells),
            "counts": np.ascontiguousarray(self.counts),
        }
        write_bytes(folder / PLACES_FILE, [save(tensors, {"partition_sha256": self.partition_sha256})])


def read_places(folder: Path) -> TrainingPlaces:
    """Read `places.safetensors` strictly.

    Raises:
        FileNotFoundError: when there is none.
        ValueError: when it is damaged.
    """
    path = folder / PLACES_FILE
    metadata, tensors = read_tensors(path, _WHAT, _require_layout)
    try:
        return TrainingPlaces(tensors["latlon"], tensors["cells"], tensors["counts"], metadata["partition_sha256"])
    except ValueError as error:
        raise damaged_tensors(path, _WHAT, error) from error


def _require_layout(metadata: Mapping[str, str], shapes: Shapes) -> None:
    n = (*shapes.get("cells", ((0,), ""))[0], 0)[0]
    if shapes != {"latlon": ((n, 2), "I32"), "cells": ((n,), "I64"), "counts": ((n,), "I64")}:
        raise ValueError(f"it holds {dict(shapes)}")
    if "partition_sha256" not in metadata:
        raise ValueError("it does not say of which cells it is")
