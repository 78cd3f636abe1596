"""Joining caches of several encoders: the features of the same views side by side, in one cache."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.encoders.joined import joined_info, joined_order
from geocell.features.manifest import CACHE_MARKS, CACHE_PARTS, SHARD_ROWS, Manifest, package_versions, require_sizes
from geocell.features.opened import FeatureCache
from geocell.features.shards import write_shard
from geocell.features.views_file import VIEWS_FILE, views_sha256
from geocell.features.views_writing import views_bytes
from geocell.files import new_folder, write_bytes

if TYPE_CHECKING:
    import pandas as pd

    from geocell.encoders.info import EncoderInfo
    from geocell.features.locations import Locations, Rows

_KEYS = ["image", "location"]


def join_caches(
    folders: Sequence[Path | str], out: Path | str, *, shard_rows: int = SHARD_ROWS, overwrite: bool = False
) -> FeatureCache:
    """Write the features of the same views by several encoders, side by side, into a new cache.

    Heads of any of these encoders can be combined on it. A view has a problem where it has one in any of the caches.

    Args:
        folders: complete caches of different encoders, of the same table.
        out: folder of the new cache, whose encoder is all of them; its views are in the order of the first.
        shard_rows: rows per shard of the new cache.
        overwrite: replace an existing cache.

    Raises:
        ValueError: for fewer than two caches, an encoder that is not pinned or comes twice, other views, or
            `shard_rows` below 1.
        FileExistsError: when `out` exists and `overwrite` is false.
    """
    caches = [FeatureCache.open(folder) for folder in folders]
    if len(caches) < 2:
        raise ValueError(f"joining needs the caches of at least two encoders, got {len(caches)}.")
    first = caches[0]
    require_sizes(len(first), shard_rows, str(out))
    caches = [caches[i] for i in joined_order([cache.encoder for cache in caches])]
    encoder = joined_info([cache.encoder for cache in caches])
    orders = [_rows_in(first, cache) for cache in caches]
    statuses = [cache.views["status"].to_numpy(object)[rows] for cache, rows in zip(caches, orders, strict=True)]
    status = statuses[0].copy()
    for other in statuses[1:]:
        status = np.where(status == "ok", other, status)
    views = first.views.assign(status=status)
    table = views_bytes(views)
    digest = hashlib.sha256("".join(cache.manifest.table_sha256 for cache in caches).encode()).hexdigest()
    source = first.manifest.source
    manifest = Manifest(encoder, len(views), shard_rows, digest, source, package_versions(), views_sha256(table))
    with new_folder(Path(out), overwrite=overwrite, marks=CACHE_MARKS, parts=CACHE_PARTS) as folder:
        for index in range(manifest.n_shards):
            rows = slice(*manifest.shard_range(index))
            parts = [cache.take(order[rows]) for cache, order in zip(caches, orders, strict=True)]
            features = np.concatenate(parts, axis=1)
            problems = {i: str(text) for i, text in enumerate(status[rows]) if text != "ok"}
            features[list(problems)] = np.nan
            write_shard(folder, index, features, problems)
        write_bytes(folder / VIEWS_FILE, [table.getbuffer()])
        manifest.write(folder)
    return FeatureCache.open(out)


@dataclass(frozen=True)
class _Columns:
    """Some columns of features, read with their rows."""

    inner: Rows
    first: int
    last: int

    @property
    def shape(self) -> tuple[int, ...]:
        return self.inner.shape[0], self.last - self.first

    def __getitem__(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        return np.asarray(self.inner[rows][:, self.first : self.last])


def part_of(locations: Locations, encoders: Sequence[EncoderInfo], number: int) -> Locations:
    """Return locations with the features of one encoder alone, of those that are side by side.

    Args:
        locations: with features of all of them.
        encoders: all, in their `joined_order`, with their sizes.
        number: which of them.
    """
    first = sum(encoder.dim for encoder in encoders[:number])
    columns = _Columns(locations.features, first, first + encoders[number].dim)
    return replace(locations, features=columns, encoder=encoders[number])


def _rows_in(first: FeatureCache, other: FeatureCache) -> NDArray[np.int64]:
    """Return the (N,) row of another cache that shows the same view as each row of the first.

    Raises:
        ValueError: when they do not hold the same views.
    """
    wanted, found = _keys(first.views), _keys(other.views)
    if wanted == found:
        return np.arange(len(wanted))
    row = {key: i for i, key in enumerate(found)}
    missing = [key for key in wanted if key not in row]
    if missing or len(row) < len(found) or len(found) != len(wanted):
        lost = f"{len(missing):,} of {len(wanted):,} views of {first.folder} are not in {other.folder}"
        example = f", {missing[0][0]} say" if missing else ""
        raise ValueError(
            f"caches that are joined hold the same views, and {lost}{example}: encode one table with every encoder."
        )
    return np.array([row[key] for key in wanted], dtype=np.int64)


def _keys(views: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(*(views[name].astype(str) for name in _KEYS), strict=True))
