"""Drawing splits: by location and not by view, whole groups of places in one split, alike in their countries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.compute.seeds import MAX_SEED
from geocell.features.ids import Ids
from geocell.features.locations import Locations
from geocell.files import counted
from geocell.geo.geodesy import Floats, as_latlon
from geocell.splits.grouping import LOCATION, Columns, groups_of, protocol_of, require_by, require_columns, strata_of
from geocell.splits.splits import NAMES, Splits
from geocell.views import latlon_keys, rounded_latlon
from geocell.views.codes import TextCodes

if TYPE_CHECKING:
    from geocell.features import FeatureCache

_SPLIT_SPELLINGS = {"training": "train", "validation": "val", "valid": "val", "dev": "val", "testing": "test"}
_GROUPS = {LOCATION: "places", "country": "countries"}


def require_draw(
    fractions: Sequence[float], seed: int, buffer_km: float, by: str = LOCATION, stratify: str | None = None
) -> Floats:
    """Check the settings of `make_splits` that can be checked without locations, and return the (3,) shares.

    Raises:
        ValueError: for fractions, a seed or a buffer out of range, or groups that cannot be.
    """
    shares = np.asarray(fractions, dtype=np.float64)
    if shares.shape != (3,) or not (shares >= 0).all() or abs(shares.sum() - 1) > 1e-9 or shares[0] <= 0:
        raise ValueError(f"fractions must be three numbers >= 0 that sum to 1, train > 0, got {list(fractions)}.")
    if not 0 <= seed <= MAX_SEED:
        raise ValueError(f"seed must be from 0 to {MAX_SEED}, got {seed}.")
    if not 0 <= buffer_km < np.inf:
        raise ValueError(f"buffer_km must be a number of kilometres of at least 0, got {buffer_km}.")
    require_by(by, stratify, buffer_km)
    return shares


def make_splits(
    ids: Sequence[str] | NDArray[Any] | TextCodes,
    latlon: Floats,
    fractions: Sequence[float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    buffer_km: float = 0.0,
    *,
    by: str = LOCATION,
    stratify: str | None = None,
    columns: Columns | None = None,
) -> Splits:
    """Draw train, val and test at random, keeping neighbours together.

    Locations with one coordinate (to 1e-6 degrees), and locations closer than `buffer_km` directly or by a chain of
    neighbours, form a group; `by` makes larger ones. Each group goes to the split that is furthest below its share,
    among those that it does not fill beyond their share. With `stratify` that holds within every stratum: see
    `_deal_alike`. The draw depends on the locations and the seed, not on the order of the rows.

    Args:
        ids: (P,) location ids, or (N,) one per view: repeated ids are one location.
        latlon: (P, 2) or (N, 2) degrees.
        fractions: shares of train, val and test, which sum to 1.
        seed: seed of the draw.
        buffer_km: least distance between locations of different splits.
        by: what is kept in one split: `location`; `cell:R`, the locations of an H3 cell of resolution R; `country`, by
            the column of that name or by offline outlines; or the values of another column.
        stratify: column of which every split gets its share of each value; `country` without a column by outlines.
        columns: name -> (P,) or (N,) values.

    Raises:
        ValueError: for settings out of range, a column that lacks, or fewer groups than splits with a share.
    """
    if len(ids) == 0:
        raise ValueError("splits need at least one location with a position, got none.")
    shares = require_draw(fractions, seed, buffer_km, by, stratify)
    require_columns(by, stratify, columns or ())
    named = TextCodes.of(ids).ascending()
    order = np.argsort(named.codes, kind="stable")
    codes, points = named.codes[order], as_latlon(latlon)[order]
    used = {k: np.asarray(columns[k], dtype=object)[order] for k in columns or () if columns and k in (by, stratify)}
    groups = groups_of(codes, points, used, by, buffer_km)
    sizes = np.bincount(groups)
    if len(sizes) < np.count_nonzero(shares):
        few = "add locations, or lower --buffer-km" if by == LOCATION else "add locations, or use smaller groups"
        raise ValueError(
            f"a split needs at least {np.count_nonzero(shares)} separate {_GROUPS.get(by, 'groups')}, got {len(sizes)} "
            f"from {counted(len(named.names), 'location')}: {few}."
        )
    rng = np.random.default_rng(seed)
    if stratify is None:
        split_of_group = _deal(sizes, shares, rng)
    else:
        strata = strata_of(codes, points, used, stratify, len(named.names))
        split_of_group = _deal_alike(sizes, _commonest(groups, strata), shares, rng)
    split = split_of_group[groups]
    found = Ids(named.names)
    ids_by_name = {name: found.take(split == i) for i, name in enumerate(NAMES)}
    return Splits(ids_by_name, seed, float(buffer_km), protocol_of(by, stratify, buffer_km))


def splits_from_column(ids: Sequence[str] | NDArray[Any] | TextCodes, latlon: Floats, values: Sequence[Any]) -> Splits:
    """Return the splits that the split column of a table states.

    Raises:
        ValueError: for an empty name, or when views of one location, or locations with one coordinate, are in
            different splits.
    """
    stated = TextCodes.of([str(value).strip().lower() for value in values])
    names = [_SPLIT_SPELLINGS.get(name, name) for name in stated.texts()]
    if {"", "nan", "none"} & set(names):
        raise ValueError("the split column must name a split in every row, got an empty one: fill it or draw splits.")
    distinct = sorted(set(names))
    rank = {name: number for number, name in enumerate(distinct)}
    homes = np.array([rank[name] for name in names], dtype=np.int64)[stated.codes]
    named = TextCodes.of(ids).ascending()
    points = as_latlon(latlon)
    coordinates = np.unique(rounded_latlon(points).view(np.complex128)[:, 0], return_inverse=True)[1]
    conflicts = []
    for codes, n in ((named.codes, len(named.names)), (coordinates, int(coordinates.max(initial=-1)) + 1)):
        first = np.full(n, len(codes))
        np.minimum.at(first, codes, np.arange(len(codes)))
        row = int(np.argmax(np.concatenate((homes != homes[first[codes]], [True]))))
        conflicts.append((row, homes[first[codes[row]]] if row < len(codes) else -1))
    (by_id, other), (by_place, place_other) = conflicts
    if min(by_id, by_place) < len(homes):
        row = min(by_id, by_place)
        what = f"location {named.name(int(named.codes[row]))!r}"
        if by_place < by_id:
            what, other = f"coordinate {latlon_keys(points[row : row + 1])[0]}", place_other
        raise ValueError(
            f"a location must be in one split, got {what} in {distinct[other]!r} and {distinct[homes[row]]!r}: "
            "repair the split column, or leave it out to draw splits."
        )
    of_location = np.empty(len(named.names), dtype=np.int64)
    of_location[named.codes] = homes
    ordered = [name for name in NAMES if name in distinct] + [name for name in distinct if name not in NAMES]
    by_split = np.argsort(of_location, kind="stable")
    texts = TextCodes(by_split, named.names.take(by_split)).texts()
    ends = np.cumsum(np.bincount(of_location, minlength=len(distinct))).tolist()
    parts = {name: tuple(texts[first:end]) for name, first, end in zip(distinct, [0, *ends], ends, strict=False)}
    return Splits({name: parts[name] for name in ordered}, protocol="by the column split")


def split(
    source: Locations | FeatureCache | Path | str,
    fractions: Sequence[float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    buffer_km: float = 0.0,
    *,
    by: str = LOCATION,
    stratify: str | None = None,
) -> tuple[Locations, Locations, Locations]:
    """Draw splits, and return the training, validation and test locations; see `make_splits`.

    Args:
        source: locations, a feature cache, or the path of its folder.
        fractions: shares of train, val and test, which sum to 1.
        seed: seed of the draw.
        buffer_km: least distance between locations of different splits.
        by: what is kept in one split: `location`, `cell:R`, `country`, or the values of a column.
        stratify: column of which every split gets its share of each value, `country` say.

    Raises:
        FileNotFoundError: when there is no cache at the path.
        TypeError: for something else than these sources.
        ValueError: see `make_splits`.
    """
    from geocell.features import FeatureCache

    if isinstance(source, Path | str):
        source = FeatureCache.open(source)
    if isinstance(source, Locations):
        locations, ids, latlon = source, TextCodes.of(source.ids), source.latlon
        columns: Columns = source.columns
    elif not isinstance(source, FeatureCache):
        raise TypeError(f"split takes a feature cache, its path, or locations, got {type(source).__name__}.")
    else:  # coordinates of every view, as in the command: the buffer holds between views too
        locations, places = source.locations(), source.places()
        ids, latlon = source.location_names(places), places.view_latlon
        columns = source.view_columns(source.column_names, places.rows)
    splits = make_splits(ids, latlon, fractions, seed, buffer_km, by=by, stratify=stratify, columns=columns)
    nobody = locations.take(np.empty(0, dtype=np.int64))
    train, val, test = (splits.select(locations, name) if splits.ids[name] else nobody for name in NAMES)
    return train, val, test


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
    dealt = _deal_singles(len(sizes), target, wanted) if sizes.max() == 1 else None
    if dealt is not None:
        out[order] = dealt
        return out
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


def _deal_singles(n: int, target: Sequence[float], wanted: Sequence[int]) -> NDArray[np.int64] | None:
    """Return the (n,) splits that n groups of one location go to, in the order in which they are dealt; see `_deal`.

    The k-th location of a split comes when the share of its target that is left is the largest, and of equal shares the
    first split's: the deal merges one descending list per split. None where a split has too small a share for that.
    """
    room = [(target[i] - np.arange(np.ceil(target[i]) + 1)) / target[i] for i in wanted]
    fits = [np.arange(1, len(left) + 1) - target[i] < 1 for i, left in zip(wanted, room, strict=True)]
    if sum(map(np.count_nonzero, fits)) < n or not all(fit[0] for fit in fits):
        return None
    left = np.concatenate([left[fit] for left, fit in zip(room, fits, strict=True)])
    splits = np.repeat(wanted, list(map(np.count_nonzero, fits)))
    return np.asarray(splits[np.argsort(-left, kind="stable")[:n]], dtype=np.int64)


def _commonest(groups: NDArray[np.int64], strata: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the (n_groups,) stratum that most locations of a group have, of several the least."""
    from scipy.sparse import coo_array

    counts = coo_array((np.ones(len(groups), dtype=np.int64), (groups, strata))).tocsr()
    return np.asarray(counts.argmax(axis=1), dtype=np.int64).ravel()


