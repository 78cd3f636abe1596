"""Checks of the numbers, lists and texts in the files of a partition, before anything is built from them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocell.geo.geodesy import Floats, as_latlon
from geocell.partitioners.merging import Ints

MAX_TEXT = 1000
"""Characters of a name at most."""

MAX_TREE_DEPTH = 256
"""Depth of a tree of cells at most; median splits of a billion locations come to half of it."""


def whole(value: Mapping[str, Any], key: str, low: int, high: int) -> int:
    """Return an integer of a JSON object that lies in [low, high].

    Raises:
        ValueError: when it is something else; so with all functions here.
    """
    number = _of(value, key)
    if not isinstance(number, int) or isinstance(number, bool) or not low <= number <= high:
        raise ValueError(f"{key!r} must be an integer in [{low}, {high}], got {shown(number)}")
    return number


def number(value: Mapping[str, Any], key: str, low: float, high: float) -> float:
    """Return a finite number of a JSON object that lies in [low, high]."""
    found = _of(value, key)
    if not isinstance(found, int | float) or isinstance(found, bool) or not low <= found <= high:
        raise ValueError(f"{key!r} must be a number in [{low:g}, {high:g}], got {shown(found)}")
    return float(found)


def items(value: Mapping[str, Any], key: str, *, least: int = 1) -> list[Any]:
    """Return a list of a JSON object with at least so many items."""
    found = _of(value, key)
    if not isinstance(found, list) or len(found) < least:
        raise ValueError(f"{key!r} must be a list with at least {least} items, got {shown(found)}")
    return found


def integers(value: Mapping[str, Any], key: str, low: int, high: int, *, least: int = 1) -> Ints:
    """Return a list of integers in [low, high] as (n,) int64."""
    found = items(value, key, least=least)
    wrong = [x for x in found if type(x) is not int or not low <= x <= high]
    if wrong:
        raise ValueError(f"{key!r} must hold integers in [{low}, {high}], got {shown(wrong[0])}")
    return np.array(found, dtype=np.int64)


def numbers(found: Sequence[Any], what: str, columns: int | None = None) -> Floats:
    """Return finite numbers as (n,) float64, or pairs and such as (n, columns)."""
    rows = found if columns else [found]
    for row in rows:
        if not isinstance(row, list) or (columns and len(row) != columns):
            raise ValueError(f"{what} must hold lists of {columns} numbers, got {shown(row)}")
        wrong = [x for x in row if type(x) not in (int, float) or not abs(x) < math.inf]
        if wrong:
            raise ValueError(f"{what} must hold finite numbers, got {shown(wrong[0])}")
    array = np.array(found, dtype=np.float64)
    return array.reshape(-1, columns) if columns else array


def distinct_places(found: Sequence[Any], what: str) -> Floats:
    """Return (n, 2) degrees (lat, lon) of which no two are the same."""
    places = as_latlon(numbers(found, what, 2), what)
    if len(np.unique(places, axis=0)) != len(places):
        raise ValueError(f"{what} must be distinct places, and one comes twice")
    return places


def texts(found: Sequence[Any], what: str) -> tuple[str, ...]:
    """Return texts of bounded length."""
    wrong = [x for x in found if not isinstance(x, str) or len(x) > MAX_TEXT]
    if wrong:
        raise ValueError(f"{what} must be texts of at most {MAX_TEXT} characters, got {shown(wrong[0])}")
    return tuple(found)


def ascending(ids: NDArray[np.uint64], what: str) -> NDArray[np.uint64]:
    """Return ids that ascend and of which none comes twice."""
    if len(ids) > 1 and not (ids[1:] > ids[:-1]).all():
        raise ValueError(f"{what} must ascend, and none come twice")
    return ids


def shown(value: object) -> str:
    """Return a JSON value as an error message shows it."""
    text = f"{type(value).__name__} of {len(value)}" if isinstance(value, list | dict) else f"{value!r:.200}"
    return text if len(text) <= 60 else f"{text[:60]}…"


def _of(value: Mapping[str, Any], key: str) -> Any:  # noqa: ANN401 - a JSON value
    if not isinstance(value, Mapping) or key not in value:
        raise ValueError(f"{key!r} is missing")
    return value[key]
