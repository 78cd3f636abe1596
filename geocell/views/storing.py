"""Large tables of views are read in pieces, and kept as a temporary Parquet file instead of in memory.

A first pass over the input finds what holds for all rows (types of columns, how numbers are written), a second one
checks the rows and keeps them. Coordinates and the numbers of problems stay in memory: 20 bytes of a row. The table is
the one that is made of the whole input; where that cannot be told from pieces, as with columns of mixed types, nothing
is stored and the caller reads the whole.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from geocell.geo.geodesy import Floats
from geocell.images.sources import ImageSource
from geocell.views.columns import ColumnNames, find_columns
from geocell.views.coordinates import degrees, has_commas, require_latlon
from geocell.views.places import require_tight
from geocell.views.stored import Again, Problems, StoredViews
from geocell.views.table import (
    FIRST,
    PIECE,
    RESERVED,
    prepared,
    refuse_two_columns,
    require_good,
    whole_ids,
    with_blanks,
    with_our_names,
)
from geocell.views.texts import clean_text

if TYPE_CHECKING:
    import pandas as pd

Pieces = Callable[[], Iterable["pd.DataFrame"]]


@dataclass
class _Facts:
    """What the first pass finds.

    Attributes:
        found: role -> column.
        names: of the columns, by our names.
        rows: how many there are.
        problems: of the first rows without a position or image, until there is a good one.
        good: how many views have no problem.
        commas: whether coordinates are written as `48,137`.
        whole: see `whole_ids`.
        types: column that is kept -> types of its pieces; those without a value have none.
        gaps: columns of which some piece has no value.
    """

    found: dict[str, str]
    names: list[str] = field(default_factory=list)
    rows: int = 0
    good: int = 0
    problems: list[str] = field(default_factory=list)
    commas: dict[str, bool] = field(default_factory=lambda: {"lat": True, "lon": True})
    whole: dict[str, bool] = field(default_factory=dict)
    types: dict[str, list[Any]] = field(default_factory=dict)
    gaps: set[str] = field(default_factory=set)


def stored_views(
    pieces: Pieces,
    images: ImageSource,
    source: str,
    columns: ColumnNames,
    again: Again,
    *,
    images_optional: bool,
    only: Collection[str] | None = None,
) -> StoredViews | None:
    """Return the views of a table that is read in pieces, None where it has to be read as a whole.

    Args:
        pieces: returns the rows of the table, in pieces with the same columns; called twice.
        images: source of the references in the image column.
        source: what was read, for messages and manifests.
        columns: columns that are not spelled as usual.
        again: function and arguments by which another process makes the same.
        images_optional: accept a table without images.
        only: columns that are kept beside coordinates and locations, image one of them; all when None.

    Raises:
        ValueError: see `make_table`.
    """
    facts = _first_pass(pieces, source, columns, images_optional, only)
    if facts is None:
        return None
    types = {name: _common(found, name in facts.gaps) for name, found in facts.types.items()}
    if any(kind is None for kind in types.values()):
        return None
    require_good(facts.good, facts.problems, source)
    latlon = np.empty((facts.rows, 2))
    problems = Problems()
    file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the table
    try:
        _keep(pieces, file, facts, types, source, latlon, problems, images=only is None or "image" in only)
        checked = np.where(problems.good[:, None], latlon, 0.0)
        require_latlon(checked, facts.found, source)
        del checked
        names = [*FIRST, *(name for name in facts.names if name not in FIRST)]
        table = StoredViews(images, clean_text(source), file, names, latlon, problems, again)
        if "location" in facts.found:
            require_tight(table.places, source, lambda row: str(table.take("location", np.array([row])).iloc[0]))
            if only is None:
                del table.places  # 24 bytes of each row
    except BaseException:
        file.close()
        raise
    return table


def _first_pass(
    pieces: Pieces, source: str, columns: ColumnNames, images_optional: bool, only: Collection[str] | None
) -> _Facts | None:
    facts: _Facts | None = None
    for piece in pieces():
        if facts is None:
            needed = ("lat", "lon") if images_optional else ("image", "lat", "lon")
            facts = _Facts(find_columns(piece, columns, source, needed))
        refuse_two_columns(piece, columns, facts.found, source)
        frame = with_our_names(piece, facts.found, source, RESERVED)
        facts.names = facts.names or list(frame.columns)
        if list(frame.columns) != facts.names:
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
        for name in facts.names:
            if only is not None and name not in only and name not in FIRST:
                continue
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
    *,
    images: bool,
) -> None:
    """Write the rows of a table into a file, with the references of their images or without.

    Their coordinates and problems are filled in.
    """
    import pandas as pd
    import pyarrow as pa
    from pyarrow import parquet

    writer: Any = None
    first = 0
    try:
        kept = list(types)
        named = (with_our_names(piece, facts.found, source, RESERVED)[kept].astype(types) for piece in pieces())
        for frame in _of_size(named, PIECE):
            frame.index = pd.RangeIndex(first, first + len(frame))
            texts = with_blanks(frame, [""] * len(frame))
            good = np.flatnonzero([not text for text in texts])
            problems.add(texts)
            part = latlon[first : first + len(frame)]
            for i, role in enumerate(("lat", "lon")):
                part[:, i] = degrees(frame[role], role, source, good, facts.commas[role])
            frame["problem"] = ""
            done = prepared(frame, part, good, facts.whole)
            done = done.drop(columns=["problem"] if images else ["problem", "image"])
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
