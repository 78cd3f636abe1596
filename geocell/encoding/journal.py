"""Keeping the rows of a shard while it is being encoded, so that an interruption costs about a minute at most."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geocell.features.partials import read_partial, write_partial

JOURNAL_SECONDS = 60.0
"""Rows of a shard are kept this often, and when a run is interrupted."""


class Journal:
    """Keeps the first rows of shards in a cache's folder, and returns them when a run is resumed."""

    def __init__(self, folder: Path, dim: int, *, retry: bool = False) -> None:
        """Keep rows in a cache.

        Args:
            folder: the cache.
            dim: D.
            retry: whether rows whose image had a problem are to be encoded again.
        """
        self._folder, self._dim, self._retry = folder, dim, retry
        self._since = time.monotonic()

    def begin(self, index: int, known: list[str], batch_size: int) -> tuple[NDArray[np.float32], dict[int, str], int]:
        """Return the (rows, D) features of a shard, its problems, and how many of its rows are there already.

        That number is a multiple of the batch size, so that the same batches follow as in a run that was never
        interrupted, and leaves one batch at least.

        Args:
            index: which shard.
            known: problem of each of its rows as the table has it, "" where there is none.
            batch_size: images per batch.
        """
        features = np.full((len(known), self._dim), np.nan, np.float32)
        found = read_partial(self._folder, index, self._dim)
        if found is None:
            return features, {}, 0
        stored, problems = found
        rows = min(len(stored), len(known) - 1)
        if self._retry:
            rows = min([rows, *(row for row in problems if row < len(known) and not known[row])])
        rows -= rows % batch_size
        features[:rows] = stored[:rows]
        return features, {row: text for row, text in problems.items() if row < rows}, rows

    def keep(self, index: int, features: NDArray[np.float32], problems: dict[int, str], *, now: bool = False) -> None:
        """Keep the first rows of a shard, unless that was done within `JOURNAL_SECONDS` and is not asked for `now`."""
        if not now and time.monotonic() - self._since < JOURNAL_SECONDS:
            return
        write_partial(self._folder, index, features, problems)
        self._since = time.monotonic()
