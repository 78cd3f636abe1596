"""FeatureCache: a folder with the features of every view from one encoder at one revision, and the table of views.

`cache.json` says which encoder, how many rows and in which shards; row i of `views.parquet` describes feature row i,
with a status; `features-00000.safetensors` … hold `shard_rows` rows each. A shard appears by atomic rename when it is
complete, so writing a cache again writes what is missing.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.files import FORMAT, read_json, write_json
from geocell.geodesy import grouped_coordinates
from geocell.locations import EncoderInfo, Locations

if TYPE_CHECKING:
    import pandas as pd

    from geocell.views import ViewTable

SHARD_ROWS = 4096
_FILE_DTYPE = np.float16  # 2^-11 relative: cosines to the float32 features stay above 0.9999999


def shard_path(folder: Path, index: int) -> Path:
    """Return where shard `index` of a cache is."""
    return folder / f"features-{index:05d}.safetensors"


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
        return [i for i in range(self.n_shards) if not shard_path(folder, i).exists()]

    def write(self, folder: Path) -> None:
        """Write `cache.json`."""
        write_json(
            folder / "cache.json",
            {
                "format": FORMAT,
                "encoder": self.encoder.to_dict(),
                "rows": self.rows,
                "shard_rows": self.shard_rows,
                "dtype": np.dtype(_FILE_DTYPE).name,
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
    """Refuse a place that holds something else than a cache, one that was killed as it began included.

    Raises:
        FileExistsError: when it does.
    """
    if folder.is_dir():
        others = [path for path in folder.iterdir() if path.name != "views.parquet" and not path.name.startswith(".")]
        taken = bool(others) and not (folder / "cache.json").is_file()
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
        return manifest
    require_cache_or_nothing(folder)
    folder.mkdir(parents=True, exist_ok=True)
    manifest = Manifest(encoder, len(table), shard_rows, table.sha256, table.source, _versions())
    _write_views(folder, table.frame.drop(columns="problem").assign(status="pending"))
    manifest.write(folder)
    return manifest


def write_shard(folder: Path, index: int, features: NDArray[Any], problems: dict[int, str]) -> None:
    """Write one shard by atomic rename.

    Args:
        folder: the cache.
        index: which shard.
        features: (rows, D) features; rows with a problem are NaN.
        problems: row within the shard -> why it has no features.

    Raises:
        ValueError: when a feature without a problem is not finite in the file's dtype.
    """
    from safetensors.numpy import save

    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(features, dtype=_FILE_DTYPE)
    broken = np.flatnonzero(~np.isfinite(stored).all(axis=1))
    unexplained = [int(row) for row in broken if int(row) not in problems]
    if unexplained:
        raise ValueError(
            f"features must be finite float16 numbers, got NaN, infinity or more than 65504 in row {unexplained[0]} of "
            f"shard {index}: check the encoder and its dtype."
        )
    data = save({"features": stored}, {"problems": json.dumps({str(k): v for k, v in sorted(problems.items())})})
    path = shard_path(folder, index)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def finish(folder: Path) -> FeatureCache:
    """Write every view's status into `views.parquet` once all shards are there, and open the cache."""
    import pandas as pd

    manifest = Manifest.read(folder)
    status = np.full(manifest.rows, "ok", dtype=object)
    for index in range(manifest.n_shards):
        first, _ = manifest.shard_range(index)
        for row, problem in shard_problems(shard_path(folder, index)).items():
            status[first + row] = problem
    frame = pd.read_parquet(folder / "views.parquet")
    if (frame["status"].to_numpy(object) != status).any():
        _write_views(folder, frame.assign(status=status))
    return FeatureCache.open(folder)


