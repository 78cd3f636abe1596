"""What commands share: how results are printed, and where their locations come from."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from cyclopts import Parameter

from geocell.decoders.table import decoder_usage
from geocell.files import printable
from geocell.views import ColumnNames
from geocell.views.codes import TextCodes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geocell.features.locations import Locations
    from geocell.geo.geodesy import Floats
    from geocell.heads.combination import Combination
    from geocell.heads.head import Head
    from geocell.heads.source import HeadSource
    from geocell.heads.zero_shot import ZeroShot
    from geocell.images.downloads import DownloadConfig
    from geocell.metrics.clusters import Clusters
    from geocell.splits.splits import Splits
    from geocell.views import Views


COUNTRY = "country"
"""The column that says which country a location is in."""


Decode = Annotated[str, Parameter(help=f"How a posterior becomes a point: {decoder_usage()}; or module:attribute.")]
"""The flag `--decode`, whose help is made from the decoders."""


class UsageError(ValueError):
    """Flags that do not make a command: exit status 2."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C ended a command; the message says what is kept and how to continue. Exit status 130."""


def emit(result: Mapping[str, Any], text: str, as_json: bool) -> None:
    """Print the result on standard output: one JSON object, or text; names in it cannot steer the terminal."""
    print(_printable_json(result) if as_json else printable(text, lines=True))


def note(text: str) -> None:
    """Say something beside the result, on standard error, in one line."""
    print(printable(text), file=sys.stderr)


def _printable_json(result: Mapping[str, Any]) -> str:
    """Return strict JSON in which what `printable` would replace is escaped, so that no name changes."""
    text = json.dumps(result, ensure_ascii=False, indent=1, allow_nan=False)
    return re.sub(r"[^\n -~]", lambda found: _escaped(found[0]), text)


def _escaped(character: str) -> str:
    return character if printable(character) == character else f"\\u{ord(character):04x}"


@contextmanager
def usage_errors() -> Iterator[None]:
    """Make a ValueError or ImportError of the block one of usage: a flag was given a value that it cannot have.

    A package that is not installed stays a failure.
    """
    try:
        yield
    except ModuleNotFoundError:
        raise
    except (ValueError, ImportError) as error:
        raise UsageError(str(error)) from error


def read_table(
    path: Path | str,
    columns: ColumnNames,
    *,
    root: Path | None = None,
    downloads: DownloadConfig | None = None,
    images_optional: bool = False,
) -> Views:
    """Read views, and say what is remarkable about them; see `geocell.views.open_views`."""
    from geocell.views import open_views

    table = open_views(path, columns, root=root, downloads=downloads, images_optional=images_optional)
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
        return self.places(columns).latlon

    def places(self, columns: ColumnNames) -> Places:
        """Return the coordinates of every location, and what else an audit asks about them."""
        if (self.cache is None) == (self.table is None):
            raise UsageError("expected one of --cache DIR and --table FILE: pass the one that has the locations.")
        split = split_name(self.splits, self.split, "train")
        if self.table is not None:
            if self.splits is not None:
                raise UsageError("--splits names locations of a cache: pass --cache instead of --table.")
            from geocell.views import location_column, location_coordinates

            table = read_table(self.table, columns, images_optional=True)
            countries = location_column(table, COUNTRY)
            return Places(location_coordinates(table), {} if countries is None else {COUNTRY: countries})
        return _cache_places(Path(self.cache or ""), self.splits, split)


def require_state(state: Path, what: str, resume: bool, overwrite: bool) -> None:
    """Refuse to continue without the state of a fit or a training, or to discard one unasked."""
    if resume and not state.is_file():
        raise FileNotFoundError(f"--resume needs the state of a {what}, and there is none at {state}: leave it out.")
    if state.exists() and not (overwrite or resume):
        raise FileExistsError(
            f"{state} is the state of an interrupted {what}: continue it with --resume, or pass --overwrite to start "
            "again."
        )


