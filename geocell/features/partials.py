"""Rows of shards that are not complete yet, kept beside the shards so that an interrupted run continues from there.

A hidden file in the layout of a shard holds the first rows of one; it is replaced as more of them are encoded and
removed once the shard itself is written. Readers of a cache, and earlier versions, ignore it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocell.features.manifest import Manifest
from geocell.features.shards import FILE_DTYPE, check_shard, read_header, read_shard, write_rows
from geocell.files import is_local, remove_leftovers


def partial_path(folder: Path, index: int) -> Path:
    """Return the path of the first rows of shard `index`."""
    return folder / f".partial-{index:05d}.safetensors"


def write_partial(folder: Path, index: int, features: NDArray[Any], problems: dict[int, str]) -> None:
    """Keep the first rows of a shard: (rows, D) features, NaN where a row has a problem; see `write_shard`."""
    write_rows(partial_path(folder, index), features, problems, f"shard {index}")


def read_partial(folder: Path, index: int, dim: int) -> tuple[NDArray[np.float16], dict[int, str]] | None:
    """Return the rows that were kept of a shard and their problems; None when there are none, or they are damaged."""
    path = partial_path(folder, index)
    if not path.is_file():
        return None
    try:
        header = read_header(path)
        check_shard(path, (header.shape[0], dim))
        features = np.empty(header.shape, FILE_DTYPE)
        read_shard(path, features)
    except ValueError:
        return None
    return features, header.problems


def remove_partial(folder: Path, index: int) -> None:
    """Remove what was kept of a shard."""
    path = partial_path(folder, index)
    path.unlink(missing_ok=True)
    if is_local(path):
        remove_leftovers(path)


def kept_rows(folder: Path, manifest: Manifest) -> int:
    """Return how many rows of a cache are encoded: those of complete shards, and those kept of incomplete ones."""
    missing = set(manifest.missing(folder))
    kept = 0
    for index in range(manifest.n_shards):
        first, last = manifest.shard_range(index)
        if index not in missing:
            kept += last - first
        elif partial_path(folder, index).is_file():
            try:
                kept += min(read_header(partial_path(folder, index)).shape[0], last - first)
            except ValueError:
                continue
    return kept