@dataclass(frozen=True, eq=False)
class FeatureCache:
    """An opened, complete cache.

    Attributes:
        folder: where it is.
        manifest: what `cache.json` says.
        views: (N rows) the table of views; `status` is "ok" or why a row has no features.
    """

    folder: Path
    manifest: Manifest
    views: pd.DataFrame

    @classmethod
    def open(cls, folder: Path | str) -> FeatureCache:
        """Open a cache that `encode` or `import_features` wrote.

        Raises:
            FileNotFoundError: when there is none.
            ValueError: when it is incomplete or inconsistent.
        """
        import pandas as pd

        folder = Path(folder)
        manifest = Manifest.read(folder)
        missing = manifest.missing(folder)
        if missing:
            raise ValueError(
                f"{folder} must be a complete cache, got {manifest.n_shards - len(missing)} of {manifest.n_shards} "
                "shards: run the same `geocell encode` again, it goes on where it stopped."
            )
        try:
            views = pd.read_parquet(folder / "views.parquet")
        except (OSError, ValueError) as error:
            first = str(error).split("\n", maxsplit=1)[0]
            raise ValueError(f"{folder} must have a readable views.parquet, got: {first}: encode again.") from error
        if len(views) != manifest.rows:
            raise ValueError(f"{folder} must have {manifest.rows} views, got {len(views)}: encode the images again.")
        if (views["status"] == "pending").any():
            raise ValueError(f"{folder} must be a finished cache, got pending views: run `geocell encode` again.")
        return cls(folder, manifest, views)

    def __len__(self) -> int:
        """Return N."""
        return self.manifest.rows

    @property
    def encoder(self) -> EncoderInfo:
        """Which encoder made the features."""
        return self.manifest.encoder

    @property
    def good(self) -> NDArray[np.bool_]:
        """(N,) whether a view has features."""
        return np.asarray(self.views["status"] == "ok")

    @cached_property
    def features(self) -> NDArray[np.float16]:
        """(N, D) features of every view, loaded once; rows of bad views are NaN."""
        from safetensors import safe_open

        out = np.empty((self.manifest.rows, self.encoder.dim), dtype=_FILE_DTYPE)
        for index in range(self.manifest.n_shards):
            first, last = self.manifest.shard_range(index)
            path = shard_path(self.folder, index)
            try:
                with safe_open(path, framework="numpy") as shard:
                    part = shard.get_tensor("features")
            except Exception as error:  # safetensors raises its own class for a damaged file
                raise ValueError(
                    f"{path} must be a safetensors shard, got: {error}. Remove it and encode again."
                ) from error
            if part.shape != (last - first, self.encoder.dim):
                raise ValueError(
                    f"{path} must hold features of shape {(last - first, self.encoder.dim)}, got {part.shape}: "
                    "remove it and run the same `geocell encode` again."
                )
            out[first:last] = part
        return out

    def locations(self) -> Locations:
        """Return the locations that have at least one good view, in the order of their first view.

        The coordinates of a location are the spherical mean of its good views; further columns of the table are
        taken from its first good view.
        """
        rows = np.flatnonzero(self.good)
        if not len(rows):
            raise ValueError(f"{self.folder} must have a view with features, got none: see its views.parquet.")
        views = self.views.iloc[rows]
        codes, names = views["location"].factorize()
        order = np.argsort(codes, kind="stable")
        counts = np.bincount(codes)
        latlon = views[["lat", "lon"]].to_numpy(np.float64)
        first = order[np.concatenate(([0], np.cumsum(counts)[:-1]))]
        skip = {"image", "location", "lat", "lon", "status", "heading"}
        return Locations(
            ids=np.asarray(names, dtype=object),
            latlon=grouped_coordinates(latlon, codes.astype(np.int64), len(names)),
            features=self.features,
            rows=rows[order],
            offsets=np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
            encoder=self.encoder,
            columns={str(c): views[c].to_numpy()[first] for c in views.columns if c not in skip},
        )


def shard_problems(path: Path) -> dict[int, str]:
    """Return row of the shard -> why it has no features."""
    from safetensors import safe_open

    try:
        with safe_open(path, framework="numpy") as shard:
            return {int(row): str(problem) for row, problem in json.loads(shard.metadata()["problems"]).items()}
    except Exception as error:  # safetensors raises its own class for a damaged file
        raise ValueError(f"{path} must be a safetensors shard, got: {error}. Remove it and encode again.") from error


def _write_views(folder: Path, frame: pd.DataFrame) -> None:
    temporary = folder / f".views.parquet.{os.getpid()}"
    try:
        frame.to_parquet(temporary, index=False)
        temporary.replace(folder / "views.parquet")
    finally:
        temporary.unlink(missing_ok=True)


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    from geocell import __version__

    names = ("numpy", "pillow", "torch", "transformers")
    return {"geocell": __version__, **{name: version(name) for name in names}}
