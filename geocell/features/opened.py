"""FeatureCache: a folder with the features of every view from one encoder at one revision, and the table of views.

`cache.json` records the encoder, the number of rows and the size of shards; row i of `views.parquet` describes feature
row i, with a status; `features-00000.safetensors` … hold `shard_rows` rows each. Shards are written atomically, so a
run that is repeated writes only those that are missing. The folder may be one of an object store (`s3://…`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.display import Display, TextTable
from geocell.encoders.info import EncoderInfo
from geocell.features.locations import Locations, Rows, encoder_text, places_map
from geocell.features.manifest import MANIFEST_FILE, Manifest, read_problems
from geocell.features.mapped import MappedFeatures
from geocell.features.shards import FILE_DTYPE, checked_header, read_header, read_rows, read_shard, shard_path
from geocell.features.stamps import Stamp, require_in_place, stamp_of
from geocell.features.verification import verify_cache
from geocell.features.view_columns import ViewColumns, read_view_rows
from geocell.features.view_places import read_good, read_names, read_places, require_some
from geocell.features.views_file import VIEWS_FILE, ViewsFile, read_views_file
from geocell.features.views_writing import write_statuses
from geocell.files import DamagedFileError, as_place, columns_frame, is_local, read_folder
from geocell.views.codes import TextCodes
from geocell.views.places import ViewPlaces

if TYPE_CHECKING:
    import pandas as pd
    from datasets import Dataset

_SHOWN = 5  # views in a notebook
_READ_AT_ONCE = 1 << 18  # views of a cache whose columns are all read with its locations, and outlive its folder
_READERS = 4  # shards read concurrently: one thread does not saturate fast memory


def finish(folder: Path) -> FeatureCache:
    """Write every view's status into `views.parquet` once all shards are there, and open the cache."""
    manifest = Manifest.read(folder)
    write_statuses(folder, read_problems(folder, manifest), manifest.rows)
    return FeatureCache.open(folder)


