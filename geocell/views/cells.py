"""Cells of a table: which are empty, and ids as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.views.texts import clean_text

if TYPE_CHECKING:
    import pandas as pd

_LEAST_NO_INT64 = 2.0**63

_BLANK = {"image": "no image", "lat": "no position", "lon": "no position", "location": "no location id"}
"""Column -> the problem of a row that has nothing there."""


def with_blanks(frame: pd.DataFrame, problems: list[str]) -> list[str]:
    """Return the problems of rows, those that lack something included."""
    for column, problem in _BLANK.items():
        if column in frame:
            for row in np.flatnonzero(_missing(frame[column])):
                problems[row] = problems[row] or problem
    return problems


def _missing(values: pd.Series[Any]) -> NDArray[np.bool_]:
    """(N,) whether a cell is empty: missing, or a text of spaces."""
    if _in_arrow(values):
        import pyarrow as pa
        import pyarrow.compute as pc

        texts = pa.array(values)
        empty = pc.or_(pc.utf8_is_space(texts), pc.equal(pc.binary_length(texts), 0))
        return np.asarray(pc.fill_null(empty, True).to_numpy(zero_copy_only=False), dtype=np.bool_)
    missing = values.isna().to_numpy(bool, copy=True)
    if values.dtype.kind not in "fiubM":
        missing |= np.asarray([isinstance(value, str) and not value.strip() for value in values.tolist()], bool)
    return missing


def _in_arrow(values: pd.Series[Any]) -> bool:
    """Return whether a column is an Arrow array of texts, which are valid UTF-8."""
    import pandas as pd

    return isinstance(values.dtype, pd.StringDtype) and values.dtype.storage == "pyarrow"


def are_whole(values: pd.Series[Any]) -> bool:
    """Return whether all numbers of a column of floats are whole, so that a gap made them floats."""
    if values.dtype.kind != "f":
        return False
    there = values[values.notna()]
    return bool((there == there.round()).all())


def whole_ids(frame: pd.DataFrame, good: NDArray[np.int64]) -> dict[str, bool]:
    """Return `are_whole` of the columns image and, in good rows, location, where they are there."""
    whole = {"image": are_whole(frame["image"])} if "image" in frame else {}
    if "location" in frame:
        whole["location"] = are_whole(frame["location"].iloc[good])
    return whole


def id_texts(values: pd.Series[Any], whole: bool) -> list[str]:
    """Return ids as text, "" where there is none; whole numbers that a gap made floats have no point."""
    missing = _missing(values)
    if _in_arrow(values):
        return list(values.where(~missing, "").tolist())
    there = values[~missing]
    ids = there.tolist()
    if there.dtype.kind == "f" and whole:
        ids = [int(value) if abs(value) < _LEAST_NO_INT64 else value for value in ids]
    texts: list[Any] = [""] * len(values)
    for row, text in zip(np.flatnonzero(~missing).tolist(), ids, strict=True):
        texts[row] = clean_text(str(text))
    return texts
