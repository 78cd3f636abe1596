"""Large tables of views: read in pieces, and kept as a temporary Parquet file instead of in memory.

A first pass over the input finds what holds for all rows (types of columns, how numbers are written), a second one
checks the rows and keeps them. Coordinates and the numbers of problems stay in memory: 20 bytes of a row. The table is
the one that is made of the whole input; where that cannot be told from pieces, as with columns of mixed types, nothing
is stored and the caller reads the whole.
"""

from __future__ import annotations

import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.geo.geodesy import Floats
from geocell.images.sources import ImageSource
from geocell.views.codes import codes_by_hash
from geocell.views.columns import ColumnNames, find_columns
from geocell.views.table import (
    MAX_SPREAD_KM,
    PIECE,
    RESERVED,
    ViewTable,
    degrees,
    farthest_view,
    has_commas,
    loose_location,
    prepared,
    refuse_two_columns,
    require_good,
    require_latlon,
    table_sha256,
    whole_ids,
    with_blanks,
    with_our_names,
)
from geocell.views.texts import clean_text

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow

Pieces = Callable[[], Iterable["pd.DataFrame"]]
_FIRST = ["image", "location", "lat", "lon", "problem"]


class StoredViews:
    """N views like a `ViewTable`, of which a temporary file holds the texts; it vanishes with the process.

    Attributes:
        images: reads the image file that a text of the column `image` names.
        source: what was read, for manifests.
        remarks: notes about the input for the user.
        file: Parquet file of every column but `problem`, in row groups of `PIECE` rows.
        latlon: (N, 2) degrees, NaN where they are not known.
    """

    def __init__(
        self, images: ImageSource, source: str, file: IO[bytes], latlon: Floats, problems: Problems, again: Again
    ) -> None:
        """Take what `stored_views` made; `again` makes it once more in another process."""
        self.images, self.source, self.remarks = images, source, ()
        self.file, self.latlon = file, latlon
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

    @cached_property
    def names(self) -> list[str]:
        """Names of the columns."""
        stored = [name for name in self.open().schema_arrow.names if name not in _FIRST]
        return [*_FIRST, *stored]

    def open(self) -> Any:  # noqa: ANN401 - a ParquetFile
        """Return the file, opened."""
        from pyarrow import parquet

        return parquet.ParquetFile(self.file)

    @cached_property
    def sha256(self) -> str:
        """Hash of every column; see `table_sha256`."""
        return table_sha256(self.names, self.column)

    def column(self, name: str) -> Iterator[pd.Series[Any]]:
        """Yield a column in pieces."""
        import pandas as pd

        if name == "problem":
            for first in range(0, len(self), PIECE):
                yield pd.Series(self._problems.texts(first, min(first + PIECE, len(self))), dtype=object)
            return
        file = self.open()
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, columns=[name]).select([name]).to_pandas()[name]

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
        return references, self._problems.texts(first, last)

    def references(self) -> Iterator[str]:
        """Yield the references of the images of views without a problem."""
        first = 0
        for values in self.column("image"):
            problems = self._problems.texts(first, first + len(values))
            yield from (text for text, problem in zip(values.tolist(), problems, strict=True) if not problem)
            first += len(values)

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

    def add(self, texts: Iterable[str]) -> None:
        """Add the problems of some views."""
        numbers = self._numbers
        self._pieces.append(np.array([numbers.setdefault(text, len(numbers)) for text in texts], dtype=np.int32))

    @cached_property
    def _all(self) -> NDArray[np.int32]:
        whole = np.concatenate(self._pieces)
        self._pieces = []
        return whole

    @property
    def good(self) -> NDArray[np.bool_]:
        """(N,) which views have none."""
        return np.asarray(self._all == 0, dtype=np.bool_)

    def texts(self, first: int, last: int) -> list[str]:
        """Return the problems of some views."""
        names = list(self._numbers)
        return [names[number] for number in self._all[first:last].tolist()]


@dataclass
class _Facts:
    """What the first pass finds.

    Attributes:
        found: role -> column.
        rows: how many there are.
        problems: of the first rows without a position or image, until there is a good one.
        good: how many views have no problem.
        commas: whether coordinates are written as `48,137`.
        whole: see `whole_ids`.
        types: column -> types of its pieces; those without a value have none.
        gaps: columns of which some piece has no value.
    """

    found: dict[str, str]
    rows: int = 0
    good: int = 0
    problems: list[str] = field(default_factory=list)
    commas: dict[str, bool] = field(default_factory=lambda: {"lat": True, "lon": True})
    whole: dict[str, bool] = field(default_factory=dict)
    types: dict[str, list[Any]] = field(default_factory=dict)
    gaps: set[str] = field(default_factory=set)


def stored_views(
    pieces: Pieces, images: ImageSource, source: str, columns: ColumnNames, again: Again, *, images_optional: bool
) -> StoredViews | None:
    """Return the views of a table that is read in pieces, None where it has to be read as a whole.

    Args:
        pieces: returns the rows of the table, in pieces with the same columns; called twice.
        images: source of the references in the image column.
        source: what was read, for messages and manifests.
        columns: columns that are not spelled as usual.
        again: function and arguments by which another process makes the same.
        images_optional: accept a table without images.

    Raises:
        ValueError: see `make_table`.
    """
    facts = _first_pass(pieces, source, columns, images_optional)
    if facts is None:
        return None
    types = {name: _common(found, name in facts.gaps) for name, found in facts.types.items()}
    if any(kind is None for kind in types.values()):
        return None
    require_good(facts.good, facts.problems, source)
    latlon = np.empty((facts.rows, 2))
    problems = Problems()
    file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the table
    named = "location" in facts.found
    try:
        _keep(pieces, file, facts, types, source, latlon, problems)
        checked = np.where(problems.good[:, None], latlon, 0.0)
        require_latlon(checked, facts.found, source)
        del checked
        table = StoredViews(images, clean_text(source), file, latlon, problems, again)
        if named:
            _require_tight(table, problems.good)
    except BaseException:
        file.close()
        raise
    return table


