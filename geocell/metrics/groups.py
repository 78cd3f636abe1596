"""Groups of locations by a column: countries, say."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray


def named_groups(names: ArrayLike) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield every name of a (P,) column in their order, and which of the P locations have it.

    Locations whose name is missing or empty are in no group.
    """
    import pandas as pd

    column = pd.Series(np.asarray(names, dtype=object))
    texts = column.where(column.notna(), "").astype(str).to_numpy()
    for name in np.unique(texts[texts != ""]).tolist():
        yield name, texts == name
