"""An index of training features: the nearest ones of a location, everywhere or inside its most probable cells."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.encoders.info import EncoderInfo
from geocell.features.locations import Locations, require_locations
from geocell.features.training_places import TrainingPlaces
from geocell.files import canonical_json, parse_json, write_bytes
from geocell.files.tensors import Shapes, damaged_tensors, read_tensors, tensor_parts
from geocell.geo.geodesy import Floats, as_latlon
from geocell.partitioners.base import OUTSIDE, Partition

NEIGHBOURS_FILE = "neighbours.safetensors"

_WHAT = "an index of training features"
_ROWS = 256  # locations of one product
_MAX_TEXT = 1 << 16
_CANDIDATES = 1 << 22  # cosines of one piece where few cells are allowed: 17 MB, and 34 MB of numbers
_BLOCK = 16_384  # training locations of one product: 16 MB of cosines, and 67 MB of float32 features at D = 1024

Ints = NDArray[np.int64]
Singles = NDArray[np.float32]


class OnCells(Protocol):
    """What an index is made for: a head, or what answers like one."""

    @property
    def partition(self) -> Partition:
        """The C cells."""
        ...

    @property
    def encoder(self) -> EncoderInfo:
        """Which encoder's features it reads."""
        ...


@dataclass(frozen=True, eq=False, repr=False)
class NeighbourIndex:
    """Features, coordinates and cells of N training locations. It discloses where each of them is, to whoever has it.

    Features are centred on their mean, which raised the balscore of the nearest neighbour on the shared real features,
    and divided by their norm; optionally only their principal components are kept.

    Attributes:
        features: (N, K) float16, rows of norm 1.
        latlon: (N, 2) float64 degrees.
        cells: (N,) int64 cell of each.
        mean: (D,) float32, subtracted from features first.
        components: (K, D) float32 principal components, None where K is D.
        encoder: whose features they are.
        partition_sha256: of the cells.
    """

    features: NDArray[np.float16]
    latlon: Floats
    cells: Ints
    mean: Singles
    components: Singles | None
    encoder: EncoderInfo
    partition_sha256: str

    def __post_init__(self) -> None:
        """Check that the parts belong together."""
        n, width = self.features.shape if self.features.ndim == 2 else (0, 0)
        dim = len(self.mean)
        projected = (dim,) if self.components is None else self.components.shape
        wanted = (dim,) if self.components is None else (width, dim)
        shapes = (self.latlon.shape, self.cells.shape, self.mean.shape, projected)
        if (
            n == 0
            or shapes != ((n, 2), (n,), (self.encoder.dim,), wanted)
            or (self.components is None and width != dim)
        ):
            raise ValueError(
                f"an index needs features (N, K), N >= 1, and their coordinates (N, 2), cells (N,), mean "
                f"({self.encoder.dim},) and components (K, {self.encoder.dim}), got {self.features.shape} and {shapes}."
            )
        parts = (self.features, self.mean, *(() if self.components is None else (self.components,)))
        if not all(np.isfinite(part).all() for part in parts) or self.cells.min() < 0:
            raise ValueError("an index needs finite features and cells from 0 on: build it again.")
        as_latlon(self.latlon, "the coordinates of an index")

    def __len__(self) -> int:
        """Return N."""
        return len(self.features)

    def __repr__(self) -> str:
        """Return its size and its encoder."""
        return f"<NeighbourIndex: {len(self):,} locations, {self.features.shape[1]} of {len(self.mean)} dimensions>"

    @classmethod
    def from_locations(cls, head: OnCells, train: Locations, dims: int | None = None) -> NeighbourIndex:
        """Return the index of training locations for a head; those in none of its cells are left out.

        Args:
            head: a head, or what answers like one.
            train: training locations with features of its encoder.
            dims: principal components to keep; all dimensions when omitted.

        Raises:
            ValueError: for features of another encoder or that are not finite, no location in the cells, or a number
                of components that there are not.
        """
        require_locations(train, "the training locations of an index")
        head.encoder.require_same(train.encoder, "the head", "the training locations")
        cells = head.partition.assign(train.latlon)
        inside = np.flatnonzero(cells != OUTSIDE)
        if len(inside) == 0:
            raise ValueError("an index needs training locations in the cells of the head, and there is none.")
        features = train.take(inside).mean_features()
        return cls.of_cells(head, features, train.latlon[inside], cells[inside], dims)

    @classmethod
    def of_cells(
        cls, head: OnCells, features: Singles, latlon: Floats, cells: Ints, dims: int | None = None
    ) -> NeighbourIndex:
        """Return the index of N >= 1 training locations whose cells are known; see `from_locations`.

        Args:
            head: a head, or what answers like one.
            features: (N, D).
            latlon: (N, 2) degrees.
            cells: (N,) of the head.
            dims: principal components to keep; all dimensions when omitted.

        Raises:
            ValueError: for features that are not finite, or a number of components that there are not.
        """
        if not np.isfinite(features).all():
            raise ValueError("an index needs finite features: leave out the locations whose features are NaN.")
        mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
        components = None if dims is None else _components(features - mean, dims)
        unit = _unit(features, mean, components).astype(np.float16)
        return cls(unit, latlon, cells, mean, components, head.encoder, head.partition.sha256)

    @cached_property
    def sha256(self) -> str:
        """Hash of everything that its answers depend on."""
        digest = hashlib.sha256(self.partition_sha256.encode())
        for part in (self.features, self.latlon, self.cells, self.mean, self.components):
            if part is not None:
                digest.update(f"{part.dtype} {part.shape}".encode())
                digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()

    @cached_property
    def places(self) -> TrainingPlaces:
        """Where its locations are."""
        return TrainingPlaces.of(self.latlon, self.cells, self.partition_sha256)

    def require_for(self, head: OnCells) -> None:
        """Raise ValueError unless the index is of the encoder and on the cells of a head."""
        head.encoder.require_same(self.encoder, "the head", "the index of training features")
        if self.partition_sha256 != head.partition.sha256 or self.cells.max() >= len(head.partition):
            raise ValueError(
                f"the index of training features must be on the cells of the head, {head.partition.sha256[:12]}, got "
                f"{self.partition_sha256[:12]}: build it again for this head."
            )

    def nearest(self, features: ArrayLike, k: int, allowed: NDArray[np.bool_] | None = None) -> tuple[Ints, Singles]:
        """Return the k training locations with the largest cosine, exactly, by blocked products.

        Only training locations of allowed cells are multiplied: where 5 of 2,000 cells are, a search among ten million
        costs what one among 25,000 does.

        Args:
            features: (P, D) of the locations asked for.
            k: how many; N when there are fewer.
            allowed: (P, C) whether neighbours may be in a cell; every cell when omitted.

        Returns:
            (P, k) int64 training locations, nearest first, and their (P, k) float32 cosines; -inf where a location has
            fewer in the cells that are allowed.

        Raises:
            ValueError: for features of another width, not finite, or k below 1.
        """
        asked = np.asarray(features, dtype=np.float32)
        if asked.ndim != 2 or asked.shape[1] != len(self.mean) or k < 1:
            raise ValueError(
                f"neighbours need features (P, {len(self.mean)}) and k of at least 1, got {asked.shape} and {k}."
            )
        if not np.isfinite(asked).all():
            raise ValueError("neighbours need finite features, got NaN or infinity.")
        k = min(k, len(self))
        found, cosines = np.empty((len(asked), k), np.int64), np.empty((len(asked), k), np.float32)
        unit = _unit(asked, self.mean, self.components)
        most = _ROWS if allowed is None else self._rows_at_a_time(allowed, k)
        for rows in _pieces(len(asked), most):
            if allowed is None:
                found[rows], cosines[rows] = self._nearest_of_all(unit[rows], k)
            else:
                found[rows], cosines[rows] = self._nearest_in_cells(unit[rows], k, allowed[rows])
        return found, cosines

    def _nearest_of_all(self, unit: Singles, k: int) -> tuple[Ints, Singles]:
        places, best = np.empty((len(unit), 0), np.int64), np.empty((len(unit), 0), np.float32)
        for block in _pieces(len(self), _BLOCK):
            cosine = unit @ self.features[block].astype(np.float32).T
            numbers = np.broadcast_to(np.arange(block.start, block.stop), cosine.shape)
            places, best = _largest(np.hstack((places, numbers)), np.hstack((best, cosine)), k)
        return places, best

    def _nearest_in_cells(self, unit: Singles, k: int, allowed: NDArray[np.bool_]) -> tuple[Ints, Singles]:
        """Return the nearest in the cells that are allowed: a product for every cell with those that may look there."""
        order, starts = self._by_cell
        used = allowed[:, : len(starts) - 1]
        filled = np.zeros(len(unit), np.int64)
        shape = len(unit), max(k, int((used @ np.diff(starts)).max()))
        places, best = np.zeros(shape, np.int64), np.full(shape, -np.inf, np.float32)
        for cell in np.flatnonzero(used.any(axis=0)).tolist():
            asking = np.flatnonzero(used[:, cell])
            for piece in _pieces(int(starts[cell + 1] - starts[cell]), _BLOCK):
                members = order[starts[cell] + piece.start : starts[cell] + piece.stop]
                into = asking[:, None], filled[asking][:, None] + np.arange(len(members))
                places[into] = members
                best[into] = unit[asking] @ self.features[members].astype(np.float32).T
                filled[asking] += len(members)
        return _largest(places, best, k)

    def _rows_at_a_time(self, allowed: NDArray[np.bool_], k: int) -> int:
        """Return how many locations can be asked for at a time, by the largest number of candidates of one."""
        if len(allowed) == 0:
            return 1
        sizes = np.diff(self._by_cell[1])
        widest = max(
            int((rows[:, : len(sizes)] @ sizes).max()) for rows in np.array_split(allowed, -(-len(allowed) // 1024))
        )
        return max(1, _CANDIDATES // max(k, widest))

    @cached_property
    def _by_cell(self) -> tuple[Ints, Ints]:
        """The training locations in the order of their cells, and where each cell starts."""
        order = np.argsort(self.cells, kind="stable")
        return order, np.concatenate(([0], np.cumsum(np.bincount(self.cells))))

    def save_into(self, folder: Path) -> None:
        """Write `neighbours.safetensors` into an existing folder."""
        tensors: dict[str, NDArray[Any]] = {
            "features": np.ascontiguousarray(self.features),
            "latlon": np.ascontiguousarray(self.latlon),
            "cells": self.cells.astype(np.int64),
            "mean": self.mean,
            **({} if self.components is None else {"components": np.ascontiguousarray(self.components)}),
        }
        encoder = {**self.encoder.to_dict(), "source": ""}  # a folder of this machine is nobody's business
        metadata = {"encoder": canonical_json(encoder), "partition_sha256": self.partition_sha256}
        write_bytes(folder / NEIGHBOURS_FILE, tensor_parts(tensors, metadata))


def read_neighbours(folder: Path) -> NeighbourIndex:
    """Read `neighbours.safetensors` strictly: names, types and shapes are checked before any tensor is read.

    Raises:
        FileNotFoundError: when there is none.
        ValueError: when it is damaged.
    """
    path = folder / NEIGHBOURS_FILE
    metadata, tensors = read_tensors(path, _WHAT, _require_layout)
    try:
        return NeighbourIndex(
            tensors["features"],
            tensors["latlon"],
            tensors["cells"],
            tensors["mean"],
            tensors.get("components"),
            _encoder_of(metadata),
            metadata["partition_sha256"],
        )
    except (ValueError, KeyError) as error:
        raise damaged_tensors(path, _WHAT, error) from error


def _encoder_of(metadata: Mapping[str, str]) -> EncoderInfo:
    return EncoderInfo.from_dict(parse_json(metadata["encoder"][:_MAX_TEXT]), "its encoder")


def _require_layout(metadata: Mapping[str, str], shapes: Shapes) -> None:
    """Raise ValueError unless the tensors of a file are those of an index."""
    dim = _encoder_of(metadata).dim
    n, width = (*shapes.get("features", ((0, 0), ""))[0], 0, 0)[:2]
    expected = {
        "features": ((n, width), "F16"),
        "latlon": ((n, 2), "F64"),
        "cells": ((n,), "I64"),
        "mean": ((dim,), "F32"),
        **({"components": ((width, dim), "F32")} if "components" in shapes else {}),
    }
    if shapes != expected or not 0 < width <= dim:
        raise ValueError(f"it holds {dict(shapes)}")


def _components(centred: Singles, dims: int) -> Singles:
    if not 1 <= dims <= min(centred.shape):
        raise ValueError(
            f"dims must be from 1 to {min(centred.shape)}, the fewer of locations and dimensions, got {dims}."
        )
    _, vectors = np.linalg.eigh(centred.T.astype(np.float64) @ centred)  # ascending
    return np.ascontiguousarray(vectors[:, ::-1][:, :dims].T, dtype=np.float32)


def _unit(features: Singles, mean: Singles, components: Singles | None) -> Singles:
    """Return centred, projected rows of norm 1; a row of zeros stays one."""
    rows = features - mean
    if components is not None:
        rows = rows @ components.T
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(norms > 0, norms, 1), dtype=np.float32)


def _largest(numbers: Ints, values: Singles, k: int) -> tuple[Ints, Singles]:
    """Return the k largest values of every row, descending, the first of equal ones, and their numbers."""
    if values.shape[1] > k:
        part = np.argpartition(-values, k - 1, axis=1)[:, :k]
        numbers, values = np.take_along_axis(numbers, part, axis=1), np.take_along_axis(values, part, axis=1)
    order = np.lexsort((numbers, -values), axis=1)
    return np.take_along_axis(numbers, order, axis=1), np.take_along_axis(values, order, axis=1)


def _pieces(n: int, size: int) -> Iterator[slice]:
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))
