"""Where the locations of commands come from: tables, caches and their splits."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocell.cli.output import UsageError, note, usage_errors
from geocell.views import ColumnNames

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from geocell.features.locations import Locations
    from geocell.geo.geodesy import Floats
    from geocell.images.downloads import DownloadConfig
    from geocell.metrics.clusters import Clusters
    from geocell.splits.splits import AnyIds, Splits
    from geocell.views import Views

COUNTRY = "country"
"""The column that says which country a location is in."""


def read_table(
    path: Path | str,
    columns: ColumnNames,
    *,
    root: Path | str | None = None,
    downloads: DownloadConfig | None = None,
    images_optional: bool = False,
    only: Collection[str] | None = None,
) -> Views:
    """Read views, and say what is remarkable about them; see `geocell.views.open_views`."""
    from geocell.views import open_views

    table = open_views(path, columns, root=root, downloads=downloads, images_optional=images_optional, only=only)
    for remark in table.remarks:
        note(remark)
    return table


@dataclass(frozen=True, eq=False)
class Places:
    """Where locations are.

    Attributes:
        latlon: (P, 2) degrees.
        columns: further columns of each, name -> (P,) values, which are read when they are asked for.
        dim: D of their features, None when they come from a table.
    """

    latlon: Floats
    columns: Mapping[str, NDArray[Any]]
    dim: int | None = None

    @property
    def countries(self) -> NDArray[Any] | None:
        """(P,) country of each, None when there is no such column."""
        return self.columns.get(COUNTRY)


@dataclass(frozen=True)
class Source:
    """Where locations come from: a cache, some of its splits, or a table.

    Attributes:
        cache: feature cache whose locations are used.
        splits: splits.json; without it every location of the cache is used.
        split: which split of it; train when left out.
        table: table with coordinates, instead of a cache.
    """

    cache: Path | None = None
    splits: Path | None = None
    split: str | None = None
    table: Path | None = None

    @property
    def text(self) -> str:
        """What is written down about it in an artefact."""
        if self.table is not None:
            return self.table.name
        split = split_name(self.splits, self.split, "train")
        return f"{self.cache.name if self.cache else ''}, {f'split {split}' if self.splits else 'all locations'}"

    def latlon(self, columns: ColumnNames) -> Floats:
        """Return (P, 2) degrees, one row per location."""
        return self._places(columns, []).latlon

    def places(self, columns: ColumnNames) -> Places:
        """Return the coordinates of every location, and what else an audit asks about them."""
        return self._places(columns, [COUNTRY])

    def _places(self, columns: ColumnNames, wanted: Collection[str]) -> Places:
        """Return where locations are, and those of some columns of a table that it has."""
        if (self.cache is None) == (self.table is None):
            raise UsageError("expected one of --cache DIR and --table FILE: pass the one that has the locations.")
        split = split_name(self.splits, self.split, "train")
        if self.table is not None:
            if self.splits is not None:
                raise UsageError("--splits names locations of a cache: pass --cache instead of --table.")
            table = read_table(self.table, columns, images_optional=True, only=wanted)
            known = [name for name in wanted if name in table.names]
            return Places(
                table.places.latlon, {name: table.take(name, table.places.first).to_numpy() for name in known}
            )
        return _cache_places(Path(self.cache or ""), self.splits, split)


def load_splits(path: Path) -> Splits:
    """Return the splits of a file, the same ones when it is asked for again and did not change."""
    from geocell.splits.splits import Splits

    if not path.is_file():
        return Splits.load(path)  # which says what is wrong
    stat = path.stat()
    return _splits(path, stat.st_ino, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=1)
def _splits(path: Path, *_version: int) -> Splits:
    from geocell.splits.splits import Splits

    return Splits.load(path)


def split_name(splits: Path | None, split: str | None, usual: str) -> str:
    """Return the split that is meant: the usual one of splits.json when none was typed, and "all" without that file."""
    if splits is None and split is not None:
        raise UsageError(f"--split {split} names a part of splits.json: pass --splits FILE, or leave --split out.")
    return "all" if splits is None else split or usual


def cache_locations(cache: Path, splits: Path | None, split: str, *, in_memory: bool = True) -> Locations:
    """Return the locations of a cache, or of one of its splits, with their features in memory or on the disk."""
    return counted_locations(cache, splits, split, in_memory=in_memory)[0]


def counted_locations(
    cache: Path, splits: Path | None, split: str, *, in_memory: bool = True
) -> tuple[Locations, int | None]:
    """Return what `cache_locations` does, and how many of them have the coordinates of a training location.

    The number is None without splits; for the training locations it is all of them.
    """
    from geocell.features import FeatureCache
    from geocell.splits.leaks import count_at_training_coordinates

    loaded = None if splits is None else load_splits(splits)
    if loaded is not None:
        with usage_errors():
            loaded.require_split(split)
    locations = FeatureCache.open(cache).locations(in_memory=in_memory)
    if loaded is None:
        return locations, None
    chosen = split_locations(locations, loaded, split, cache)
    if split == "train":
        return chosen, len(chosen)
    return chosen, count_at_training_coordinates(
        chosen.latlon, locations.latlon[loaded.members(locations.ids, "train")]
    )


def _cache_places(cache: Path, splits: Path | None, split: str) -> Places:
    """Return where the locations of a cache, or of one of its splits, are, without their ids and features."""
    import numpy as np

    from geocell.features import FeatureCache
    from geocell.features.view_places import require_some
    from geocell.views.codes import TextCodes

    loaded = None if splits is None else load_splits(splits)
    if loaded is not None:
        with usage_errors():
            loaded.require_split(split)
    opened = FeatureCache.open(cache)
    places = opened.places()
    require_some(places, opened.folder)
    columns = opened.location_columns(places)
    if loaded is None:
        return Places(places.latlon, columns, opened.encoder.dim)
    views = opened.location_names(places)
    names = TextCodes(np.arange(len(places)), views.names)  # of locations: those of views repeat
    rows = _split_rows(names, places.latlon, loaded, split, cache)
    return Places(places.latlon[rows], columns.take(rows), opened.encoder.dim)


def drawn_clusters(locations: Locations, cluster: str | None, splits: Path | None) -> Clusters:
    """Return what was drawn together: by `--cluster`, or what the splits kept together, or places."""
    from geocell.evaluation.clusters import clusters_of

    with usage_errors():
        return clusters_of(locations, cluster, None if splits is None else load_splits(splits))


def split_locations(locations: Locations, splits: Splits, split: str, cache: Path) -> Locations:
    """Return the locations of one split; say which are missing, and which have the coordinates of a training location.

    Args:
        locations: all of a cache.
        splits: the splits.
        split: name of one.
        cache: folder of the cache, for the remark.
    """
    return locations.take(_split_rows(locations.ids, locations.latlon, splits, split, cache))


def _split_rows(ids: AnyIds, latlon: Floats, splits: Splits, split: str, cache: Path) -> NDArray[np.int64]:
    """Return which of P locations, whose ids are distinct, are in a split; see `split_locations`."""
    from geocell.splits.leaks import shared_coordinates_remark

    rows, n_wanted = splits.rows(ids, split), len(splits.ids[split])
    if len(rows) < n_wanted:
        note(f"{len(rows):,} of the {n_wanted:,} locations of split {split} are in {cache}")
    if split != "train":
        train = latlon[splits.members(ids, "train")]
        remark = shared_coordinates_remark(latlon[rows], train, split)
        if remark:
            note(remark)
    return rows
