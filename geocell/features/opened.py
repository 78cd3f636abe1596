"""FeatureCache: a folder with the features of every view from one encoder at one revision, and the table of views.

`cache.json` records the encoder, the number of rows and the size of shards; row i of `views.parquet` describes feature
row i, with a status; `features-00000.safetensors` … hold `shard_rows` rows each. Shards are written atomically, so a
run that is repeated writes only those that are missing. The folder may be one of an object store (`s3://…`).
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geocell.display import Display, TextTable
from geocell.encoders.info import EncoderInfo
from geocell.features.locations import Locations, encoder_text, places_map
from geocell.features.manifest import MANIFEST_FILE, Manifest, read_statuses
from geocell.features.shards import FILE_DTYPE, checked_header, read_header, read_rows, read_shard, shard_path
from geocell.features.verification import verify_cache
from geocell.features.views_file import VIEWS_FILE, read_views_file, write_views
from geocell.files import DamagedFileError, as_place, is_local, read_folder
from geocell.geo.geodesy import grouped_coordinates

if TYPE_CHECKING:
    import pandas as pd
    from datasets import Dataset

_SHOWN = 5  # views in a notebook
_READERS = 4  # shards read concurrently: one thread does not saturate fast memory


def finish(folder: Path) -> FeatureCache:
    """Write every view's status into `views.parquet` once all shards are there, and open the cache."""
    manifest = Manifest.read(folder)
    status = read_statuses(folder, manifest)
    frame = read_views_file(folder, manifest.rows)
    if (frame["status"].to_numpy(object) != status).any():
        write_views(folder, frame.assign(status=status))
    return FeatureCache.open(folder)


def _stamp(folder: Path) -> tuple[int, ...] | None:
    """Return what is the same for as long as a cache is not replaced; None on an object store."""
    if not is_local(folder):
        return None
    try:
        place, manifest = folder.stat(), (folder / MANIFEST_FILE).stat()
    except OSError:
        return ()
    return place.st_dev, place.st_ino, manifest.st_ino, manifest.st_mtime_ns


