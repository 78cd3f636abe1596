"""Is a cache what it was when it was written?"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from geocell.features.manifest import Manifest
from geocell.features.opened import read_views_file
from geocell.features.shards import check_shard, shard_path
from geocell.files import as_place


def verify_cache(folder: Path | str) -> list[str]:
    """Read a whole cache and return what is wrong with it, one sentence each; nothing when it is intact.

    Every shard must be there, have its shape and the checksum that it was written with; the table of views must be
    readable, have as many rows, and the statuses that the shards give.

    Raises:
        FileNotFoundError: when there is no cache.
        ValueError: when `cache.json` itself can't be read.
    """
    folder = as_place(folder)
    manifest = Manifest.read(folder)
    damages: list[str] = []
    status = np.full(manifest.rows, "ok", dtype=object)
    for index in range(manifest.n_shards):
        first, last = manifest.shard_range(index)
        path = shard_path(folder, index)
        if not path.exists():
            damages.append(f"{path} is missing: run the same `geocell encode` again.")
            continue
        try:
            header = check_shard(path, (last - first, manifest.encoder.dim))
        except ValueError as error:
            damages.append(str(error))
            continue
        for row, problem in header.problems.items():
            status[first + row] = problem
    try:
        views = read_views_file(folder)
    except ValueError as error:
        return [*damages, str(error)]
    if len(views) != manifest.rows:
        damages.append(f"{folder} must have {manifest.rows} views, got {len(views)}.")
    elif not damages:
        differs = np.flatnonzero(views["status"].to_numpy(object) != status)
        if len(differs):
            row = int(differs[0])
            damages.append(
                f"{folder}: the status of row {row} must be {status[row]!r} as its shard says, got "
                f"{views['status'].iloc[row]!r}: run the same `geocell encode` again."
            )
    return damages
