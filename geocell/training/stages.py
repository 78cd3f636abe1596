"""The two stages of a fit: on the training locations, and on request again on training and validation locations."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from geocell.compute.distributed import rank
from geocell.features.locations import Locations
from geocell.files import reading
from geocell.geo.geodesy import unit_vectors
from geocell.heads.fit_config import FitConfig
from geocell.heads.module import GeoHead
from geocell.partitioners.base import Partition
from geocell.partitioners.centroids import radius_of
from geocell.training.blocks import Blocks
from geocell.training.checkpoint import Progress, read_checkpoint, write_checkpoint
from geocell.training.epochs import Epochs
from geocell.training.loggers import Log
from geocell.training.losses import TERMS, LossTerms, Term
from geocell.training.smoothed_targets import near_cells
from geocell.training.training_set import TrainingSet
from geocell.training.validation import Validation

OwnTerms = Mapping[str, tuple[float, Term]]
"""Terms of the loss that the caller brings: name -> weight and function."""


class Stages:
    """A module and what has been done with it.

    Attributes:
        progress: of the fit on the training locations.
        refit: of the second fit; without epochs where there was none.
        interrupted: whether an interrupt ended the last stage.
        weights: of the module, as they are to be kept.
    """

    def __init__(
        self,
        module: GeoHead,
        partition: Partition,
        terms: OwnTerms,
        config: FitConfig,
        keep_last: bool,
        log: Log | None,
    ) -> None:
        """Start at the weights of `module`, on the device where it is."""
        self._module, self._partition, self._terms, self._config, self._log = module, partition, terms, config, log
        self._device = next(module.parameters()).device
        self._start = deepcopy(module.state_dict())
        self._path: Path | None = None
        self._facts: Mapping[str, Any] = {}
        self._state: dict[str, Tensor] | None = None
        self.progress, self.refit, self.interrupted = Progress(keep_last=keep_last), Progress(keep_last=True), False
        self.weights: dict[str, Tensor] = {}

    def keep_in(self, path: Path, facts: Mapping[str, Any]) -> None:
        """Write the state to `path` after every epoch, and continue from there if the file exists.

        Raises:
            ValueError: when the file is not the state of a fit with these facts.
        """
        self._path, self._facts = path, facts
        if path.is_file():
            self._state = read_checkpoint(path, facts, self.progress, self.refit)

    def fit(self, train: TrainingSet, val: Locations | None, score_start: bool) -> None:
        """Fit on the training locations; the weights are those of the epoch that is kept."""
        if not self.refit.epochs:  # else this stage was done before the process was killed
            self._run(train, val, self._config, self.progress, self._log, score_start)
        self.weights = self.progress.best_weights

    def fit_again(self, train: TrainingSet) -> None:
        """Fit from the same start on all locations, for as many epochs as the number of the epoch that was kept."""
        self._module.load_state_dict(self._start, strict=True)
        before, log = self.progress.epochs, self._log
        renumbered = None if log is None else lambda row: log({**row, "epoch": row["epoch"] + before})
        try:
            self._run(train, None, replace(self._config, epochs=self.progress.best_epoch), self.refit, renumbered)
        except KeyboardInterrupt:  # before its first epoch
            self.interrupted = True
        if not self.interrupted:
            self.weights = {name: value.detach().cpu() for name, value in self._module.state_dict().items()}

    def refit_dict(self, train: TrainingSet) -> dict[str, Any]:
        """Return what a head records of its second fit, JSON."""
        losses = [row["train_loss"] for row in self.refit.history]
        return {**train.to_dict(), "epochs": self.refit.epochs, "train_loss": losses}

    def _run(
        self,
        train: TrainingSet,
        val: Locations | None,
        config: FitConfig,
        progress: Progress,
        log: Log | None,
        score_start: bool = False,
    ) -> None:
        """Train on some locations, from the state that was read if there is one."""
        device = self._device
        epochs = Epochs(
            self._module,
            Blocks(train.locations, train.cells, config, device, train.offset),
            loss_terms(self._partition, train, config, device, self._terms),
            Validation.of(val, self._partition, config, device),
            config,
            log,
        )
        state, self._state = self._state, None
        if state is not None:
            with reading(self._path, "the state of this fit"):
                epochs.load_state(state)
        elif score_start:
            epochs.score_start(progress)
        self.interrupted = epochs.run(progress, self._save if self._path is not None and rank() == 0 else None)

    def _save(self, state: Mapping[str, Tensor]) -> None:
        if self._path is not None:
            write_checkpoint(self._path, self.progress, self.refit, state, self._facts)


def loss_terms(
    partition: Partition, train: TrainingSet, config: FitConfig, device: torch.device, own: OwnTerms
) -> LossTerms:
    """Return the loss that the settings ask for, on the device."""
    near = None
    if config.smoothing_km:
        radius = radius_of(train.locations.latlon, train.cells, partition.centroids)
        near = near_cells(partition.centroids, radius, config.smoothing_km)
    return LossTerms(
        centroids=torch.from_numpy(unit_vectors(partition.centroids).astype(np.float32)).to(device),
        weights=torch.from_numpy(train.weights).to(device),
        ancestors={name: torch.tensor(groups, device=device) for name, groups in partition.ancestors.items()},
        label_smoothing=config.label_smoothing,
        smoothing_km=config.smoothing_km,
        smoothing_normalized=config.smoothing_normalized,
        near=None if near is None else torch.from_numpy(near).to(device),
        hierarchy_decay=config.hierarchy_decay,
        weight_of={name: getattr(config, name) for name in TERMS} | {name: weight for name, (weight, _) in own.items()},
        own={name: term for name, (_, term) in own.items()},
    )