def _first_pass(pieces: Pieces, source: str, columns: ColumnNames, images_optional: bool) -> _Facts | None:
    facts: _Facts | None = None
    for piece in pieces():
        if facts is None:
            needed = ("lat", "lon") if images_optional else ("image", "lat", "lon")
            facts = _Facts(find_columns(piece, columns, source, needed))
        refuse_two_columns(piece, columns, facts.found, source)
        frame = with_our_names(piece, facts.found, source, RESERVED)
        if facts.types and list(frame.columns) != list(facts.types):
            return None
        problems = with_blanks(frame, [""] * len(frame))
        good = np.flatnonzero([not problem for problem in problems])
        facts.good += len(good)
        if not facts.good:
            facts.problems += problems
        facts.rows += len(frame)
        for role in ("lat", "lon"):
            facts.commas[role] = facts.commas[role] and (not len(good) or has_commas(frame[role].iloc[good]))
        for name, whole in whole_ids(frame, good).items():
            as_good = whole or frame[name].dtype.kind in "iu" or bool(frame[name].isna().all())
            facts.whole[name] = facts.whole.get(name, True) and as_good
        for name in frame.columns:
            kinds = facts.types.setdefault(str(name), [])
            empty = frame[name].dtype.kind == "f" and bool(frame[name].isna().all())
            if empty:
                facts.gaps.add(str(name))
            elif frame[name].dtype not in kinds:
                kinds.append(frame[name].dtype)
    return facts


def _common(types: list[Any], gap: bool) -> Any:  # noqa: ANN401 - a dtype
    """Return the type that a whole column has whose pieces have these, None where that can't be told from them.

    Args:
        types: of the pieces that have values.
        gap: whether another piece has none; whole numbers are floats then, and bools objects.
    """
    import pandas as pd

    if not types:
        return np.dtype(np.float64)
    if all(kind.kind in "fiu" for kind in types):
        common = np.result_type(*types)
        if any(kind.kind == "f" for kind in types):
            return common
        if gap:
            return np.dtype(np.float64)
        return common if common.kind in "iu" else None  # int64 and uint64
    only = types[0] if len(types) == 1 else None
    if only is not None and (isinstance(only, pd.StringDtype) or only.kind == "M" or (only.kind == "b" and not gap)):
        return only
    return None


def _keep(
    pieces: Pieces,
    file: IO[bytes],
    facts: _Facts,
    types: dict[str, Any],
    source: str,
    latlon: Floats,
    problems: Problems,
) -> None:
    """Write the rows of a table into a file, and fill in their coordinates and problems."""
    import pandas as pd
    import pyarrow as pa
    from pyarrow import parquet

    writer: Any = None
    first = 0
    try:
        named = (with_our_names(piece, facts.found, source, RESERVED).astype(types) for piece in pieces())
        for frame in _of_size(named, PIECE):
            frame.index = pd.RangeIndex(first, first + len(frame))
            texts = with_blanks(frame, [""] * len(frame))
            good = np.flatnonzero([not text for text in texts])
            problems.add(texts)
            part = latlon[first : first + len(frame)]
            for i, role in enumerate(("lat", "lon")):
                part[:, i] = degrees(frame[role], role, source, good, facts.commas[role])
            frame["problem"] = ""
            done = prepared(frame, part, good, facts.whole).drop(columns="problem")
            if writer is None:
                schema = pa.Schema.from_pandas(done, preserve_index=False)
                writer = parquet.ParquetWriter(file, schema)
            writer.write_table(pa.Table.from_pandas(done, schema, preserve_index=False))
            first += len(done)
    finally:
        if writer is not None:
            writer.close()
    if first != len(latlon):
        raise ValueError(f"{source} must not change while it is read, got {first} rows after {len(latlon)}: try again.")


def _of_size(pieces: Iterable[pd.DataFrame], rows: int) -> Iterator[pd.DataFrame]:
    """Yield the rows of pieces by so many, the last ones what is left."""
    import pandas as pd

    held: list[pd.DataFrame] = []
    there = 0
    for piece in pieces:
        rest = piece
        while there + len(rest) >= rows:
            cut = rows - there
            yield pd.concat([*held, rest.iloc[:cut]], ignore_index=True)
            held, there, rest = [], 0, rest.iloc[cut:]
        if len(rest):
            held.append(rest)
            there += len(rest)
    if held:
        yield pd.concat(held, ignore_index=True)


def _require_tight(table: StoredViews, good: NDArray[np.bool_]) -> None:
    """Raise ValueError when views of one location lie further apart than they may."""
    import pyarrow as pa

    def names() -> Iterator[pyarrow.Array]:
        first = 0
        for values in table.column("location"):
            mask = good[first : first + len(values)]
            yield pa.array(values[mask].tolist(), pa.large_string())
            first += len(values)

    codes, first_rows = codes_by_hash(names(), int(good.sum()))
    worst, km = farthest_view(table.latlon[good], codes, len(first_rows))
    if km > MAX_SPREAD_KM:
        row = int(np.flatnonzero(good)[worst])
        group = list(table.column("location"))[row // PIECE]
        raise loose_location(table.source, km, str(group.iloc[row % PIECE]), row)


Views = ViewTable | StoredViews
"""A table of views, in memory or in a temporary file."""
