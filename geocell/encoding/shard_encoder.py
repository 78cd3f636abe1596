"""Rows of shards through the pool and the encoder: what every way to encode a cache has in common."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geocell.encoders.protocol import starter
from geocell.encoding.decode_pool import Batch, DecodePool

if TYPE_CHECKING:
    from geocell.encoders import Encoder
    from geocell.features import Manifest
    from geocell.views import ViewTable


@dataclass(frozen=True)
class Shard:
    """What is to be encoded for one shard.

    Attributes:
        index: which shard.
        references: of its images.
        problems: of its rows as the table knows them, empty where there is none.
    """

    index: int
    references: Sequence[str]
    problems: Sequence[str]

    @classmethod
    def of(cls, index: int, manifest: Manifest, views: ViewTable) -> Shard:
        """Return a shard of a table."""
        rows = views.frame.iloc[slice(*manifest.shard_range(index))]
        return cls(index, rows["image"].tolist(), rows["problem"].tolist())


@dataclass(frozen=True)
class EncodedShard:
    """What is written of one shard.

    Attributes:
        index: which shard.
        features: (rows, D) float32, NaN where a row has a problem.
        problems: row -> why it has no features.
    """

    index: int
    features: NDArray[np.float32]
    problems: dict[int, str]


class ShardEncoder:
    """Encodes shards one after the other; images of the next one are decoded while the device is busy with this one."""

    def __init__(
        self, encoder: Encoder, pool: DecodePool, batch_size: int, progress: Callable[[int], object] | None = None
    ) -> None:
        """Take an encoder and a pool, whose batches hold `batch_size` images; `progress` is told how many are done."""
        self._start, self._dim = starter(encoder), encoder.info.dim
        self._pool, self._batch_size, self._progress = pool, batch_size, progress

    def encode(self, shards: Iterable[Shard]) -> Iterator[EncodedShard]:
        """Yield every shard, in order."""
        waiting: deque[tuple[Batch, Callable[[], NDArray[np.float32]]]] = deque()
        shard = EncodedShard(-1, np.empty((0, self._dim), np.float32), {})
        batches = self._pool.batches(self._plan(shards))
        exhausted = False
        while waiting or not exhausted:
            following = next(batches, None)
            if following is None:
                exhausted = True
            else:
                batch, pixels = following
                waiting.append((batch, self._start(pixels) if len(pixels) else _nothing))
            # the features of a batch are asked for when the next one has begun, so that the device never waits for them
            if waiting and (exhausted or len(waiting) > 1):
                batch, features = waiting.popleft()
                if batch.first == 0:
                    shard = EncodedShard(batch.shard, np.full((batch.rows, self._dim), np.nan, np.float32), {})
                self._collect(shard, batch, features)
                if batch.last:
                    yield shard

    def _plan(self, shards: Iterable[Shard]) -> Iterator[Batch]:
        for shard in shards:
            rows = len(shard.references)
            for start in range(0, rows, self._batch_size):
                stop = min(start + self._batch_size, rows)
                problems = {row: text for row, text in enumerate(shard.problems[start:stop]) if text}
                yield Batch(shard.index, start, shard.references[start:stop], problems, rows)

    def _collect(self, shard: EncodedShard, batch: Batch, features: Callable[[], NDArray[np.float32]]) -> None:
        """Put the features of a batch into its shard."""
        good = [batch.first + row for row in batch.good()]
        if good:
            shard.features[good] = features()
        shard.problems.update({batch.first + row: text for row, text in batch.problems.items()})
        if self._progress is not None:
            self._progress(len(batch.references))


def _nothing() -> NDArray[np.float32]:
    return np.empty((0, 0), np.float32)
