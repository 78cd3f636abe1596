"""The nearest training location by features, in blocks: what a head has to beat."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from geocell.compute.engines import is_here
from geocell.features.locations import Locations, require_locations
from geocell.features.pieces import over_locations
from geocell.geo.geodesy import Floats

_KNOWN = 16_384  # training locations of one block: 67 MB of float32 features at D = 1024
_ASKED = 1024  # locations of one product: 67 MB of cosines with a block

Singles = NDArray[np.float32]


def nearest_training(train: Locations, asked: Locations, *, centred: bool = True) -> NDArray[np.int64]:
    """Return (P,) the training location whose features have the highest cosine with those of each location.

    Features are the means over the views of a location. Those of training locations are read block by block, twice
    where they are centred, so that they may stay on the disk.

    Args:
        train: at least one training location.
        asked: P locations with features of the same encoder.
        centred: whether the mean over the training locations is subtracted first, which was better on the features
            that were measured.

    Returns:
        (P,) int64; of equally near ones the first.

    Raises:
        TypeError: for something else than locations.
        ValueError: for features of another encoder, that are not finite, or no training location.
    """
    require_locations(train, "the training locations of a nearest neighbour")
    require_locations(asked, "what is asked of a nearest neighbour")
    train.encoder.require_same(asked.encoder, "the training locations", "the locations")
    if len(train) == 0:
        raise ValueError("a nearest neighbour needs at least one training location, got none.")
    mean = _mean(train) if centred else np.zeros(train.dim, dtype=np.float32)
    if is_here():  # whatever the number of locations, those that are known are read once
        return _NearestTo(train, mean)(asked)
    known = replace(train, ids=np.full(len(train), None, dtype=object), columns={})
    pieces = [found for _, found in over_locations(partial(_NearestTo, known, mean), asked)]
    return np.concatenate(pieces) if pieces else np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class _NearestTo:
    """Finds the nearest of training locations.

    Attributes:
        train: the training locations.
        mean: (D,) what is subtracted from features.
    """

    train: Locations
    mean: Singles

    def __call__(self, asked: Locations) -> NDArray[np.int64]:
        """Return (P,) the nearest one of each location."""
        return _nearest(self.train, _unit(asked.mean_features() - self.mean), self.mean)


def _nearest(train: Locations, unit: Singles, mean: Singles) -> NDArray[np.int64]:
    """Return (P,) the training location with the highest cosine to each of (P, D) rows of norm 1."""
    best, found = np.full(len(unit), -np.inf, dtype=np.float32), np.zeros(len(unit), dtype=np.int64)
    for start, features in _blocks(train):
        known = _unit(features - mean)
        for first in range(0, len(unit), _ASKED):
            rows = slice(first, first + _ASKED)
            cosine = unit[rows] @ known.T
            block = cosine.argmax(axis=1)
            value = np.take_along_axis(cosine, block[:, None], axis=1)[:, 0]
            nearer = value > best[rows]
            best[rows][nearer], found[rows][nearer] = value[nearer], start + block[nearer]
    return found


def _blocks(train: Locations) -> Iterator[tuple[int, Singles]]:
    for start in range(0, len(train), _KNOWN):
        yield start, train.take(np.arange(start, min(start + _KNOWN, len(train)))).mean_features()


def _mean(train: Locations) -> Singles:
    total = np.zeros(train.dim)
    for _, part in over_locations(_summed, train, _KNOWN):
        total += part
    return np.asarray(total / len(train), dtype=np.float32)


def _summed() -> Callable[[Locations], Floats]:
    return lambda piece: piece.mean_features().sum(axis=0, dtype=np.float64)


def _unit(features: Singles) -> Singles:
    """Return rows of norm 1; a row of zeros stays one."""
    if not np.isfinite(features).all():
        raise ValueError("a nearest neighbour needs finite features, got NaN or infinity: leave these locations out.")
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.where(norms > 0, norms, 1), dtype=np.float32)