def open_head(name: str, partitioner: str | None = None) -> tuple[Head, HeadSource]:
    """Return a head by folder or `user/repo@revision`, and its source; remarks on it go to standard error."""
    from geocell.heads.hashes import why_not_hashed
    from geocell.heads.head import load_head
    from geocell.heads.source import find_head
    from geocell.heads.zero_shot_folder import is_zero_shot

    source = find_head(name)
    if source.remark:
        note(source.remark)
    if is_zero_shot(source.folder):
        raise ValueError(
            f"{name} must be a head, got a zero-shot classifier: make a head of words with `geocell zero-shot-head`."
        )
    head = load_head(source, partitioner)
    if remark := why_not_hashed(source.folder):
        note(remark)
    return head, source


def open_answerer(name: str, partitioner: str | None = None) -> tuple[Head | Combination | ZeroShot, HeadSource]:
    """Return what answers like a head, by its folder or `user/repo@revision`, and its source; see `open_head`."""
    from geocell.heads.hashes import why_not_hashed
    from geocell.heads.loading import is_ensemble, load_head_like
    from geocell.heads.source import find_head
    from geocell.heads.zero_shot_folder import is_zero_shot

    source = find_head(name)
    if source.remark:
        note(source.remark)
    head = load_head_like(source, partitioner)
    if not is_ensemble(source) and not is_zero_shot(source.folder) and (remark := why_not_hashed(source.folder)):
        note(remark)
    return head, source


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
    from geocell.splits.splits import Splits

    loaded = None if splits is None else Splits.load(splits)
    if loaded is not None:
        with usage_errors():
            loaded.require_split(split)
    locations = FeatureCache.open(cache).locations(in_memory=in_memory)
    if loaded is None:
        return locations, None
    chosen = split_locations(locations, loaded, split, cache)
    return chosen, count_at_training_coordinates(chosen.latlon, _training_latlon(locations, loaded))


def _cache_places(cache: Path, splits: Path | None, split: str) -> Places:
    """Return where the locations of a cache, or of one of its splits, are, without their ids and features."""
    from geocell.features import FeatureCache
    from geocell.splits.splits import Splits

    loaded = None if splits is None else Splits.load(splits)
    if loaded is not None:
        with usage_errors():
            loaded.require_split(split)
    opened = FeatureCache.open(cache)
    places = opened.places()
    places.require_some(opened.folder)
    columns = opened.location_columns(places)
    if loaded is None:
        return Places(places.latlon, columns, opened.encoder.dim)
    rows = _split_rows(opened.location_names(places), places.latlon, loaded, split, cache)
    return Places(places.latlon[rows], columns.take(rows), opened.encoder.dim)


def drawn_clusters(locations: Locations, cluster: str | None, splits: Path | None) -> Clusters:
    """Return what was drawn together: by `--cluster`, or what the splits kept together, or places."""
    from geocell.evaluation.clusters import clusters_of
    from geocell.splits.splits import Splits

    with usage_errors():
        return clusters_of(locations, cluster, None if splits is None else Splits.load(splits))


def split_locations(locations: Locations, splits: Splits, split: str, cache: Path) -> Locations:
    """Return the locations of one split; say which are missing, and which have the coordinates of a training location.

    Args:
        locations: all of a cache.
        splits: the splits.
        split: name of one.
        cache: folder of the cache, for the remark.
    """
    return locations.take(_split_rows(TextCodes.of(locations.ids), locations.latlon, splits, split, cache))


def _split_rows(ids: TextCodes, latlon: Floats, splits: Splits, split: str, cache: Path) -> NDArray[np.int64]:
    """Return which of P locations, whose ids are distinct, are in a split; see `split_locations`."""
    from geocell.splits.leaks import shared_coordinates_remark

    rows, n_wanted = splits.rows(ids, split), len(splits.ids[split])
    if len(rows) < n_wanted:
        note(f"{len(rows):,} of the {n_wanted:,} locations of split {split} are in {cache}")
    if split != "train":
        train = latlon[np.flatnonzero(ids.within(splits.ids.get("train", ())))]
        remark = shared_coordinates_remark(latlon[rows], train, split)
        if remark:
            note(remark)
    return rows


def _training_latlon(locations: Locations, splits: Splits) -> Floats:
    train = set(splits.ids.get("train", ()))
    return locations.latlon[[location in train for location in locations.ids.tolist()]]
