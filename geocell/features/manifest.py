"""The manifest of a feature cache, `cache.json`, and creating or resuming a cache."""

from __future__ import annotations

import hashlib
import io
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocell.encoders.info import EncoderInfo
from geocell.features.shards import FILE_DTYPE, checked_header, shard_path
from geocell.features.views_file import VIEWS_FILE, views_sha256
from geocell.features.views_writing import pending_schema, views_bytes, with_pending, write_tables
from geocell.files import (
    FORMAT,
    DamagedFileError,
    canonical_json,
    discard_folder,
    is_local,
    read_json,
    remove_leftovers,
    require_new,
    require_types,
    write_bytes,
    write_json,
)
from geocell.views.stored import StoredViews

if TYPE_CHECKING:
    from geocell.views import Views

SHARD_ROWS = 4096
MANIFEST_FILE = "cache.json"
MAX_SHARDS = 1_000_000
_MAX_ROWS = 1 << 40
_MAX_DIM = 1 << 20
CACHE_MARKS = ("cache.json", VIEWS_FILE)
"""The files of every cache, by which its folder is known before it is replaced."""

PARTIALS = ".partial-*.safetensors"
"""Pattern of the rows that are kept of incomplete shards."""

CLAIMS = ".claims"
"""Folder of the locks of the shards that are being encoded."""

CACHE_PARTS = ("features-*.safetensors", PARTIALS, CLAIMS, ".lock", ".*.geocell-tmp")
"""Patterns of what else a cache may hold."""


