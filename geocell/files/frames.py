"""Tables of Arrow as DataFrames."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow


def validated_frame(table: pyarrow.Table) -> pd.DataFrame:
    """Return a table that was read from somebody else's file as a DataFrame, all of it checked before.

    Arrow reads a damaged file without a look at its values: an offset beyond its column or a text that is not UTF-8
    fails later, where nobody expects it, or ends the process.

    Raises:
        Exception: pyarrow's own or Python's, when it is damaged; the caller names the file.
    """
    table.validate(full=True)
    frame: pd.DataFrame = table.to_pandas()
    return frame