def _deal_alike(
    sizes: NDArray[np.int64], strata: NDArray[np.int64], shares: Floats, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return the (n_groups,) split of every group, so that each stratum has its shares of the splits.

    Strata are dealt one after the other, the one with the largest group first, and in each the largest groups first;
    every group goes to the split that is furthest behind its share of what has been dealt so far, this group included.
    Unless one would stay empty, the splits are then never behind by more than twice the largest group, nor ahead by
    more than once, so in a stratum of one location per group every split has its share to within three, and over all
    strata too: strata of one location do not all go to the largest split.
    """
    wanted = np.flatnonzero(shares > 0)
    order = rng.permutation(len(sizes))
    largest = np.zeros(int(strata.max()) + 1, dtype=np.int64)
    np.maximum.at(largest, strata, sizes)
    tie = rng.permutation(len(largest))  # strata with equally large groups, in random order
    order = order[np.lexsort((-sizes[order], tie[strata[order]], -largest[strata[order]]))]
    behind = np.zeros(len(shares))
    have = np.zeros(len(shares), dtype=np.int64)
    out = np.empty(len(sizes), dtype=np.int64)
    for position, (group, size) in enumerate(zip(order.tolist(), sizes[order].tolist(), strict=True)):
        behind += shares * size
        empty = wanted[have[wanted] == 0]  # the last groups go to splits that would stay empty otherwise
        candidates = empty if len(empty) >= len(order) - position else wanted
        choice = candidates[int(np.argmax(behind[candidates]))]
        behind[choice] -= size
        have[choice] += size
        out[group] = choice
    return out
