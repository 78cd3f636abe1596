"""The epochs of a fit: steps over shuffled batches, a validation score after each, a checkpoint, an interrupt."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from geocell.compute.distributed import agreed, rank
from geocell.heads.fit_config import FitConfig
from geocell.heads.module import GeoHead
from geocell.training.blocks import Blocks
from geocell.training.checkpoint import Progress
from geocell.training.loggers import Log
from geocell.training.losses import LossTerms
from geocell.training.stepper import Stepper, learning_rate
from geocell.training.validation import Validation


class Epochs:
    """What is trained, on what, and how far the random order has come."""

    def __init__(
        self,
        module: GeoHead,
        blocks: Blocks,
        terms: LossTerms,
        validation: Validation,
        config: FitConfig,
        log: Log | None,
    ) -> None:
        """Start at the weights of `module`, which has those of the last whole epoch from then on."""
        self._module, self._blocks, self._validation, self._config = module, blocks, validation, config
        self._log = log
        self._step = Stepper(module, terms, config)
        self._order = torch.Generator().manual_seed(config.seed)

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Continue after the epoch whose state it is."""
        rest = dict(state)
        self._order.set_state(rest.pop("order"))
        self._step.load_state(rest)
        self._step.write_into(self._module)

    def score_start(self, progress: Progress) -> None:
        """Score the weights at the start, as epoch 0."""
        self._add({"epoch": 0, "lr": 0.0, "train_loss": math.nan, **self._validation.score(self._module)}, progress)

    def run(self, progress: Progress, save: Callable[[Mapping[str, Tensor]], None] | None) -> bool:
        """Train, epoch by epoch, until the end, the patience or an interrupt.

        Args:
            progress: the epochs so far; the others are added to it.
            save: called after every epoch with everything that the next one depends on, beside the progress.

        Returns:
            Whether an interrupt ended it; one before the first epoch is raised.
        """
        config, first, n = self._config, progress.epochs + 1, len(self._blocks)
        # A bar that is not a terminal's would only fill a log.
        with tqdm(
            total=config.epochs * n, initial=(first - 1) * n, unit="loc", unit_scale=True, file=sys.stderr,
            disable=True if rank() else None, leave=False,
        ) as bar:  # fmt: skip
            try:
                for epoch in range(first, config.epochs + 1):
                    if progress.epochs - progress.best_epoch >= config.patience:
                        break
                    self._add(self._epoch(epoch, bar), progress)
                    if save is not None:
                        save({**self._step.state(), "order": self._order.get_state()})
            except KeyboardInterrupt:
                if not progress.epochs:
                    raise
                return True
        return False

    def _epoch(self, epoch: int, bar: tqdm[Any]) -> dict[str, float]:
        """Train for one epoch and score it; return its row of the history."""
        total, n = 0.0, len(self._blocks)
        plan = self._blocks.plan(self._order)
        steps = self._blocks.n_batches(plan)
        for number, (block, index) in enumerate(self._blocks.batches(plan, self._order)):
            lr = learning_rate(self._config, (epoch - 1) * steps + number, steps)
            total += self._step(block, index, lr, f"epoch {epoch}, batch {number + 1}") * len(index)
            bar.update(len(index))
        self._step.write_into(self._module)
        row = {"epoch": epoch, "lr": lr, "train_loss": total / n, **self._validation.score(self._module)}
        bar.set_postfix(epoch=epoch, loss=f"{row['train_loss']:.3f}", balscore=f"{row['val_balscore']:.3f}")
        return row

    def _add(self, row: dict[str, float], progress: Progress) -> None:
        """Note an epoch, as process 0 saw it."""
        row = agreed(row)
        progress.add(row, self._module)
        if self._log is not None:
            self._log(row)
