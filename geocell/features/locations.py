"""Locations and their views: the unit of splits, partitions, fits and scores."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.display import Display
from geocell.encoders.info import EncoderInfo
from geocell.features.view_columns import ViewColumns
from geocell.geo.geodesy import as_latlon, grouped_coordinates
from geocell.geo.thumbnails import Marks, map_svg
from geocell.views.places import MAX_SPREAD_KM, farthest_view

_HASHED = 1 << 16  # locations that are hashed at a time
_POOLED = 2048  # locations whose views are summed at a time: those of all, in float64, would not fit into memory


class Rows(Protocol):
    """(N, D) numbers that rows are taken from: an array, or the features of a cache that stay on the disk."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, D)."""
        ...

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[Any]:
        """Return the (k, D) numbers of some rows."""
        ...


@dataclass(frozen=True, eq=False, repr=False)
class Locations:
    """P locations with 1..V views each, and the features of those views.

    Attributes:
        ids: (P,) location ids, str.
        latlon: (P, 2) float64 degrees.
        features: (N, D) floats, one row per view; views of a location are `rows[offsets[i]:offsets[i+1]]`.
        rows: (N',) int64 rows of `features`, grouped by location.
        offsets: (P+1,) int64.
        encoder: identity of the encoder that made the features.
        columns: further columns of each location, name -> (P,) array (country, say).
    """

    ids: NDArray[np.object_]
    latlon: NDArray[np.float64]
    features: Rows
    rows: NDArray[np.int64]
    offsets: NDArray[np.int64]
    encoder: EncoderInfo
    columns: Mapping[str, NDArray[Any]]

    @classmethod
    def from_arrays(
        cls,
        features: ArrayLike,
        latlon: ArrayLike,
        ids: Sequence[object] | NDArray[Any] | None = None,
        *,
        encoder: EncoderInfo | str,
        columns: Mapping[str, ArrayLike] | None = None,
    ) -> Locations:
        """Return locations of arrays that are in memory.

        Args:
            features: (N, D) finite floats, one row per view; rounded to float16 as in a feature cache.
            latlon: (N, 2) degrees.
            ids: (N,) location of each view, views of one location having the same one; without it every view is a
                location of its own.
            encoder: which encoder made them; a name suffices where features of others are told apart by it alone.
            columns: further columns, name -> (N,) values; those of a location are the ones of its first view.

        Raises:
            ValueError: for another shape, a value that is not finite, coordinates that are no degrees, an id that is
                missing, or views of one location that lie more than a kilometre from its middle.
        """
        rows = np.asarray(features)
        if rows.ndim != 2 or not rows.shape[1] or rows.dtype.kind != "f":
            raise ValueError(f"features must be floats of shape (N, D), got {rows.dtype} {rows.shape}.")
        with np.errstate(over="ignore"):
            stored = rows.astype(np.float16)
        broken = np.flatnonzero(~np.isfinite(stored).all(axis=1))
        if len(broken):
            raise ValueError(
                f"features must be finite and within ±65,504, got others in row {broken[0]}: leave these rows out."
            )
        places = as_latlon(latlon)
        names = _id_texts(range(len(rows)) if ids is None else ids)
        extra = {name: np.asarray(values) for name, values in (columns or {}).items()}
        wrong = {name: len(v) for name, v in {"latlon": places, "ids": names, **extra}.items() if len(v) != len(rows)}
        if wrong or not len(rows):
            raise ValueError(
                f"every view needs one row of each, from one row on, got {len(rows):,} of features and {wrong}."
            )
        info = EncoderInfo.named(encoder, rows.shape[1]) if isinstance(encoder, str) else encoder
        if info.dim != rows.shape[1]:
            raise ValueError(f"the encoder {info.name} must give {info.dim} features, got {rows.shape[1]}.")
        first, groups = _first_and_groups(names)
        worst, km = farthest_view(places, groups, len(first))
        if km > MAX_SPREAD_KM:
            raise ValueError(
                f"views of one location must lie within {MAX_SPREAD_KM:g} km, got {km:.1f} km from the middle of "
                f"location {names[worst]!r} in row {worst}: check ids."
            )
        order = np.argsort(groups, kind="stable")
        return cls(
            ids=names[first],
            latlon=grouped_coordinates(places, groups, len(first)),
            features=stored,
            rows=order,
            offsets=np.concatenate(([0], np.cumsum(np.bincount(groups)))).astype(np.int64),
            encoder=info,
            columns={name: values[first] for name, values in extra.items()},
        )

    def __repr__(self) -> str:
        """Return how many there are, and of which encoder."""
        return f"<Locations: {len(self):,} with {self.n_views:,} views, {self.encoder.name} D={self.dim}>"

    def _repr_html_(self) -> str:
        views = f"{self.n_views:,}"
        if self.n_views != len(self) and len(self):
            most = int(np.diff(self.offsets).max())
            views += f", {self.n_views / len(self):.1f} per location, at most {most:,}"
        facts = [("views", views), ("encoder", encoder_text(self.encoder)), ("columns", ", ".join(self.columns))]
        return Display(f"Locations: {len(self):,}", facts, picture=places_map(self.latlon)).html()

    def __len__(self) -> int:
        """Return P."""
        return len(self.ids)

    @property
    def n_views(self) -> int:
        """Number of views of these locations."""
        return len(self.rows)

    @property
    def dim(self) -> int:
        """D."""
        return int(self.features.shape[1])

    @cached_property
    def view_location(self) -> NDArray[np.int64]:
        """(N',) index of the location that each entry of `rows` shows."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    @cached_property
    def hashes(self) -> NDArray[np.uint64]:
        """(P,) the first 8 bytes of the SHA-256 of id and coordinates: see `geocell.heads.trained_on`."""
        found = np.empty(len(self), dtype=np.uint64)
        for first in range(0, len(self), _HASHED):
            degrees = np.round(self.latlon[first : first + _HASHED], 6) + 0.0  # no negative zero
            digests = (
                hashlib.sha256(f"{name}\0{lat:.6f},{lon:.6f}".encode(errors="surrogatepass")).digest()[:8]
                for name, (lat, lon) in zip(self.ids[first : first + _HASHED].tolist(), degrees.tolist(), strict=True)
            )
            found[first : first + _HASHED] = np.frombuffer(b"".join(digests), dtype="<u8")
        return found

    def view_features(self) -> NDArray[np.float32]:
        """Return the (N', D) float32 features of these locations' views, grouped by location."""
        return np.asarray(self.features[self.rows], dtype=np.float32)

    def mean_features(self) -> NDArray[np.float32]:
        """Return the (P, D) float32 mean over each location's views (`feature` fusion)."""
        means = np.empty((len(self), self.dim), dtype=np.float32)
        for first in range(0, len(self), _POOLED):
            offsets = self.offsets[first : first + _POOLED + 1]
            views = np.asarray(self.features[self.rows[offsets[0] : offsets[-1]]], dtype=np.float32)
            if len(views) == len(offsets) - 1:  # one view each
                means[first : first + _POOLED] = views
                continue
            sums = np.add.reduceat(views.astype(np.float64), offsets[:-1] - offsets[0], axis=0)
            means[first : first + _POOLED] = sums / np.diff(offsets)[:, None]
        return means

    def take(self, index: NDArray[np.int64]) -> Locations:
        """Return the locations at `index` (P',), sharing the features."""
        starts, counts = self.offsets[index], np.diff(self.offsets)[index]
        offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
        within = np.arange(offsets[-1]) - np.repeat(offsets[:-1], counts)
        return replace(
            self,
            ids=self.ids[index],
            latlon=self.latlon[index],
            rows=self.rows[np.repeat(starts, counts) + within],
            offsets=offsets,
            columns=_taken(self.columns, index),
        )

    def pooled(self) -> Locations:
        """Return them with one view each, the mean over their views, in memory."""
        numbers = np.arange(len(self) + 1)
        return replace(self, features=self.mean_features(), rows=numbers[:-1], offsets=numbers)

    def loaded(self) -> Locations:
        """Return them with the features of their own views alone, in memory."""
        return replace(self, features=np.asarray(self.features[self.rows]), rows=np.arange(len(self.rows)))


def _taken(columns: Mapping[str, NDArray[Any]], index: NDArray[np.int64]) -> Mapping[str, NDArray[Any]]:
    """Return the values of some locations; those of a cache are not read for that."""
    if isinstance(columns, ViewColumns):
        return columns.take(index)
    return {name: values[index] for name, values in columns.items()}


def _id_texts(ids: Iterable[object]) -> NDArray[np.object_]:
    """Return ids as texts; raises ValueError for one that is missing, or all of these would be one location."""
    texts = []
    for row, value in enumerate(ids):
        if value is None or str(value) in {"", "nan", "<NA>", "NaT"}:
            raise ValueError(f"every view needs the id of its location, got {value!r} in row {row}: leave it out.")
        texts.append(str(value))
    return np.asarray(texts, dtype=object)


def _first_and_groups(names: NDArray[np.object_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the (P,) first row of every name, ascending, and the (N,) number of the name of every row."""
    number = {name: i for i, name in enumerate(dict.fromkeys(names.tolist()))}
    groups = np.array([number[name] for name in names.tolist()], dtype=np.int64)
    return np.unique(groups, return_index=True)[1].astype(np.int64), groups


def encoder_text(encoder: EncoderInfo) -> str:
    """Return which encoder it is, in one line: name, tensor, D and the start of its revision."""
    return f"{encoder.name}, {encoder.pooling}, D={encoder.dim}, revision {encoder.revision[:20]}"


def places_map(latlon: NDArray[np.float64]) -> str:
    """Return a small map of (P, 2) degrees as `<svg>`, without those that are not known; "" where none is."""
    known = latlon[np.isfinite(latlon).all(axis=1)]
    return map_svg([Marks(known, "#27508f", 3.0)], label=f"map of {len(known):,} places") if len(known) else ""


def require_locations(value: object, what: str) -> None:
    """Raise TypeError, with the way there, unless `value` is `Locations`; `what` says what it is for."""
    if not isinstance(value, Locations):
        way = f": call .locations() of the {type(value).__name__}" if hasattr(value, "locations") else ""
        raise TypeError(f"{what} must be Locations, got {type(value).__name__}{way}.")
