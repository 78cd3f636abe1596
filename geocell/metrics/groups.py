"""Groups of locations by a column: countries, say."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray


def named_groups(names: ArrayLike) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield every name of a (P,) column in their order, and which of the P locations have it.

    Locations whose name is missing or empty are in no group.
    """
    texts = np.asarray(names, dtype=object)
    if not all(type(name) is str for name in texts.tolist()):
        import pandas as pd  # knows what counts as missing

        column = pd.Series(texts)
        texts = column.where(column.notna(), "").astype(str).to_numpy()
    numbers: dict[str, int] = {}
    number_of = np.array([numbers.setdefault(name, len(numbers)) for name in texts.tolist()], dtype=np.int64)
    for name in sorted(numbers):
        if name:
            yield name, number_of == numbers[name]
