"""Locations and their views: the unit of splits, partitions, fits and scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from geocell.encoders.info import EncoderInfo

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

    def __repr__(self) -> str:
        """Return how many there are, and of which encoder."""
        return f"<Locations: {len(self):,} with {self.n_views:,} views, {self.encoder.name} D={self.dim}>"

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

    def view_features(self) -> NDArray[np.float32]:
        """Return the (N', D) float32 features of these locations' views, grouped by location."""
        return np.asarray(self.features[self.rows], dtype=np.float32)

    def mean_features(self) -> NDArray[np.float32]:
        """Return the (P, D) float32 mean over each location's views (`feature` fusion)."""
        means = np.empty((len(self), self.dim), dtype=np.float32)
        for first in range(0, len(self), _POOLED):
            offsets = self.offsets[first : first + _POOLED + 1]
            views = np.asarray(self.features[self.rows[offsets[0] : offsets[-1]]], dtype=np.float32)
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
            columns={name: values[index] for name, values in self.columns.items()},
        )

    def loaded(self) -> Locations:
        """Return them with the features of their own views alone, in memory."""
        return replace(self, features=np.asarray(self.features[self.rows]), rows=np.arange(len(self.rows)))


def require_locations(value: object, what: str) -> None:
    """Raise TypeError, with the way there, unless `value` is `Locations`; `what` says what it is for."""
    if not isinstance(value, Locations):
        way = f": call .locations() of the {type(value).__name__}" if hasattr(value, "locations") else ""
        raise TypeError(f"{what} must be Locations, got {type(value).__name__}{way}.")
