"""The features of a cache on a local disk, mapped into memory: only what is used is read, and nothing copied twice."""

from __future__ import annotations

from collections import OrderedDict
from itertools import pairwise
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocell.features.manifest import Manifest
from geocell.features.shards import FILE_DTYPE, map_shard, shard_path, shard_version

_OPEN = 256  # shards that stay mapped: each holds a file descriptor, of which a process often has 1,024
_AT_ONCE = 64  # shards of a cache that are all mapped when it is opened, and outlive its folder


class MappedFeatures:
    """(N, D) float16 features of every view; rows are copied when they are taken, and those of bad views are NaN.

    The files of a cache are replaced and never changed: shards that are mapped stay what they were. Those of a small
    cache are mapped at once; one of a large cache that was replaced before its first use is refused.
    """

    dtype = FILE_DTYPE
    ndim = 2

    def __init__(self, folder: Path, manifest: Manifest, *, pinned: bool = True) -> None:
        """Map the files of a small cache, and note which there are of a large one.

        Args:
            folder: the cache.
            manifest: of it.
            pinned: whether a shard that is replaced from now on is kept or refused; to know, every file is looked at.
        """
        self.shape: tuple[int, int] = (manifest.rows, manifest.encoder.dim)
        self._folder, self._manifest = folder, manifest
        self._versions = [shard_version(folder, index) for index in range(manifest.n_shards)] if pinned else None
        self._mapped: OrderedDict[int, NDArray[np.float16]] = OrderedDict()
        self._lock = Lock()
        if pinned and manifest.n_shards <= _AT_ONCE:
            for index in range(manifest.n_shards):
                self.shard(index)

    def __len__(self) -> int:
        """Return N."""
        return self.shape[0]

    def shard(self, index: int) -> NDArray[np.float16]:
        """Return the (rows, D) features of one shard, read-only.

        Raises:
            ValueError: when it is damaged, or was replaced since the cache was opened.
        """
        with self._lock:
            found = self._mapped.get(index)
            if found is None:
                first, last = self._manifest.shard_range(index)
                found = map_shard(shard_path(self._folder, index), (last - first, self.shape[1]))
                if self._versions is not None and shard_version(self._folder, index) != self._versions[index]:
                    raise ValueError(
                        f"{self._folder} must stay as it is while it is read, and shard {index} was replaced: run the "
                        "same command again."
                    )
                self._mapped[index] = found
                if len(self._mapped) > _OPEN:
                    self._mapped.popitem(last=False)
            self._mapped.move_to_end(index)
        return found

    def __getitem__(self, rows: Any) -> NDArray[np.float16]:  # noqa: ANN401 - what numpy takes as rows
        """Return the (k, D) features of some rows, given as numbers, as a slice or as a mask; (D,) of one number.

        Raises:
            IndexError: when a row is not in 0 … N - 1, or a mask has another length.
        """
        index = np.arange(*rows.indices(len(self))) if isinstance(rows, slice) else np.asarray(rows)
        if index.dtype == np.bool_:
            if index.shape != (len(self),):
                raise IndexError(f"a mask of rows must have shape ({len(self)},), got {index.shape}.")
            index = np.flatnonzero(index)
        return self._taken(index.astype(np.int64).reshape(-1)).reshape(*index.shape, self.shape[1])

    def _taken(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        """Return the (k, D) features of (k,) rows, shard by shard."""
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"rows must be in 0 … {len(self) - 1}, got {rows.min()} … {rows.max()}.")
        out = np.empty((len(rows), self.shape[1]), FILE_DTYPE)
        shards = rows // self._manifest.shard_rows
        order = None if (shards[1:] >= shards[:-1]).all() else np.argsort(shards, kind="stable")
        ordered = shards if order is None else shards[order]
        starts = np.flatnonzero(np.diff(ordered, prepend=-1)).tolist()
        for start, end in pairwise([*starts, len(rows)]):
            index = int(ordered[start])
            where: Any = slice(start, end) if order is None else order[start:end]
            asked = rows[where] - index * self._manifest.shard_rows
            if order is None:  # straight into its place
                np.take(self.shard(index), asked, axis=0, out=out[where], mode="clip")
            else:
                out[where] = self.shard(index)[asked]
        return out

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how another process, whose current folder may be another, opens the same files."""
        return MappedFeatures, (self._folder.absolute(), self._manifest)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: ANN401 - of numpy
        """Return all of them as an array of its own."""
        if copy is False:
            raise ValueError("features in several files become one array by copying, got copy=False.")
        return self[:].astype(self.dtype if dtype is None else dtype, copy=False)