@dataclass(frozen=True, eq=False, repr=False)
class FeatureCache:
    """An opened, complete cache.

    Attributes:
        folder: its folder.
        manifest: content of `cache.json`.
        views: (N rows) the table of views; `status` is "ok" or why a row has no features.
        stamp: what tells its files from those of another cache that takes its place later.
    """

    folder: Path
    manifest: Manifest
    views: pd.DataFrame
    stamp: tuple[int, ...] | None = None

    @classmethod
    def open(cls, folder: Path | str, *, verify: bool = False) -> FeatureCache:
        """Open a cache that `encode` or `import_features` wrote.

        Args:
            folder: its folder, or the URL of one.
            verify: read every file and compare it with its hash; see `verify_cache`.

        Raises:
            FileNotFoundError: when there is none.
            ValueError: when it is incomplete or inconsistent, or with `verify` when a hash differs.
        """
        folder = as_place(folder)
        return read_folder(folder, lambda place: cls._open(place, verify=verify))

    @classmethod
    def _open(cls, folder: Path, *, verify: bool) -> FeatureCache:
        stamp = _stamp(folder)
        damages = verify_cache(folder) if verify else []
        if damages:
            raise DamagedFileError(damages[0])
        manifest = Manifest.read(folder)
        missing = manifest.missing(folder)
        if missing:
            raise ValueError(
                f"{folder} must be a complete cache, got {manifest.n_shards - len(missing)} of {manifest.n_shards} "
                "shards: run the same `geocell encode` again, it continues where it stopped."
            )
        if is_local(folder):  # sizes before memory; on an object store every header would be a request
            for index in range(manifest.n_shards):
                first, last = manifest.shard_range(index)
                checked_header(shard_path(folder, index), (last - first, manifest.encoder.dim))
        views = read_views_file(folder, manifest.rows)
        if (views["status"] == "pending").any():
            raise ValueError(f"{folder} must be a finished cache, got pending views: run `geocell encode` again.")
        return cls(folder, manifest, views, stamp)

    def __len__(self) -> int:
        """Return N."""
        return self.manifest.rows

    def __repr__(self) -> str:
        """Return where it is, how many views it has, and of which encoder."""
        bad = int((~self.good).sum())
        without = f" ({bad:,} without features)" if bad else ""
        return f"<FeatureCache {self.folder}: {len(self):,} views{without}, {self.encoder.name} D={self.encoder.dim}>"

    def _repr_html_(self) -> str:
        good = self.good
        found = self.views[good]
        problems = self.views["status"][~good].value_counts()
        shown = self.views.head(_SHOWN)
        facts = [
            ("folder", str(self.folder)),
            ("views", f"{int(good.sum()):,} of {len(self):,} with features"),
            ("locations", f"{found['location'].nunique():,}"),
            ("encoder", encoder_text(self.encoder)),
            ("columns", ", ".join(map(str, self.views.columns))),
        ]
        rows = [
            (str(row["image"]), str(row["location"]), f"{row['lat']:.4f}", f"{row['lon']:.4f}")
            for _, row in shown.iterrows()
        ]
        tables = [
            TextTable(("image", "location", "lat", "lon"), rows, n_left=2, total=len(self)),
            TextTable(("no features", "views"), [(str(text), f"{n:,}") for text, n in problems.items()]),
        ]
        picture = places_map(found[["lat", "lon"]].to_numpy(np.float64))
        return Display("FeatureCache", facts, tables, picture).html()

    @property
    def encoder(self) -> EncoderInfo:
        """Identity of the encoder that made the features."""
        return self.manifest.encoder

    @property
    def n_bytes(self) -> int:
        """Size of its files in bytes."""
        shards = [shard_path(self.folder, index) for index in range(self.manifest.n_shards)]
        return sum(path.stat().st_size for path in [self.folder / MANIFEST_FILE, self.folder / VIEWS_FILE, *shards])

    @cached_property
    def features_sha256(self) -> str:
        """Hash of all features and problems, computed from the checksums in shard headers: no feature is read."""
        shards = [shard_path(self.folder, index) for index in range(self.manifest.n_shards)]
        return hashlib.sha256(" ".join(read_header(path).sha256 for path in shards).encode()).hexdigest()

    @property
    def good(self) -> NDArray[np.bool_]:
        """(N,) whether a view has features."""
        return np.asarray(self.views["status"] == "ok")

    @cached_property
    def features(self) -> NDArray[np.float16]:
        """(N, D) features of every view, loaded once; rows of bad views are NaN."""
        out = np.empty((self.manifest.rows, self.encoder.dim), dtype=FILE_DTYPE)

        def load(index: int) -> None:
            first, last = self.manifest.shard_range(index)
            read_shard(shard_path(self.folder, index), out[first:last])

        with ThreadPoolExecutor(min(_READERS, self.manifest.n_shards)) as pool:
            for _ in pool.map(load, range(self.manifest.n_shards)):
                pass
        self._require_in_place()
        return out

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        """Return the (k, D) features of some rows, reading no others.

        Raises:
            IndexError: when a row is not in 0 … N - 1.
            ValueError: when another cache has taken the place of this one.
        """
        rows = np.asarray(rows, dtype=np.int64)
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"rows must be in 0 … {len(self) - 1}, got {rows.min()} … {rows.max()}.")
        out = np.empty((len(rows), self.encoder.dim), dtype=FILE_DTYPE)
        shards = rows // self.manifest.shard_rows
        for index in np.unique(shards).tolist():
            first, last = self.manifest.shard_range(index)
            where = np.flatnonzero(shards == index)
            shape = (last - first, self.encoder.dim)
            out[where] = read_rows(shard_path(self.folder, index), shape, rows[where] - first)
        self._require_in_place()
        return out

    def _require_in_place(self) -> None:
        """Refuse features of a cache that took the place of this one: they are not of its views.

        Raises:
            ValueError: when another one did.
        """
        if self.stamp != _stamp(self.folder):
            raise ValueError(f"{self.folder} was replaced by another cache while it was read: run the command again.")

    def to_dataset(self) -> Dataset:
        """Return the table of views with their features as a data set of the library `datasets`, in memory.

        `import_features` makes a cache of it again; the encoder stands in its description.

        Returns:
            The columns of `views`, and `features`, a list of D float16 (NaN for a view without features).

        Raises:
            ImportError: without the extra `datasets`.
        """
        from geocell.features.datasets import to_dataset

        return to_dataset(self)

    def locations(self, *, in_memory: bool = True) -> Locations:
        """Return the locations that have at least one good view, in the order of their first view.

        The coordinates of a location are the spherical mean of its good views; further columns of the table are
        taken from its first good view.

        Args:
            in_memory: whether the features are loaded now, or stay on disk until rows are requested.
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
            features=self.features if in_memory else StoredFeatures(self),
            rows=rows[order],
            offsets=np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
            encoder=self.encoder,
            columns={str(c): views[c].to_numpy()[first] for c in views.columns if c not in skip},
        )


@dataclass(frozen=True, eq=False)
class StoredFeatures:
    """(N, D) features of a cache that stay on disk: rows are read on access."""

    cache: FeatureCache

    @property
    def shape(self) -> tuple[int, int]:
        """(N, D)."""
        return len(self.cache), self.cache.encoder.dim

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[np.float16]:
        """Return the (k, D) features of some rows."""
        return self.cache.take(rows)
