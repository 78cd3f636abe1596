"""Drawing splits: by location and not by view, with neighbours closer than a buffer in one split."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.compute.seeds import MAX_SEED
from geocell.features.locations import Locations
from geocell.files import counted
from geocell.geo.geodesy import Floats, as_latlon
from geocell.splits.neighbours import connected_places
from geocell.splits.splits import NAMES, Splits
from geocell.views import latlon_keys, rounded_latlon

if TYPE_CHECKING:
    from geocell.features import FeatureCache

_SPLIT_SPELLINGS = {"training": "train", "validation": "val", "valid": "val", "dev": "val", "testing": "test"}


def require_draw(fractions: Sequence[float], seed: int, buffer_km: float) -> Floats:
    """Check the settings of `make_splits` that can be checked without locations, and return the (3,) shares.

    Raises:
        ValueError: for fractions, a seed or a buffer out of range.
    """
    shares = np.asarray(fractions, dtype=np.float64)
    if shares.shape != (3,) or not (shares >= 0).all() or abs(shares.sum() - 1) > 1e-9 or shares[0] <= 0:
        raise ValueError(f"fractions must be three numbers >= 0 that sum to 1, train > 0, got {list(fractions)}.")
    if not 0 <= seed <= MAX_SEED:
        raise ValueError(f"seed must be from 0 to {MAX_SEED}, got {seed}.")
    if not 0 <= buffer_km < np.inf:
        raise ValueError(f"buffer_km must be a number of kilometres of at least 0, got {buffer_km}.")
    return shares


def make_splits(
    ids: Sequence[str] | NDArray[Any],
    latlon: Floats,
    fractions: Sequence[float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    buffer_km: float = 0.0,
) -> Splits:
    """Draw train, val and test at random, keeping neighbours together.

    Locations with one coordinate (to 1e-6 degrees), and locations closer than `buffer_km` directly or by a chain of
    neighbours, form a group. Each group goes to the split that is furthest below its share, among those that it does
    not fill beyond their share. The draw depends on the locations and the seed, not on the order of the rows.

    Args:
        ids: (P,) location ids, or (N,) one per view: repeated ids are one location.
        latlon: (P, 2) or (N, 2) degrees.
        fractions: shares of train, val and test, which sum to 1.
        seed: seed of the draw.
        buffer_km: least distance between locations of different splits.

    Raises:
        ValueError: for settings out of range, or fewer groups than splits with a share.
    """
    if len(ids) == 0:
        raise ValueError("splits need at least one location with a position, got none.")
    shares = require_draw(fractions, seed, buffer_km)
    names = np.asarray([str(location) for location in ids], dtype=object)
    order = np.argsort(names.astype(str), kind="stable")
    unique, codes = np.unique(names[order].astype(str), return_inverse=True)
    groups = _groups(codes, as_latlon(latlon)[order], len(unique), buffer_km)
    sizes = np.bincount(groups)
    if len(sizes) < np.count_nonzero(shares):
        raise ValueError(
            f"a split needs at least {np.count_nonzero(shares)} separate places, got {len(sizes)} "
            f"from {counted(len(unique), 'location')}: add locations, or lower --buffer-km."
        )
    split_of_group = _deal(sizes, shares, np.random.default_rng(seed))
    split = split_of_group[groups]
    ids_by_name = {name: tuple(unique[split == i].tolist()) for i, name in enumerate(NAMES)}
    return Splits(ids_by_name, seed, float(buffer_km))


def splits_from_column(ids: Sequence[str] | NDArray[Any], latlon: Floats, values: Sequence[Any]) -> Splits:
    """Return the splits that the split column of a table states.

    Raises:
        ValueError: for an empty name, or when views of one location, or locations with one coordinate, are in
            different splits.
    """
    names = [_SPLIT_SPELLINGS.get(name, name) for name in (str(value).strip().lower() for value in values)]
    if {"", "nan", "none"} & set(names):
        raise ValueError("the split column must name a split in every row, got an empty one: fill it or draw splits.")
    homes: dict[str, tuple[str, str]] = {}
    for location, key, name in zip(ids, latlon_keys(as_latlon(latlon)), names, strict=True):
        for mark, what in ((f"id {location}", f"location {location!r}"), (key, f"coordinate {key}")):
            other, _ = homes.setdefault(mark, (name, what))
            if other != name:
                raise ValueError(
                    f"a location must be in one split, got {what} in {other!r} and {name!r}: "
                    "repair the split column, or leave it out to draw splits."
                )
    members: dict[str, set[str]] = {}
    for location, name in zip(ids, names, strict=True):
        members.setdefault(name, set()).add(str(location))
    ordered = [name for name in NAMES if name in members] + sorted(set(members) - set(NAMES))
    return Splits({name: tuple(sorted(members[name])) for name in ordered})


def split(
    source: Locations | FeatureCache | Path | str,
    fractions: Sequence[float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    buffer_km: float = 0.0,
) -> tuple[Locations, Locations, Locations]:
    """Draw splits, and return the training, validation and test locations; see `make_splits`.

    Args:
        source: locations, a feature cache, or the path of its folder.
        fractions: shares of train, val and test, which sum to 1.
        seed: seed of the draw.
        buffer_km: least distance between locations of different splits.

    Raises:
        FileNotFoundError: when there is no cache at the path.
        TypeError: for something else than these sources.
        ValueError: see `make_splits`.
    """
    from geocell.features import FeatureCache

    if isinstance(source, Path | str):
        source = FeatureCache.open(source)
    if isinstance(source, Locations):
        locations, ids, latlon = source, source.ids, source.latlon
    elif not isinstance(source, FeatureCache):
        raise TypeError(f"split takes a feature cache, its path, or locations, got {type(source).__name__}.")
    else:  # coordinates of every view, as in the command: the buffer holds between views too
        locations, views = source.locations(), source.views[source.good]
        ids, latlon = views["location"].to_numpy(object), views[["lat", "lon"]].to_numpy(np.float64)
    splits = make_splits(ids, latlon, fractions, seed, buffer_km)
    nobody = locations.take(np.empty(0, dtype=np.int64))
    train, val, test = (splits.select(locations, name) if splits.ids[name] else nobody for name in NAMES)
    return train, val, test


def _groups(codes: NDArray[np.int64], latlon: Floats, n_locations: int, buffer_km: float) -> NDArray[np.int64]:
    """Return the (n_locations,) group of every location, connected by a shared coordinate or by the buffer."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    marks = [np.unique(rounded_latlon(latlon).view(np.complex128)[:, 0], return_inverse=True)[1]]
    if buffer_km > 0:
        marks.append(connected_places(latlon, buffer_km))
    columns, n = [], n_locations
    for mark in marks:
        columns.append(mark + n)
        n += int(mark.max()) + 1
    rows = np.tile(codes, len(marks))
    graph = coo_array((np.ones(len(rows), dtype=np.int8), (rows, np.concatenate(columns))), shape=(n, n))
    _, labels = connected_components(graph, directed=False)
    _, first, groups = np.unique(labels[:n_locations], return_index=True, return_inverse=True)
    rank = np.argsort(np.argsort(first))  # number the groups by their first location, a canonical order
    return np.asarray(rank[groups], dtype=np.int64)


def _deal(sizes: NDArray[np.int64], shares: Floats, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the (n_groups,) split of every group, dealt in random order to the split furthest below its share.

    Groups larger than the smallest share are dealt first, while other splits have room for them. A group that would
    exceed the share of a split by a location or more goes to another one; a group that is too large for all of them
    goes to the split with the most room.
    """
    target = (shares * sizes.sum()).tolist()
    have = [0] * len(target)
    out = np.empty(len(sizes), dtype=np.int64)
    wanted = [i for i, size in enumerate(target) if size > 0]
    order = rng.permutation(len(sizes))
    order = order[np.argsort(sizes[order] <= min(target[i] for i in wanted), kind="stable")]
    for position, (group, size) in enumerate(zip(order.tolist(), sizes[order].tolist(), strict=True)):
        # the last groups go to splits that would stay empty otherwise
        empty = [i for i in wanted if not have[i]]
        candidates = empty if len(empty) >= len(order) - position else wanted
        fitting = [i for i in candidates if have[i] + size - target[i] < 1]
        room = [(target[i] - have[i]) / (target[i] if fitting else 1) for i in fitting or candidates]
        choice = (fitting or candidates)[room.index(max(room))]
        out[group] = choice
        have[choice] += size
    return out
