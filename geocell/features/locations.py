"""Locations and the views that show them: what splits, partitions, fits and scores count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.files import require_types

_POOLED = 2048  # locations whose views are summed at a time: those of all, in float64, would not fit into memory


@dataclass(frozen=True)
class EncoderInfo:
    """Which frozen encoder made features, exactly enough to make them again or to refuse others.

    Attributes:
        name: Hub id, package encoder, or the folder's name for a local encoder.
        revision: commit, package version, or `sha256:` of the local weights.
        pooling: which tensor of the encoder: `pooler_output`, say.
        dim: D.
        image_size: side of the square input in pixels.
        processor: class of the image processor, with what it computes.
        dtype: arithmetic the encoder ran in; not part of its identity.
        source: folder or Hub id to load it from; not part of its identity.
    """

    name: str
    revision: str
    pooling: str
    dim: int
    image_size: int
    processor: str
    dtype: str = "float32"
    source: str = ""

    def require_same(self, other: EncoderInfo, mine: str, theirs: str) -> None:
        """Raise ValueError, naming both sides, unless `other` makes the same features.

        Args:
            other: the encoder to compare with.
            mine: what this one belongs to ("the head").
            theirs: what the other one belongs to ("the cache").
        """
        identity = ["revision", "pooling", "dim", "image_size", "processor"]
        if not (self.revision == other.revision and self.revision.startswith("sha256:")):
            identity.insert(0, "name")  # equal weights are one encoder, whatever their folder is called
        differs = [key for key in identity if getattr(self, key) != getattr(other, key)]
        if differs:
            left = ", ".join(f"{key}={getattr(self, key)!r}" for key in differs)
            right = ", ".join(f"{key}={getattr(other, key)!r}" for key in differs)
            raise ValueError(
                f"{mine} and {theirs} must share one encoder; {mine}: {left}; {theirs}: {right}. "
                "Encode the images with the encoder of the one, or fit a head on the features of the other."
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)

    @classmethod
    def from_dict(cls, value: Mapping[str, Any], where: str) -> EncoderInfo:
        """Read the JSON form; `where` names its place in an error message."""
        names = {field.name for field in fields(cls)}
        if not isinstance(value, Mapping) or set(value) != names:
            got = sorted(value) if isinstance(value, Mapping) else value
            raise ValueError(f"{where} must describe an encoder by {sorted(names)}, got {got}.")
        require_types(value, {name: int if name in {"dim", "image_size"} else str for name in sorted(names)}, where)
        return cls(**value)


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
        encoder: which encoder made the features.
        columns: further facts about each location, name -> (P,) array (country, say).
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


def require_locations(value: object, what: str) -> None:
    """Raise TypeError, with the way there, unless `value` is `Locations`; `what` says what it is for."""
    if not isinstance(value, Locations):
        way = f": call .locations() of the {type(value).__name__}" if hasattr(value, "locations") else ""
        raise TypeError(f"{what} must be Locations, got {type(value).__name__}{way}.")


def named_groups(names: ArrayLike) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield every name of a (P,) column in their order, and which of the P locations have it.

    Locations whose name is missing or empty are in no group.
    """
    import pandas as pd

    column = pd.Series(np.asarray(names, dtype=object))
    texts = column.where(column.notna(), "").astype(str).to_numpy()
    for name in np.unique(texts[texts != ""]).tolist():
        yield name, texts == name
