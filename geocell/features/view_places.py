"""Where the views of a cache are: coordinates and locations of good views, without their texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geocell.features.view_columns import read_view_rows
from geocell.features.views_file import VIEWS_FILE, ViewsFile
from geocell.files.arrow import arrow_mask, numpy_values
from geocell.geo.geodesy import Floats, grouped_coordinates
from geocell.views.codes import codes_by_hash

if TYPE_CHECKING:
    import pyarrow

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ViewPlaces:
    """The N' good views of a cache and their P locations, in the order of the first view of each.

    Attributes:
        good: (N,) which views of the cache they are.
        codes: (N',) location of each.
        view_latlon: (N', 2) degrees.
        first: (P,) row of the cache with the first view of each location.
    """

    good: NDArray[np.bool_]
    codes: Ints
    view_latlon: Floats
    first: Ints

    def __len__(self) -> int:
        """Return P."""
        return len(self.first)

    def require_some(self, folder: Path) -> None:
        """Raise ValueError when a cache has no view with features."""
        if not len(self):
            raise ValueError(f"{folder} must have a view with features, got none: see its views.parquet.")

    @property
    def rows(self) -> Ints:
        """(N',) rows of the cache."""
        return np.flatnonzero(self.good)

    @cached_property
    def latlon(self) -> Floats:
        """(P, 2) degrees of the locations: the spherical mean of their views, or their common coordinate."""
        return grouped_coordinates(self.view_latlon, self.codes, len(self))


def read_places(folder: Path, n: int, good: NDArray[np.bool_]) -> ViewPlaces:
    """Read coordinates and locations of the good views of a cache by pieces of rows: 40 bytes of each stay.

    Args:
        folder: the cache.
        n: N, its rows.
        good: (N,) which of them are good, as their statuses said when the cache was opened.

    Raises:
        DamagedFileError: when the table of views can't be read.
    """
    count = int(good.sum())
    latlon = np.empty((count, 2), dtype=np.float64)

    def names() -> Iterator[pyarrow.ChunkedArray]:
        there = first = 0
        with ViewsFile(folder / VIEWS_FILE, n) as views:
            for table in views.tables(["location", "lat", "lon", "status"]):
                # statuses may have been written again since the cache was opened
                chosen = views.check(table).filter(arrow_mask(good[first : first + len(table)]))
                first += len(table)
                for i, name in enumerate(("lat", "lon")):
                    latlon[there : there + len(chosen), i] = numpy_values(chosen.column(name))
                there += len(chosen)
                yield chosen.column("location")

    codes, first = codes_by_hash(names(), count)
    return ViewPlaces(good, codes, latlon, np.flatnonzero(good)[first])


def read_names(folder: Path, n: int, places: ViewPlaces) -> pyarrow.LargeBinaryArray:
    """Return the (P,) ids of locations of a cache of `n` rows, as bytes."""
    import pyarrow as pa

    column = read_view_rows(folder, n, ["location"], places.first).column("location")
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.cast(pa.large_string()).cast(pa.large_binary()).combine_chunks()
