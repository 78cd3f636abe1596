"""Merging several caches into one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geocell.features.manifest import CACHE_MARKS, CACHE_PARTS, SHARD_ROWS, Manifest, package_versions, require_sizes
from geocell.features.opened import FeatureCache
from geocell.features.shards import write_shard
from geocell.features.views_file import VIEWS_FILE, views_sha256
from geocell.features.views_writing import views_bytes
from geocell.files import new_folder, write_bytes
from geocell.geo.geodesy import grouped_spherical_means, unit_distance_km, unit_vectors
from geocell.views.places import MAX_SPREAD_KM

if TYPE_CHECKING:
    import pandas as pd

    from geocell.encoders.info import EncoderInfo


def merge_caches(
    folders: Sequence[Path | str], out: Path | str, *, shard_rows: int = SHARD_ROWS, overwrite: bool = False
) -> FeatureCache:
    """Write the rows of several caches, one after the other, into a new one.

    A location whose id is in several of them is one location there.

    Args:
        folders: complete caches of one encoder in one arithmetic.
        out: folder of the new cache.
        shard_rows: rows per shard of the new cache.
        overwrite: replace an existing cache.

    Raises:
        ValueError: for fewer than two caches, one of them twice, other encoders, or a location id that has
            different coordinates.
        FileExistsError: when `out` exists and `overwrite` is false.
    """
    import pandas as pd

    caches = [FeatureCache.open(folder) for folder in folders]
    if len(caches) < 2:
        raise ValueError(f"merging needs at least two caches, got {len(caches)}.")
    homes = [cache.folder.resolve() for cache in caches]
    twice = [str(home) for home in homes if homes.count(home) > 1]
    if twice:
        raise ValueError(f"merging takes every cache once, got {twice[0]} twice: its views would count double.")
    encoder = _common_encoder(caches)
    views = pd.concat([cache.views for cache in caches], ignore_index=True)
    _require_one_coordinate_per_location(views)
    digest = hashlib.sha256("".join(cache.manifest.table_sha256 for cache in caches).encode()).hexdigest()
    source = " + ".join(cache.manifest.source for cache in caches)
    require_sizes(len(views), shard_rows, str(out))
    table = views_bytes(views)
    manifest = Manifest(encoder, len(views), shard_rows, digest, source, package_versions(), views_sha256(table))
    starts = np.concatenate(([0], np.cumsum([len(cache) for cache in caches])))
    status = views["status"].to_numpy(object)
    with new_folder(Path(out), overwrite=overwrite, marks=CACHE_MARKS, parts=CACHE_PARTS) as folder:
        for index in range(manifest.n_shards):
            rows = np.arange(*manifest.shard_range(index))
            parts = [
                cache.take(rows[(rows >= start) & (rows < stop)] - start)
                for cache, start, stop in zip(caches, starts, starts[1:], strict=False)
            ]
            problems = {i: str(status[row]) for i, row in enumerate(rows) if status[row] != "ok"}
            write_shard(folder, index, np.concatenate(parts), problems)
        write_bytes(folder / VIEWS_FILE, [table.getbuffer()])
        manifest.write(folder)
    return FeatureCache.open(out)


def _common_encoder(caches: Sequence[FeatureCache]) -> EncoderInfo:
    """Return the encoder of all caches: a pinned one, where there is one.

    Raises:
        ValueError: when two caches are of other encoders or another arithmetic.
    """
    for one, other in combinations(caches, 2):  # every pair: two revisions each agree with one that is not pinned
        one.encoder.require_same(other.encoder, str(one.folder), str(other.folder))
        if one.encoder.dtype != other.encoder.dtype:
            raise ValueError(
                f"caches must be of one arithmetic, got {one.encoder.dtype} in {one.folder} and "
                f"{other.encoder.dtype} in {other.folder}: encode one of them again."
            )
    return next((cache.encoder for cache in caches if cache.encoder.is_pinned), caches[0].encoder)


def _require_one_coordinate_per_location(views: pd.DataFrame) -> None:
    good = views[views["status"] == "ok"]
    codes, names = good["location"].factorize()
    groups = codes.astype(np.int64)
    latlon = good[["lat", "lon"]].to_numpy(np.float64)
    means, _ = grouped_spherical_means(latlon, groups, len(names))
    spread = unit_distance_km(unit_vectors(latlon), unit_vectors(means)[groups])
    if len(spread) and spread.max() > MAX_SPREAD_KM:
        worst = int(np.argmax(spread))
        raise ValueError(
            f"a location must have one coordinate in all caches, got views of {good['location'].iloc[worst]!r} "
            f"{spread[worst]:.1f} km from its middle: give the locations of one cache other ids."
        )
