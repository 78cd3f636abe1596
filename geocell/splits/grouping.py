"""What is kept in one split: places, blocks of H3 cells, countries, or the values of a column such as a user."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocell.files import counted
from geocell.geo.geodesy import Floats
from geocell.splits.neighbours import connected_places
from geocell.views import coordinate_numbers

Ints = NDArray[np.int64]
Columns = Mapping[str, Sequence[Any] | NDArray[Any]]

COUNTRY = "country"
LOCATION = "location"
_CELL = "cell:"
_FINEST = 15  # of H3's resolutions


def require_by(by: str, stratify: str | None, buffer_km: float) -> None:
    """Check what groups are made of, as far as that can be done without locations.

    Raises:
        ValueError: for a resolution that H3 lacks, or settings that exclude each other.
    """
    resolution = by.removeprefix(_CELL)
    if not by or (by.startswith(_CELL) and not (resolution.isdecimal() and int(resolution) <= _FINEST)):
        raise ValueError(
            f"by must be location, cell:RESOLUTION with one of H3's from 0 to {_FINEST}, country, or the name of a "
            f"column, got {by!r}."
        )
    if buffer_km > 0 and (by == COUNTRY or by.startswith(_CELL)):
        raise ValueError(
            "a buffer would join all groups that have neighbours across a border, "
            f"got buffer_km {buffer_km:g} with by {by!r}: leave one of them out."
        )
    if stratify is not None and (not stratify or stratify == by):
        raise ValueError(
            f"stratify spreads over the splits what by keeps in one, got {stratify!r} for both: leave one of them out."
        )


def require_columns(by: str, stratify: str | None, known: Iterable[object]) -> None:
    """Raise ValueError unless the columns that `by` and `stratify` name are there; country may be missing."""
    names = {str(name) for name in known}
    wanted = [] if by == LOCATION or by.startswith(_CELL) else [by]
    wanted += [] if stratify is None else [stratify]
    for name in wanted:
        if name in names or name == COUNTRY:
            continue
        raise ValueError(
            f"splits need the column {name!r}, got the columns {', '.join(sorted(names)) or 'none'}: name one of these."
        )


def protocol_of(by: str, stratify: str | None, buffer_km: float) -> str:
    """Return how splits are drawn, in words, for their record.

    >>> protocol_of("location", None, 50), protocol_of("user", "country", 0)
    ('by location, buffer 50 km', 'by column user, stratified by country')
    """
    known = by in (LOCATION, COUNTRY) or by.startswith(_CELL)
    parts = [f"by {by}" if known else f"by column {by}"]
    if stratify is not None:
        parts.append(f"stratified by {stratify}")
    if buffer_km > 0:
        parts.append(f"buffer {buffer_km:g} km")
    return ", ".join(parts)


def drawn_by(protocol: str) -> str | None:
    """Return what `by` a record of `protocol_of` was drawn, None where it is in other words.

    >>> drawn_by("by column user, stratified by country"), drawn_by("by location, buffer 50 km"), drawn_by("unknown")
    ('user', 'location', None)
    """
    found = re.fullmatch(r"by (?:column )?(.+?)(?:, stratified by .+?)?(?:, buffer [0-9.e+]+ km)?", protocol)
    return None if found is None else found[1]


def groups_of(codes: Ints, latlon: Floats, columns: Columns, by: str, buffer_km: float) -> Ints:
    """Return the group of every location, numbered by the first of its locations.

    Locations with one coordinate (to 1e-6 degrees) are one place, and are never apart. By cell, and by country where no
    column has it, a place belongs where its first coordinate lies, so that a place on a border joins no two blocks. The
    values of a column join all places that have them, directly or by a chain.

    Args:
        codes: (N,) location of every row, from 0 to P - 1, all of them there.
        latlon: (N, 2) degrees.
        columns: name -> (N,) values.
        by: see `require_by`.
        buffer_km: places closer than this are in one group.

    Raises:
        ValueError: for a column that has no value in some row.
    """
    coordinates = coordinate_numbers(latlon)
    marks = [np.unique(coordinates, return_inverse=True)[1]]
    if buffer_km > 0:
        marks.append(connected_places(latlon, buffer_km))
    if by == LOCATION:
        return _connected(codes, marks)
    if by.startswith(_CELL) or (by == COUNTRY and COUNTRY not in columns):
        places = _connected(codes, marks)
        order = np.lexsort((coordinates, places[codes]))
        first = order[np.unique(places[codes][order], return_index=True)[1]]
        blocks = np.unique(_blocks(latlon[first], by), return_inverse=True)[1]
        return _numbered(blocks[places])
    values = column_texts(columns, by)
    if empty := int((values == "").sum()):
        raise ValueError(
            f"splits by {by} need its value in every row, got {counted(empty, 'row')} without: "
            "fill the column, or leave these rows out."
        )
    return _connected(codes, [*marks, np.unique(values, return_inverse=True)[1]])


def strata_of(codes: Ints, latlon: Floats, columns: Columns, stratify: str, n_locations: int) -> Ints:
    """Return the (P,) stratum of every location: the least of its values; by country its outline without a column.

    A missing value is a stratum of its own.
    """
    outlined = stratify == COUNTRY and COUNTRY not in columns
    values = _blocks(latlon, COUNTRY) if outlined else column_texts(columns, stratify)
    numbers = np.unique(values, return_inverse=True)[1]
    least = np.full(n_locations, len(numbers), dtype=np.int64)
    np.minimum.at(least, codes, numbers)
    return least


def column_texts(columns: Columns, name: str) -> NDArray[np.str_]:
    """Return the (N,) values of a column as text, "" where there is none."""
    import pandas as pd

    values = pd.Series(np.asarray(columns[name], dtype=object))
    return np.asarray(values.where(values.notna(), "").astype(str).str.strip().to_numpy(object).astype(str))


def _blocks(latlon: Floats, by: str) -> NDArray[Any]:
    """Return the (P,) H3 index or the country of every coordinate."""
    if by == COUNTRY:
        from geocell.geo.countries import countries_of

        return countries_of(latlon)
    from geocell.partitioners.h3 import h3_indexes

    return h3_indexes(latlon, int(by.removeprefix(_CELL)))


def _connected(codes: Ints, marks: Sequence[NDArray[Any]]) -> Ints:
    """Return the (P,) group of every location, connected by whatever their rows have in common.

    Groups are numbered from 0, in the order in which they appear, which is canonical.

    Args:
        codes: (N,) location of every row.
        marks: lists of (N,) numbers from 0; rows with the same number in one list are together.
    """
    n = int(codes.max()) + 1
    alone = np.bincount(codes)[codes] == 1  # the usual row: what it has, no other one has
    for mark in marks:
        alone &= np.bincount(mark)[mark] == 1
    first = np.arange(n)  # location with which the group of each appears
    rest = np.flatnonzero(~alone)
    if len(rest):
        labels = _components(codes[rest], [mark[rest] for mark in marks], n)
        lowest = np.full(int(labels.max()) + 1, n)
        np.minimum.at(lowest, labels, first)
        first = lowest[labels]
    return np.asarray((np.cumsum(first == np.arange(n)) - 1)[first], dtype=np.int64)


def _components(codes: Ints, marks: Sequence[NDArray[Any]], n_locations: int) -> Ints:
    """Return the (P,) component of every location in a graph of locations and marks."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = n_locations
    columns = []
    for mark in marks:
        found, numbers = np.unique(mark, return_inverse=True)
        columns.append(numbers + n)
        n += len(found)
    rows = np.tile(codes, len(marks))
    graph = coo_array((np.ones(len(rows), dtype=np.int8), (rows, np.concatenate(columns))), shape=(n, n))
    return np.asarray(connected_components(graph, directed=False)[1][:n_locations], dtype=np.int64)


def _numbered(labels: NDArray[Any]) -> Ints:
    """Return (P,) labels as numbers from 0, in the order in which they appear, which is canonical."""
    _, first, groups = np.unique(labels, return_index=True, return_inverse=True)
    return np.asarray(np.argsort(np.argsort(first))[groups], dtype=np.int64)
