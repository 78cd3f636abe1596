"""Large tables of views, of which a temporary Parquet file holds the texts."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.files import columns_frame
from geocell.files.arrow import binary_texts
from geocell.geo.geodesy import Floats
from geocell.images.references import any_http
from geocell.images.sources import ImageSource
from geocell.views.codes import TextCodes, codes_by_hash
from geocell.views.places import ViewPlaces
from geocell.views.table import PIECE, ViewTable, table_sha256

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow

Ints = NDArray[np.int64]


class StoredViews:
    """N views like a `ViewTable`, of which a temporary file holds the texts; it vanishes with the process.

    Attributes:
        images: reads the image file that a text of the column `image` names.
        source: what was read, for manifests.
        remarks: notes about the input for the user.
        file: Parquet file of every column that is kept but `problem`, in row groups of `PIECE` rows.
        names: names of the columns, in which all of the input are.
        latlon: (N, 2) degrees, NaN where they are not known.
    """

    def __init__(
        self,
        images: ImageSource,
        source: str,
        file: IO[bytes],
        names: Sequence[str],
        latlon: Floats,
        problems: Problems,
        again: Again,
    ) -> None:
        """Take what `stored_views` made; `again` makes it once more in another process."""
        self.images, self.source, self.remarks = images, source, ()
        self.file, self.names, self.latlon = file, list(names), latlon
        self._problems, self._again = problems, again
        self._held: tuple[int, pyarrow.Table] | None = None
        weakref.finalize(self, file.close)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return how another process gets the table: it reads the input itself."""
        function, arguments = self._again
        return function, arguments

    def __len__(self) -> int:
        """Return N."""
        return len(self.latlon)

    def open(self) -> Any:  # noqa: ANN401 - a ParquetFile
        """Return the file, opened."""
        from pyarrow import parquet

        return parquet.ParquetFile(self.file)

    @cached_property
    def places(self) -> ViewPlaces:
        """Where the views without a problem are; no text is kept."""
        good = self._problems.good
        count = int(good.sum())

        def ids() -> Iterator[pyarrow.ChunkedArray]:
            first = 0
            for table in self._read("location"):
                yield table.column("location").filter(good[first : first + len(table)])
                first += len(table)

        codes, first = codes_by_hash(ids(), count)
        whole = count == len(good)
        return ViewPlaces(
            good, codes, self.latlon if whole else self.latlon[good], first if whole else np.flatnonzero(good)[first]
        )

    @cached_property
    def location_ids(self) -> TextCodes:
        """Location ids of the views of `places`."""
        names = binary_texts(self._taken("location", self.places.first).column("location"))
        return TextCodes(self.places.codes, names.combine_chunks())

    def take(self, name: str, rows: Ints) -> pd.Series[Any]:
        """Return the (k,) values of a column in ascending rows, without holding the others."""
        import pandas as pd

        if name == "problem":
            return pd.Series(self._problems.texts(rows), dtype=object)
        return columns_frame(self._taken(name, rows))[name]

    def _taken(self, name: str, rows: Ints) -> pyarrow.Table:
        import pyarrow as pa

        found, first = [], 0
        for table in self._read(name):
            begin, end = np.searchsorted(rows, (first, first + len(table))).tolist()
            found.append(table.take(pa.array(rows[begin:end] - first)))
            first += len(table)
        return pa.concat_tables(found)

    def _read(self, name: str) -> Iterator[pyarrow.Table]:
        file = self.open()
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, columns=[name]).select([name])

    @cached_property
    def sha256(self) -> str:
        """Hash of every column; see `table_sha256`."""
        return table_sha256(self.names, self.column)

    def column(self, name: str) -> Iterator[pd.Series[Any]]:
        """Yield a column in pieces."""
        import pandas as pd

        if name == "problem":
            for first in range(0, len(self), PIECE):
                yield pd.Series(self._problems.texts(slice(first, first + PIECE)), dtype=object)
            return
        for table in self._read(name):
            yield columns_frame(table)[name]

    @property
    def frame(self) -> pd.DataFrame:
        """The whole table, read into memory."""
        import pandas as pd

        return pd.DataFrame({name: pd.concat(self.column(name), ignore_index=True) for name in self.names})

    def shard_rows(self, first: int, last: int) -> tuple[list[str], list[str]]:
        """Return the references and problems of the views from `first` to `last`, that one left out."""
        references: list[str] = []
        for group in range(first // PIECE, -(-last // PIECE)):
            start = group * PIECE
            if self._held is None or self._held[0] != group:
                self._held = group, self.open().read_row_group(group, columns=["image"]).select(["image"])
            table = self._held[1]
            begin = max(first - start, 0)
            references += table.column("image").slice(begin, min(last - start, PIECE) - begin).to_pylist()
        return references, self._problems.texts(slice(first, last))

    def references(self) -> Iterator[str]:
        """Yield the references of the images of views without a problem."""
        first = 0
        for values in self.column("image"):
            problems = self._problems.texts(slice(first, first + len(values)))
            yield from (text for text, problem in zip(values.tolist(), problems, strict=True) if not problem)
            first += len(values)

    def has_http(self) -> bool:
        """Return whether a view without a problem has its image at an `http(s)` URL."""
        good, first = self._problems.good, 0
        for table in self._read("image"):
            if any_http(table.column("image").filter(good[first : first + len(table)])):
                return True
            first += len(table)
        return False

    def tables(self) -> Iterator[pyarrow.Table]:
        """Yield every column but `problem` in pieces."""
        file = self.open()
        for group in range(file.num_row_groups):
            yield file.read_row_group(group)


Again = tuple[Callable[..., Any], tuple[Any, ...]]


class Problems:
    """Why views are unusable, "" where they are not: a number of each, and each distinct text once."""

    def __init__(self) -> None:
        """Start without views."""
        self._numbers: dict[str, int] = {"": 0}
        self._pieces: list[NDArray[np.int32]] = []

    def add(self, texts: Sequence[str]) -> None:
        """Add the problems of some views."""
        numbers = self._numbers
        for text in dict.fromkeys(texts):
            numbers.setdefault(text, len(numbers))
        self._pieces.append(np.fromiter(map(numbers.__getitem__, texts), np.int32, len(texts)))

    @cached_property
    def _all(self) -> NDArray[np.int32]:
        whole = np.concatenate(self._pieces)
        self._pieces = []
        return whole

    @property
    def good(self) -> NDArray[np.bool_]:
        """(N,) which views have none."""
        return np.asarray(self._all == 0, dtype=np.bool_)

    def texts(self, rows: slice | NDArray[np.int64]) -> list[str]:
        """Return the problems of some views."""
        names = list(self._numbers)
        return [names[number] for number in self._all[rows].tolist()]


Views = ViewTable | StoredViews
"""A table of views, in memory or in a temporary file."""
