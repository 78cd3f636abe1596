"""Training locations of a fit: all of them in memory, or block by block from the disk."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geocell.features.locations import Locations
from geocell.geo.geodesy import unit_vectors
from geocell.heads.fit_config import FitConfig
from geocell.training.batches import Batches

MIN_STEPS = 8
"""Steps of an epoch at least, but for rounding: the batches of a large set are too few for a few hundred locations."""

_CHUNKS = 32
"""Pieces of a block that are neighbours on the disk: more of them mix better, fewer read faster."""


class Blocks:
    """The training locations, in blocks that fit into memory; one block when `stream` is 0.

    With `stream`, every epoch puts the pieces of the cache into blocks anew, draws the batches within a block, and
    reads the next block meanwhile. Every location is in one batch of an epoch, as it is in memory; only their order
    is another.
    """

    def __init__(
        self,
        train: Locations,
        cells: NDArray[np.int64],
        config: FitConfig,
        device: torch.device,
        offset: NDArray[np.float32] | None = None,
    ) -> None:
        """Keep P locations, all in a cell, with their (P,) cells; read the features if there is one block.

        Offsets that are regressed come with their (P, 2) true values.
        """
        self._offset = offset
        self._train, self._cells, self._config, self._device = train, cells, config, device
        self._size = min(config.batch_size, math.ceil(len(train) / MIN_STEPS))
        self._whole = None if 0 < config.stream < len(train) else self._read(np.arange(len(train)))

    def __len__(self) -> int:
        """Return P."""
        return len(self._train)

    def plan(self, order: torch.Generator) -> list[NDArray[np.int64]]:
        """Return the blocks of an epoch: location indices, each ascending."""
        if self._whole is not None:
            return [np.arange(len(self))]
        piece = max(1, self._config.stream // _CHUNKS)
        pieces = np.split(np.arange(len(self)), np.arange(piece, len(self), piece))
        drawn = torch.randperm(len(pieces), generator=order).tolist()
        per_block = max(1, self._config.stream // piece)
        return [
            np.sort(np.concatenate([pieces[i] for i in drawn[first : first + per_block]]))
            for first in range(0, len(drawn), per_block)
        ]

    def n_batches(self, plan: list[NDArray[np.int64]]) -> int:
        """Return how many batches the blocks of an epoch come to."""
        return sum(math.ceil(len(block) / self._size) for block in plan)

    def batches(self, plan: list[NDArray[np.int64]], order: torch.Generator) -> Iterator[tuple[Batches, Tensor]]:
        """Yield a block, and the indices of one batch in it, until every location was in a batch."""
        if self._whole is not None:
            yield from self._shuffled(self._whole, order)
            return
        with ThreadPoolExecutor(1) as reader:
            following = reader.submit(self._read, plan[0])
            for number in range(len(plan)):
                block = following.result()
                if number + 1 < len(plan):
                    following = reader.submit(self._read, plan[number + 1])
                yield from self._shuffled(block, order)

    def _shuffled(self, block: Batches, order: torch.Generator) -> Iterator[tuple[Batches, Tensor]]:
        shuffled = torch.randperm(len(block), generator=order).to(self._device)
        for index in torch.split(shuffled, self._size):
            yield block, index

    def _read(self, index: NDArray[np.int64]) -> Batches:
        """Put the locations at `index` on the device."""
        train = self._train.take(index)
        return Batches.read(
            train,
            target=torch.from_numpy(self._cells[index]).to(self._device),
            truth=torch.from_numpy(unit_vectors(train.latlon).astype(np.float32)).to(self._device),
            config=self._config,
            offset=None if self._offset is None else torch.from_numpy(self._offset[index]).to(self._device),
        )
