"""What a feature cache consists of, and how one begins: `cache.json`, the table of views, and the shards to come."""

from __future__ import annotations

import io
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.encoders.info import EncoderInfo
from geocell.features.shards import FILE_DTYPE, shard_path, shard_problems
from geocell.files import FORMAT, is_local, read_json, write_bytes, write_json

if TYPE_CHECKING:
    import pandas as pd

    from geocell.views import ViewTable

SHARD_ROWS = 4096
VIEWS_FILE = "views.parquet"
CACHE_MARKS = ("cache.json", VIEWS_FILE)
"""The files of every cache, by which its folder is known before it is replaced."""

CACHE_PARTS = ("features-*.safetensors", ".claims", ".lock")
"""Patterns of what else a cache may hold."""


@dataclass(frozen=True)
class Manifest:
    """What `cache.json` says.

    Attributes:
        encoder: which encoder made the features.
        rows: N.
        shard_rows: rows of every shard but the last.
        table_sha256: hash of the table of views.
        source: table or folder that was read.
        versions: package -> version, of the run that began the cache.
    """

    encoder: EncoderInfo
    rows: int
    shard_rows: int
    table_sha256: str
    source: str
    versions: dict[str, str]

    @property
    def n_shards(self) -> int:
        """Number of shards."""
        return -(-self.rows // self.shard_rows)

    def shard_range(self, index: int) -> tuple[int, int]:
        """Return the first row of a shard and the row after its last."""
        return index * self.shard_rows, min((index + 1) * self.shard_rows, self.rows)

    def missing(self, folder: Path) -> list[int]:
        """Return the shards that are not there yet."""
        if not is_local(folder):
            store: Any = folder  # a path of universal_pathlib, whose store may remember what was there before
            store.fs.invalidate_cache()
        there = {path.name for path in folder.iterdir()}  # one listing: an object store answers slowly
        return [i for i in range(self.n_shards) if shard_path(folder, i).name not in there]

    def write(self, folder: Path) -> None:
        """Write `cache.json`."""
        write_json(
            folder / "cache.json",
            {
                "format": FORMAT,
                "encoder": self.encoder.to_dict(),
                "rows": self.rows,
                "shard_rows": self.shard_rows,
                "dtype": FILE_DTYPE.name,
                "table_sha256": self.table_sha256,
                "source": self.source,
                "versions": self.versions,
            },
        )

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read `cache.json`."""
        value = read_json(folder / "cache.json", "a feature cache")
        keys = ("rows", "shard_rows", "table_sha256", "source", "versions")
        lacking = [key for key in ("encoder", *keys) if key not in value]
        if lacking:
            raise ValueError(f"{folder / 'cache.json'} must have the keys {lacking}: encode the images again.")
        encoder = EncoderInfo.from_dict(value["encoder"], str(folder / "cache.json"))
        sizes = (value["rows"], value["shard_rows"])
        if not all(isinstance(size, int) and size > 0 for size in sizes):
            raise ValueError(f"{folder / 'cache.json'} must have positive rows and shard_rows, got {sizes}.")
        return cls(encoder, **{key: value[key] for key in keys})


def require_cache_or_nothing(folder: Path) -> None:
    """Refuse a place that holds something else than a cache.

    Hidden files are nothing: a run that was killed as it began leaves them.

    Raises:
        FileExistsError: when it does.
    """
    if folder.is_dir():
        others = any(not path.name.startswith(".") for path in folder.iterdir())
        taken = others and not (folder / "cache.json").is_file()
    else:
        taken = folder.exists() or any(parent.is_file() for parent in folder.parents)
    if taken:
        raise FileExistsError(f"{folder} exists and is not a feature cache: name another --out.")


def begin(folder: Path, table: ViewTable, encoder: EncoderInfo, shard_rows: int = SHARD_ROWS) -> Manifest:
    """Begin a cache, or take up one that was begun with the same table and encoder.

    Raises:
        ValueError: when the folder holds a cache of another table or encoder; both sides are named.
        FileExistsError: when it holds something else.
    """
    if (folder / "cache.json").exists():
        manifest = Manifest.read(folder)
        encoder.require_same(manifest.encoder, "this run", f"the cache {folder}")
        if manifest.table_sha256 != table.sha256:
            raise ValueError(
                f"{folder} is a cache of {manifest.source} ({manifest.rows} rows, hash {manifest.table_sha256[:12]}), "
                f"and this run reads {table.source} ({len(table)} rows, hash {table.sha256[:12]}): "
                "name another --out, or remove the cache."
            )
        if not (folder / VIEWS_FILE).exists():  # it was killed as it began
            _write_pending(folder, table)
        return manifest
    require_cache_or_nothing(folder)
    folder.mkdir(parents=True, exist_ok=True)
    manifest = Manifest(encoder, len(table), shard_rows, table.sha256, table.source, package_versions())
    manifest.write(folder)  # first: what says that the folder is a cache
    _write_pending(folder, table)
    return manifest


def _write_pending(folder: Path, table: ViewTable) -> None:
    write_views(folder, table.frame.drop(columns="problem").assign(status="pending"))


def write_views(folder: Path, frame: pd.DataFrame) -> None:
    """Write `views.parquet`, its pages with checksums."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False, write_page_checksum=True)
    write_bytes(folder / VIEWS_FILE, [buffer.getbuffer()])


def read_statuses(folder: Path, manifest: Manifest) -> NDArray[np.object_]:
    """Return (N,) "ok" or why a row has no features, as the shards say."""
    status = np.full(manifest.rows, "ok", dtype=object)
    for index in range(manifest.n_shards):
        first, _ = manifest.shard_range(index)
        for row, problem in shard_problems(shard_path(folder, index)).items():
            status[first + row] = problem
    return status


def package_versions() -> dict[str, str]:
    """Return the versions that features may depend on, of what is installed."""
    from importlib.metadata import PackageNotFoundError, version

    from geocell._version import __version__

    versions = {"geocell": __version__}
    for name in ("numpy", "pillow", "torch", "torchvision", "transformers", "timm"):
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions
