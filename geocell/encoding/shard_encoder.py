"""Encoding shards: rows through the decode pool and the encoder, as every engine does it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geocell.encoders.protocol import starter
from geocell.encoding.decode_pool import Batch, DecodePool
from geocell.encoding.journal import Journal

if TYPE_CHECKING:
    from geocell.encoders import Encoder
    from geocell.features import Manifest
    from geocell.views import Views

_Features = Callable[[], NDArray[np.float32]]


@dataclass(frozen=True)
class Shard:
    """The rows of one shard that are to be encoded.

    Attributes:
        index: which shard.
        references: of its images.
        problems: of its rows as the table knows them, empty where there is none.
    """

    index: int
    references: Sequence[str]
    problems: Sequence[str]

    @classmethod
    def from_table(cls, index: int, manifest: Manifest, views: Views) -> Shard:
        """Return a shard of a table."""
        return cls(index, *views.shard_rows(*manifest.shard_range(index)))


@dataclass
class EncodedShard:
    """The features of one shard.

    Attributes:
        index: which shard.
        features: (rows, D) float32, NaN where a row has a problem.
        problems: row -> why it has no features.
        done: how many of its rows are encoded: all of them when it is yielded.
    """

    index: int
    features: NDArray[np.float32]
    problems: dict[int, str]
    done: int = 0


class ShardEncoder:
    """Encodes shards one after the other; images of the next batches are decoded while the device works."""

    def __init__(
        self,
        encoder: Encoder,
        pool: DecodePool,
        batch_size: int,
        journal: Journal,
        progress: Callable[[int], object] = lambda _rows: None,
    ) -> None:
        """Prepare.

        Args:
            encoder: the frozen encoder.
            pool: decodes; its batches hold `batch_size` images.
            batch_size: images per batch.
            journal: keeps the rows of shards that are not complete.
            progress: is told how many further rows are done.
        """
        self._start, self._pool, self._batch_size = starter(encoder), pool, batch_size
        self._journal, self._progress = journal, progress
        self._begun: dict[int, EncodedShard] = {}

    def encode(self, shards: Iterable[Shard]) -> Iterator[EncodedShard]:
        """Yield every shard, in order; what is done of one is kept in the journal, also when this is interrupted."""
        waiting: deque[tuple[Batch, _Features]] = deque()
        self._begun = {}
        batches = self._pool.batches(self._plan(shards))
        exhausted = False
        try:
            while waiting or not exhausted:
                following = next(batches, None)
                if following is None:
                    exhausted = True
                else:
                    batch, pixels = following
                    waiting.append((batch, self._start(pixels) if len(pixels) else _nothing))
                # features are asked for when the next batch has begun, so that the device never waits
                if waiting and (exhausted or len(waiting) > 1):
                    shard = self._collect(*waiting[0])
                    waiting.popleft()  # not before: an interrupt while the device is waited for must not lose it
                    if shard.done == len(shard.features):
                        del self._begun[shard.index]
                        yield shard
                    else:
                        self._keep(shard)
        except BaseException:
            self._save(waiting)
            raise

    def _plan(self, shards: Iterable[Shard]) -> Iterator[Batch]:
        for shard in shards:
            rows = len(shard.references)
            features, problems, there = self._journal.begin(shard.index, list(shard.problems), self._batch_size)
            self._begun[shard.index] = EncodedShard(shard.index, features, problems, there)
            self._progress(there)
            for start in range(there, rows, self._batch_size):
                stop = min(start + self._batch_size, rows)
                known = {row: text for row, text in enumerate(shard.problems[start:stop]) if text}
                yield Batch(shard.index, start, shard.references[start:stop], known)

    def _collect(self, batch: Batch, features: _Features) -> EncodedShard:
        """Put the features of a batch into its shard."""
        shard = self._begun[batch.shard]
        good = [batch.first + row for row in batch.good()]
        if good:
            shard.features[good] = features()
        shard.problems.update({batch.first + row: text for row, text in batch.problems.items()})
        shard.done = batch.first + len(batch.references)
        self._progress(len(batch.references))
        return shard

    def _keep(self, shard: EncodedShard, *, now: bool = False) -> None:
        self._journal.keep(shard.index, shard.features[: shard.done], shard.problems, now=now)

    def _save(self, waiting: deque[tuple[Batch, _Features]]) -> None:
        """Keep what is done of every shard, the batches that the device has finished included, up to one that fails."""
        with suppress(Exception):  # the reason for the interruption is what is reported
            while waiting:
                self._collect(*waiting[0])
                waiting.popleft()
        for shard in self._begun.values():
            if shard.done:
                with suppress(OSError, ValueError):
                    self._keep(shard, now=True)


def _nothing() -> NDArray[np.float32]:
    return np.empty((0, 0), np.float32)