@dataclass(frozen=True, eq=False, repr=False)
class FeatureCache:
    """An opened, complete cache.

    Attributes:
        folder: its folder.
        manifest: content of `cache.json`.
        good: (N,) whether a view has features.
        stamp: what tells its files from those of another cache that takes its place later.
    """

    folder: Path
    manifest: Manifest
    good: NDArray[np.bool_]
    stamp: Stamp = None

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
        stamp = stamp_of(folder)
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
        good, pending = read_good(folder, manifest.rows)
        if pending:
            raise ValueError(f"{folder} must be a finished cache, got pending views: run `geocell encode` again.")
        return cls(folder, manifest, good, stamp)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how another process, whose current folder may be another, opens the same files."""
        return _opened_elsewhere, (self.folder.absolute(), self.manifest, self.good)

    def __len__(self) -> int:
        """Return N."""
        return self.manifest.rows

    def __repr__(self) -> str:
        """Return where it is, how many views it has, and of which encoder."""
        bad = int((~self.good).sum())
        without = f" ({bad:,} without features)" if bad else ""
        return f"<FeatureCache {self.folder}: {len(self):,} views{without}, {self.encoder.name} D={self.encoder.dim}>"

    def _repr_html_(self) -> str:
        places = self.places()
        shown = self.view_rows(["image", "location", "lat", "lon"], np.arange(min(_SHOWN, len(self))))
        facts = [
            ("folder", str(self.folder)),
            ("views", f"{int(self.good.sum()):,} of {len(self):,} with features"),
            ("locations", f"{len(places):,}"),
            ("encoder", encoder_text(self.encoder)),
            ("columns", ", ".join(self.column_names)),
        ]
        rows = [
            (str(row["image"]), str(row["location"]), f"{row['lat']:.4f}", f"{row['lon']:.4f}")
            for _, row in shown.iterrows()
        ]
        tables = [
            TextTable(("image", "location", "lat", "lon"), rows, n_left=2, total=len(self)),
            TextTable(("no features", "views"), [(str(text), f"{n:,}") for text, n in self.problems().items()]),
        ]
        picture = places_map(places.view_latlon)
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
        found = hashlib.sha256(" ".join(read_header(path).sha256 for path in shards).encode()).hexdigest()
        require_in_place(self.folder, self.stamp)
        return found

    @cached_property
    def views(self) -> pd.DataFrame:
        """(N rows) the whole table of views, read when it is asked for; `status` says why a row has no features."""
        frame = read_views_file(self.folder, self.manifest.rows)
        require_in_place(self.folder, self.stamp)
        return frame

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        """Names of the columns of the table of views."""
        with ViewsFile(self.folder / VIEWS_FILE, self.manifest.rows) as views:
            names = tuple(views.names)
        require_in_place(self.folder, self.stamp)
        return names

    def view_rows(self, names: Sequence[str], rows: NDArray[np.int64]) -> pd.DataFrame:
        """Return some columns of some rows of the table of views, without holding the others."""
        frame = columns_frame(read_view_rows(self.folder, self.manifest.rows, names, rows))
        require_in_place(self.folder, self.stamp)
        return frame

    def view_columns(self, names: Sequence[str], rows: NDArray[np.int64]) -> ViewColumns:
        """Return some columns of some rows of the table of views, each read when it is asked for."""
        return ViewColumns(self.folder, self.manifest.rows, names, rows, self.stamp)

    def places(self) -> ViewPlaces:
        """Return where the good views are, and which of them show one location; no text is kept, no feature read."""
        places = read_places(self.folder, self.manifest.rows, self.good)
        require_in_place(self.folder, self.stamp)
        return places

    def location_names(self, places: ViewPlaces) -> TextCodes:
        """Return the location ids of `places()`."""
        names = read_names(self.folder, self.manifest.rows, places)
        require_in_place(self.folder, self.stamp)
        return TextCodes(places.codes, names)

    def location_columns(self, places: ViewPlaces) -> ViewColumns:
        """Return the further columns of the locations of `places()`, from the first view of each."""
        skip = {"image", "location", "lat", "lon", "status", "heading"}
        names = [name for name in self.column_names if name not in skip]
        return self.view_columns(names, places.first)

    def problems(self) -> dict[str, int]:
        """Return why views have no features -> how many, the most frequent first."""
        counts: Counter[str] = Counter()
        if not self.good.all():
            rows = np.flatnonzero(~self.good)
            counts.update(self.view_rows(["status"], rows)["status"].tolist())
        return dict(counts.most_common())

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
        require_in_place(self.folder, self.stamp)
        return out

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        """Return the (k, D) features of some rows, reading no others.

        Raises:
            IndexError: when a row is not in 0 … N - 1.
            ValueError: when another cache has taken the place of this one.
        """
        rows = np.asarray(rows, dtype=np.int64)
        if is_local(self.folder):
            taken = MappedFeatures(self.folder, self.manifest, pinned=False)[rows]  # looks at no other shard
            require_in_place(self.folder, self.stamp)
            return taken
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"rows must be in 0 … {len(self) - 1}, got {rows.min()} … {rows.max()}.")
        out = np.empty((len(rows), self.encoder.dim), dtype=FILE_DTYPE)
        shards = rows // self.manifest.shard_rows
        for index in np.unique(shards).tolist():
            first, last = self.manifest.shard_range(index)
            where = np.flatnonzero(shards == index)
            shape = (last - first, self.encoder.dim)
            out[where] = read_rows(shard_path(self.folder, index), shape, rows[where] - first)
        require_in_place(self.folder, self.stamp)
        return out

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
            in_memory: whether the features are kept at hand: mapped into memory where the folder is on a local disk,
                and loaded now where it is not. Otherwise files are opened again whenever rows are requested, and hold
                no memory in between.
        """
        places = self.places()
        require_some(places, self.folder)
        counts, columns = np.bincount(places.codes), self.location_columns(places)
        return Locations(
            ids=np.asarray(self.location_names(places).texts(), dtype=object),
            latlon=places.latlon,
            features=self._rows(in_memory),
            rows=places.rows[np.argsort(places.codes, kind="stable")],
            offsets=np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
            encoder=self.encoder,
            columns=columns.read() if in_memory and len(self) <= _READ_AT_ONCE else columns,
        )

    def _rows(self, in_memory: bool) -> Rows:
        if not in_memory:
            return StoredFeatures(self)
        return self._mapped() if is_local(self.folder) else self.features

    def _mapped(self) -> MappedFeatures:
        features = MappedFeatures(self.folder, self.manifest)  # which notes the files that there are, of this cache
        require_in_place(self.folder, self.stamp)
        return features


def _opened_elsewhere(folder: Path, manifest: Manifest, good: NDArray[np.bool_]) -> FeatureCache:
    """Return a cache that another process opened: on another machine its files have other numbers."""
    stamp = stamp_of(folder)
    if Manifest.read(folder) != manifest:
        raise ValueError(f"{folder} was replaced by another cache while it was read: run the command again.")
    return FeatureCache(folder, manifest, good, stamp)


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
