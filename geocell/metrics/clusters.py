"""Clusters of locations: what was drawn together is one draw, and what intervals are taken over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.metrics.places import place_clusters

PLACE = "place"
LOCATION = "location"
_COLUMN = "column "
_CELL = "cell:"
_BUFFER = "buffer "


@dataclass(frozen=True, eq=False)
class Clusters:
    """Which of P locations were drawn together.

    Attributes:
        by: what the locations of a cluster share: `place`, `location`, `country`, `cell:R`, `buffer R km`, or
            `column NAME`.
        numbers: (P,) of the clusters, from 0, none without a location.
    """

    by: str
    numbers: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Check the numbers."""
        counts = np.bincount(self.numbers) if len(self.numbers) and self.numbers.min() >= 0 else np.zeros(1)
        if len(self.numbers) and not counts.all():
            raise ValueError(f"clusters by {self.by} must be numbered from 0 without a gap: use `Clusters.of`.")

    def __len__(self) -> int:
        """Return how many clusters there are."""
        return int(self.numbers.max()) + 1 if len(self.numbers) else 0

    @classmethod
    def of(cls, by: str, labels: ArrayLike) -> Clusters:
        """Return the clusters of locations with the same of (P,) labels."""
        return cls(by, np.unique(np.asarray(labels), return_inverse=True)[1].reshape(-1).astype(np.int64))

    @classmethod
    def of_places(cls, latlon: ArrayLike) -> Clusters:
        """Return the places of (P, 2) degrees: see `geocell.metrics.places`."""
        return cls(PLACE, place_clusters(latlon))

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> Clusters:
        """Return the clusters of some of the locations."""
        return Clusters.of(self.by, self.numbers[index])

    @property
    def drawn(self) -> NDArray[np.int64] | None:
        """The numbers, None where every location is a cluster of its own."""
        return None if len(self) == len(self.numbers) else self.numbers

    @property
    def text(self) -> str:
        """How many of what, in words."""
        return clusters_text(self.by, len(self))


_WORDS: tuple[tuple[str, Callable[[str], tuple[str, str]]], ...] = (
    (_COLUMN, lambda name: (f"value of {name}", f"values of {name}")),
    (_CELL, lambda level: (f"H3 cell of resolution {level}", f"H3 cells of resolution {level}")),
    (_BUFFER, lambda reach: (f"group of places within {reach}", f"groups of places within {reach}")),
    ("country", lambda _: ("country", "countries")),
    (LOCATION, lambda _: ("location", "locations")),
    (PLACE, lambda _: ("place", "places")),
)


def clusters_text(by: str | None, n: int | None) -> str:
    """Return over what intervals are taken, in words; locations where it is not known.

    >>> clusters_text("place", 303), clusters_text("column user", 1), clusters_text(None, None)
    ('303 places', '1 value of user', 'locations')
    """
    if by is None or n is None:
        return "locations"
    for start, words in _WORDS:
        if by.startswith(start):
            return f"{n:,} {words(by.removeprefix(start))[n != 1]}"
    return f"{n:,} groups by {by}"
