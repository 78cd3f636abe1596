"""Locations as pieces of work; see `geocell.compute.engines`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from geocell.compute.engines import is_here, results
from geocell.features.locations import Locations, Rows

B = TypeVar("B")

PIECE = 1 << 16
"""Locations of a piece. What is computed may depend on it in the last bits, so it is the same wherever work is done."""


def over_locations(
    start: Callable[[], Callable[[Locations], B]], locations: Locations, size: int | None = None
) -> Iterator[tuple[slice, B]]:
    """Yield the rows of every piece of locations, and what a function returns for it.

    Elsewhere a piece has no further columns, and its features are read where it is worked at.

    Args:
        start: returns the function; see `Engine.results`.
        locations: P locations.
        size: locations of a piece; `PIECE` when omitted.
    """
    size = size or PIECE
    rows = [slice(first, min(first + size, len(locations))) for first in range(0, len(locations), size)]
    if len(rows) <= 1 or is_here():
        work = start()
        for part in rows:
            whole = len(rows) == 1
            yield part, work(locations if whole else locations.take(np.arange(part.start, part.stop)))
        return
    bare = replace(locations, features=_Elsewhere(locations.features.shape), columns={})
    pieces = (bare.take(np.arange(part.start, part.stop)) for part in rows)
    yield from zip(rows, results(_WithFeatures(start, locations.features), pieces), strict=True)


@dataclass(frozen=True)
class _Elsewhere:
    """What stands for the (N, D) features in a piece that is on its way."""

    shape: tuple[int, ...]

    def __getitem__(self, rows: NDArray[np.int64], /) -> NDArray[Any]:
        raise RuntimeError("the features of a piece must be put back before they are read.")


@dataclass(frozen=True)
class _WithFeatures:
    """Starts a function of locations that come without features; these are sent once, or where they are stored."""

    start: Callable[[], Callable[[Locations], Any]]
    features: Rows

    def __call__(self) -> Callable[[Locations], Any]:
        work = self.start()
        return lambda piece: work(replace(piece, features=self.features))
