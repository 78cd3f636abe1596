"""Feature caches as data sets of the library `datasets`, and back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from geocell.encoders.info import EncoderInfo
from geocell.features.shards import FILE_DTYPE

if TYPE_CHECKING:
    from datasets import Dataset

FEATURES = "features"
"""The column of features."""
_KEY = "geocell_encoder"
_PIECE = 4096  # rows that are converted at a time


class HasFeatures(Protocol):
    """What a data set needs of a cache; see `FeatureCache`."""

    @property
    def views(self) -> Any:  # noqa: ANN401 - a DataFrame
        """(N rows) the table of views."""
        ...

    @property
    def encoder(self) -> EncoderInfo:
        """Which encoder made the features."""
        ...

    def __len__(self) -> int:
        """Return N."""
        ...

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float16]:
        """Return the (k, D) features of some rows."""
        ...


def require_datasets() -> None:
    """Raise ImportError, with the way there, unless `datasets` is installed."""
    try:
        import datasets  # noqa: F401
    except ImportError as error:
        raise ImportError(
            'a data set needs the library datasets, which is not installed: run pip install "geocell-heads[datasets]".'
        ) from error


def to_dataset(cache: HasFeatures) -> Dataset:
    """Return a cache as a data set in memory; see `FeatureCache.to_dataset`."""
    require_datasets()
    import pyarrow as pa
    from datasets import Dataset, DatasetInfo

    pieces = []
    for first in range(0, len(cache), _PIECE):
        rows = cache.take(np.arange(first, min(first + _PIECE, len(cache))))
        pieces.append(pa.FixedSizeListArray.from_arrays(pa.array(rows.ravel()), cache.encoder.dim))
    table = pa.Table.from_pandas(cache.views, preserve_index=False)
    table = table.append_column(FEATURES, pa.chunked_array(pieces, type=pa.list_(pa.float16(), cache.encoder.dim)))
    description = json.dumps({_KEY: cache.encoder.to_dict()})
    return cast("Dataset", Dataset(table.replace_schema_metadata(None), info=DatasetInfo(description=description)))


def encoder_of(dataset: Dataset) -> EncoderInfo | None:
    """Return the encoder that `to_dataset` wrote down, None where the data set does not say.

    Raises:
        ValueError: when what it says is no encoder.
    """
    try:
        value = json.loads(dataset.info.description or "")
    except ValueError:
        return None
    if not isinstance(value, dict) or _KEY not in value:
        return None
    return EncoderInfo.from_dict(value[_KEY], "the description of the data set")


class DatasetFeatures:
    """(N, D) features of a data set, read when rows are asked for.

    Raises:
        ValueError: when it has no column of lists of numbers of one length.
    """

    def __init__(self, dataset: Dataset, column: str = FEATURES) -> None:
        """Read the first row, which says D."""
        if column not in dataset.column_names or not len(dataset):
            raise ValueError(
                f"the data set must have rows and a column {column!r} of features, got {len(dataset)} rows of "
                f"{dataset.column_names}."
            )
        self._rows = dataset.select_columns([column]).with_format("numpy")
        self._column = column
        first = np.asarray(self._rows[0][column])
        if first.ndim != 1 or first.dtype.kind != "f" or not len(first):
            raise ValueError(f"the column {column!r} must hold D floats in every row, got {first.dtype} {first.shape}.")
        self.shape = (len(dataset), len(first))
        self.dtype = first.dtype

    def __len__(self) -> int:
        """Return N."""
        return self.shape[0]

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        """Return the (k, D) features of some rows.

        Raises:
            ValueError: when a row has another length.
        """
        start, stop, _ = rows.indices(len(self))
        if start >= stop:
            return np.empty((0, self.shape[1]), dtype=FILE_DTYPE)
        found = self._rows[start:stop][self._column]
        if any(np.shape(row) != (self.shape[1],) for row in found):
            raise ValueError(f"every row must have {self.shape[1]} features, and rows {start} to {stop - 1} do not.")
        return np.stack([np.asarray(row) for row in found])