@dataclass(frozen=True)
class Manifest:
    """The content of `cache.json`.

    Attributes:
        encoder: identity of the encoder that made the features.
        rows: N.
        shard_rows: rows of every shard but the last.
        table_sha256: hash of the table of views.
        source: table or folder that was read.
        versions: package -> version, of the run that created the cache.
        views_sha256: hash of the content of `views.parquet` but its statuses; "" in caches of earlier versions.
    """

    encoder: EncoderInfo
    rows: int
    shard_rows: int
    table_sha256: str
    source: str
    versions: dict[str, str]
    views_sha256: str = ""

    @property
    def n_shards(self) -> int:
        """Number of shards."""
        return -(-self.rows // self.shard_rows)

    def shard_range(self, index: int) -> tuple[int, int]:
        """Return the first row of a shard and the row after its last."""
        return index * self.shard_rows, min((index + 1) * self.shard_rows, self.rows)

    def missing(self, folder: Path) -> list[int]:
        """Return the shards that do not exist yet."""
        if not is_local(folder):
            store: Any = folder  # a path of universal_pathlib, whose store may cache listings
            store.fs.invalidate_cache()
        there = {path.name for path in folder.iterdir()}  # one listing: an object store answers slowly
        return [i for i in range(self.n_shards) if shard_path(folder, i).name not in there]

    def write(self, folder: Path) -> None:
        """Write `cache.json`, with a hash of its own content."""
        value = {
            "format": FORMAT,
            "encoder": self.encoder.to_dict(),
            "rows": self.rows,
            "shard_rows": self.shard_rows,
            "dtype": FILE_DTYPE.name,
            "table_sha256": self.table_sha256,
            "views_sha256": self.views_sha256,
            "source": self.source,
            "versions": self.versions,
        }
        write_json(folder / MANIFEST_FILE, {**value, "sha256": content_sha256(value)})

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read `cache.json`.

        Raises:
            FileNotFoundError: when there is none.
            DamagedFileError: when it is not a manifest of a cache.
        """
        where = folder / MANIFEST_FILE
        value = read_json(where, "a feature cache")
        keys = ("rows", "shard_rows", "table_sha256", "source", "versions")
        lacking = [key for key in ("encoder", *keys) if key not in value]
        if lacking:
            raise DamagedFileError(f"{where} must have the keys {lacking}: encode the images again.")
        types = {"rows": int, "shard_rows": int, "table_sha256": str, "source": str, "versions": dict}
        require_types(value, types, str(where))
        encoder = EncoderInfo.from_dict(value["encoder"], str(where))
        views_sha256 = value.get("views_sha256", "")
        if not isinstance(views_sha256, str) or not all(isinstance(v, str) for v in value["versions"].values()):
            raise DamagedFileError(f"{where} must have texts as views_sha256 and versions: encode the images again.")
        require_sizes(value["rows"], value["shard_rows"], str(where))
        if not 0 < encoder.dim <= _MAX_DIM:
            raise DamagedFileError(f"{where} must have 1 to {_MAX_DIM} features per view, got {encoder.dim}.")
        return cls(encoder, **{key: value[key] for key in keys}, views_sha256=views_sha256)


def content_sha256(value: Mapping[str, Any]) -> str:
    """Return the hash of a manifest's JSON object without its own hash."""
    content = {key: item for key, item in value.items() if key != "sha256"}
    return hashlib.sha256(canonical_json(content).encode()).hexdigest()


def require_sizes(rows: int, shard_rows: int, where: str) -> None:
    """Refuse sizes that no cache can have.

    Raises:
        ValueError: when there are no rows, or too many rows or shards.
    """
    if not (0 < rows <= _MAX_ROWS and shard_rows > 0):
        raise DamagedFileError(f"{where} must have positive rows and shard_rows, got {(rows, shard_rows)}.")
    if -(-rows // shard_rows) > MAX_SHARDS:
        raise DamagedFileError(
            f"{where} must have at most {MAX_SHARDS:,} shards, got {rows} rows in shards of {shard_rows}: raise "
            "--shard-rows."
        )


def require_cache_or_nothing(folder: Path) -> None:
    """Refuse a folder that holds something other than a cache.

    Hidden files do not count: a run that was killed while it created the cache leaves them.

    Raises:
        FileExistsError: when it does.
    """
    if folder.is_dir():
        taken = any(_visible(folder)) and not (folder / "cache.json").is_file()
    else:
        taken = folder.exists() or any(parent.is_file() for parent in folder.parents)
    if taken:
        raise FileExistsError(f"{folder} exists and is not a feature cache: name another --out.")


def _visible(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if not path.name.startswith("."))


def discard_cache(folder: Path) -> None:
    """Remove a cache, finished or not; a process that is killed leaves it, or nothing.

    Args:
        folder: of a cache on this machine, or one that does not exist. Hidden files alone are none: a run that was
            killed while it created the cache leaves them.

    Raises:
        FileExistsError: when it holds something else, or another process is filling it. Nothing is removed then.
    """
    from filelock import FileLock, Timeout

    remove_leftovers(folder.resolve())  # a cache that was moved aside comes back
    if folder.is_dir() and not any(_visible(folder)):
        return
    require_new(folder, True, (MANIFEST_FILE,), (VIEWS_FILE, *CACHE_PARTS))
    if not (folder / MANIFEST_FILE).is_file():
        return
    try:
        with ExitStack() as held:
            for claim in sorted((folder / CLAIMS).glob("*")):
                held.enter_context(FileLock(claim, timeout=0))
            if sys.platform == "win32":  # where a folder with open files can't be moved
                held.close()
            discard_folder(folder, MANIFEST_FILE)
    except Timeout as error:
        raise FileExistsError(
            f"another process is filling {folder}: wait until it has finished, or name another --out."
        ) from error


def begin(folder: Path, table: Views, encoder: EncoderInfo, shard_rows: int = SHARD_ROWS) -> Manifest:
    """Create a cache, or resume one that was created with the same table and encoder.

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
        if not (folder / VIEWS_FILE).exists():  # the run that created it was killed
            _PendingViews(table).write(folder)
        return manifest
    require_cache_or_nothing(folder)
    require_sizes(len(table), shard_rows, str(folder))
    folder.mkdir(parents=True, exist_ok=True)
    for rest in list(folder.glob(PARTIALS)):  # of a cache whose visible files were removed: its rows are others
        rest.unlink(missing_ok=True)
    views = _PendingViews(table)
    manifest = Manifest(encoder, len(table), shard_rows, table.sha256, table.source, package_versions(), views.sha256)
    manifest.write(folder)  # first: it marks the folder as a cache
    views.write(folder)
    return manifest


class _PendingViews:
    """The file of a table none of whose views is encoded: in memory, or in the table's own file but its statuses."""

    def __init__(self, table: Views) -> None:
        self._stored = table if isinstance(table, StoredViews) else None
        self._bytes = io.BytesIO()
        if not isinstance(table, StoredViews):
            self._bytes = views_bytes(table.frame.drop(columns="problem").assign(status="pending"))

    @property
    def sha256(self) -> str:
        return views_sha256(self._stored.file if self._stored else self._bytes)

    def write(self, folder: Path) -> None:
        if self._stored is None:
            write_bytes(folder / VIEWS_FILE, [self._bytes.getbuffer()])
            return
        schema = pending_schema(next(self._stored.tables()))
        write_tables(folder, schema, (with_pending(table, schema) for table in self._stored.tables()))


def read_problems(folder: Path, manifest: Manifest) -> list[tuple[int, str]]:
    """Return the rows without features and why they have none, ascending, from the headers of the shards.

    Raises:
        ValueError: when a shard is damaged or has another shape.
    """
    found: list[tuple[int, str]] = []
    for index in range(manifest.n_shards):
        first, last = manifest.shard_range(index)
        header = checked_header(shard_path(folder, index), (last - first, manifest.encoder.dim))
        found += [(first + row, text) for row, text in sorted(header.problems.items())]
    return found


def package_versions() -> dict[str, str]:
    """Return the installed versions of packages that features may depend on."""
    from importlib.metadata import PackageNotFoundError, version

    from geocell._version import __version__

    versions = {"geocell": __version__}
    for name in ("numpy", "pillow", "torch", "torchvision", "transformers", "timm"):
        with suppress(PackageNotFoundError):
            versions[name] = version(name)
    return versions
