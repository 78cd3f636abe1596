"""Where views are, and which of them show one location."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from geocell.geo.geodesy import Floats, grouped_coordinates, latlon_from_unit, unit_distance_km, unit_vectors

MAX_SPREAD_KM = 1.0
"""Views of one location further apart than this are not views of one location."""

_PIECE = 1 << 16  # views whose distances are computed at a time

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ViewPlaces:
    """The N' good views of a table or cache and their P locations, in the order of the first view of each.

    Attributes:
        good: (N,) which views they are.
        codes: (N',) location of each.
        view_latlon: (N', 2) degrees.
        first: (P,) row with the first view of each location, ascending.
    """

    good: NDArray[np.bool_]
    codes: Ints
    view_latlon: Floats
    first: Ints

    def __len__(self) -> int:
        """Return P."""
        return len(self.first)

    @property
    def rows(self) -> Ints:
        """(N',) rows, ascending."""
        return np.flatnonzero(self.good)

    @cached_property
    def latlon(self) -> Floats:
        """(P, 2) degrees of the locations: the spherical mean of their views, or their common coordinate."""
        return grouped_coordinates(self.view_latlon, self.codes, len(self))


def require_tight(places: ViewPlaces, source: str, id_of: Callable[[int], str]) -> None:
    """Raise ValueError when views of one location lie further apart than they may.

    Args:
        places: the views, at least one.
        source: what was read, for the message.
        id_of: returns the location id of a row.
    """
    worst, km = farthest_view(places.view_latlon, places.codes, len(places))
    if km > MAX_SPREAD_KM:
        row = int(places.rows[worst])
        raise ValueError(
            f"{source}: views of one location must lie within {MAX_SPREAD_KM:g} km, got {km:.1f} km from the middle of "
            f"location {id_of(row)!r} in row {row}: check the location column."
        )


def farthest_view(latlon: Floats, groups: NDArray[np.int64], n_groups: int) -> tuple[int, float]:
    """Return the row of (N, 2) degrees that is farthest from the mean of its group, and how many km; N >= 1."""
    sums = np.zeros((n_groups, 3))
    for first in range(0, len(latlon), _PIECE):
        np.add.at(sums, groups[first : first + _PIECE], unit_vectors(latlon[first : first + _PIECE]))
    worst, most = 0, -1.0
    for first in range(0, len(latlon), _PIECE):
        part = slice(first, first + _PIECE)
        means = unit_vectors(latlon_from_unit(sums[groups[part]]))
        spread = unit_distance_km(unit_vectors(latlon[part]), means)
        row = int(np.argmax(spread))
        if spread[row] > most:
            worst, most = first + row, float(spread[row])
    return worst, most
