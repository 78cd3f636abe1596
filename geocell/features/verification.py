"""Verification of a cache: comparing every file with the hashes that were recorded when it was written."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geocell.features.manifest import MANIFEST_FILE, Manifest, content_sha256
from geocell.features.shards import check_shard, shard_path
from geocell.features.views_file import VIEWS_FILE, read_views_file, views_sha256
from geocell.files import as_place, read_json

if TYPE_CHECKING:
    import pandas as pd

_MOST = 100  # missing shards that are named: a manifest may claim a million


def verify_cache(folder: Path | str) -> list[str]:
    """Read a whole cache and return what is wrong with it, one sentence each; nothing when it is intact.

    `cache.json` must have the hash of its own content; every shard must be there and have its shape, size and checksum;
    the table of views must be readable and have its number of rows, its hash, and the statuses of the shards. What
    caches of earlier versions have no hash for is what `unverifiable` returns.

    Raises:
        FileNotFoundError: when there is no cache.
        ValueError: when `cache.json` itself can't be read.
    """
    folder = as_place(folder)
    manifest = Manifest.read(folder)
    damages = _manifest_damages(folder)
    problems: dict[int, str] = {}
    for index in range(manifest.n_shards):
        first, last = manifest.shard_range(index)
        path = shard_path(folder, index)
        if not path.exists():
            damages.append(f"{path} is missing: run the same `geocell encode` again.")
            if len(damages) >= _MOST:
                return [*damages, f"{folder} has further damages, which were not looked for."]
            continue
        try:
            header = check_shard(path, (last - first, manifest.encoder.dim))
        except ValueError as error:
            damages.append(str(error))
            continue
        problems.update({first + row: text for row, text in header.problems.items()})
    try:
        views = read_views_file(folder, manifest.rows)
    except ValueError as error:
        return [*damages, str(error)]
    statuses = [] if damages else _status_damages(folder, views, problems)
    return damages + _views_damages(folder, manifest) + statuses


def unverifiable(folder: Path | str) -> list[str]:
    """Return what can't be checked of an intact cache, one sentence each: earlier versions recorded fewer hashes."""
    folder = as_place(folder)
    manifest = Manifest.read(folder)
    value = read_json(folder / MANIFEST_FILE, "a feature cache")
    found = []
    if "sha256" not in value:
        found.append(f"{folder / MANIFEST_FILE} was written without a hash of itself.")
    if not manifest.views_sha256 and not _is_table_of(read_views_file(folder, manifest.rows), manifest):
        found.append(f"{folder / VIEWS_FILE} was written without a hash: only its rows and statuses were compared.")
    return found


def _manifest_damages(folder: Path) -> list[str]:
    value = read_json(folder / MANIFEST_FILE, "a feature cache")
    if "sha256" in value and value["sha256"] != content_sha256(value):
        return [
            f"{folder / MANIFEST_FILE} must have the hash {str(value['sha256'])[:12]} that it was written with, got "
            f"{content_sha256(value)[:12]}: copy it again from its origin, or encode again."
        ]
    return []


def _views_damages(folder: Path, manifest: Manifest) -> list[str]:
    where = folder / VIEWS_FILE
    expected = manifest.views_sha256
    if expected:
        got = views_sha256(where)
        if got != expected:
            return [
                f"{where} must have the hash {expected[:12]} of {MANIFEST_FILE}, got {got[:12]}: its rows or values "
                "were changed; copy it again from its origin, or encode again."
            ]
    return []


def _status_damages(folder: Path, views: pd.DataFrame, problems: dict[int, str]) -> list[str]:
    status = np.full(len(views), "ok", dtype=object)
    for row, problem in problems.items():
        status[row] = problem
    differs = np.flatnonzero(views["status"].to_numpy(object) != status)
    if not len(differs):
        return []
    row = int(differs[0])
    return [
        f"{folder}: the status of row {row} must be {status[row]!r} as its shard says, got "
        f"{views['status'].iloc[row]!r}: run the same `geocell encode` again."
    ]


def _is_table_of(views: pd.DataFrame, manifest: Manifest) -> bool:
    """Return whether a table of views gives the hash of the table that was read, where its types survived the file."""
    from geocell.images.sources import FileImages
    from geocell.views.table import ViewTable

    frame = views.drop(columns="status")
    for problem in ("", views["status"].where(views["lat"].isna(), "")):
        whole = frame.assign(problem=problem)
        first = ["image", "location", "lat", "lon", "problem"]
        whole = whole[first + [name for name in whole.columns if name not in first]]
        if ViewTable(whole, FileImages(), "").sha256 == manifest.table_sha256:
            return True
    return False
