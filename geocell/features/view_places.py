"""Reading where the views of a cache are: coordinates and locations of good views, without their texts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geocell.features.view_columns import read_view_rows
from geocell.features.views_file import VIEWS_FILE, ViewsFile
from geocell.views.codes import codes_by_hash
from geocell.views.places import ViewPlaces

if TYPE_CHECKING:
    import pyarrow


def require_some(places: ViewPlaces, folder: Path) -> None:
    """Raise ValueError when a cache has no view with features."""
    if not len(places):
        raise ValueError(f"{folder} must have a view with features, got none: see its views.parquet.")


def read_places(folder: Path, n: int, good: NDArray[np.bool_]) -> ViewPlaces:
    """Read coordinates and locations of the good views of a cache by pieces of rows: 40 bytes of each stay.

    Args:
        folder: the cache.
        n: N, its rows.
        good: (N,) which of them are good, as their statuses said when the cache was opened.

    Raises:
        DamagedFileError: when the table of views can't be read.
    """
    import pyarrow as pa

    count = int(good.sum())
    latlon = np.empty((count, 2), dtype=np.float64)

    def names() -> Iterator[pyarrow.ChunkedArray]:
        there = first = 0
        with ViewsFile(folder / VIEWS_FILE, n) as views:
            for table in views.tables(["location", "lat", "lon", "status"]):
                # statuses may have been written again since the cache was opened
                chosen = views.check(table).filter(pa.array(good[first : first + len(table)]))
                first += len(table)
                for i, name in enumerate(("lat", "lon")):
                    latlon[there : there + len(chosen), i] = chosen.column(name).to_numpy()
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
