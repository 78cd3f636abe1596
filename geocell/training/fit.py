"""Fitting a head on pooled features: AdamW, cosine schedule, patience on the validation balscore."""

from __future__ import annotations

import hashlib
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from geocell.compute.distributed import agreed, processes, rank
from geocell.features.locations import Locations, require_locations
from geocell.files import canonical_json
from geocell.geo.geodesy import distance_km, unit_vectors
from geocell.heads.fit_config import FitConfig
from geocell.heads.head import Head
from geocell.heads.module import GeoHead
from geocell.heads.offsets import true_offsets
from geocell.heads.trained_on import joined_keys, location_keys, locations_sha256
from geocell.partitioners.base import OUTSIDE, Partition
from geocell.partitioners.centroids import radius_of
from geocell.partitioners.class_weights import class_weights
from geocell.training.blocks import Blocks
from geocell.training.checkpoint import Progress, read_checkpoint, tensors_sha256, write_checkpoint
from geocell.training.loggers import Log
from geocell.training.losses import TERMS, LossTerms, Term
from geocell.training.smoothed_targets import near_cells
from geocell.training.stepper import Stepper, learning_rate
from geocell.training.validation import Validation

_SAME_CENTROID_KM = 0.01  # files of others round their coordinates
_SAMPLED = 256  # views whose features tell one cache from another


def fit_head(
    train: Locations,
    val: Locations | None,
    partition: Partition,
    config: FitConfig = FitConfig(),
    init: Head | None = None,
    checkpoint: str | Path | None = None,
    log: Log | None = None,
    terms: Mapping[str, tuple[float, Term]] | None = None,
) -> Head:
    """Fit a head on the features of training locations and keep its best epoch.

    The epoch with the highest validation balscore wins, the mean distance deciding between equals (on few locations
    many epochs tie); without validation locations it is the last one. With `init`, the given weights compete as
    epoch 0. Training locations outside every cell are left out and counted. Cells without a training location get
    class weight 0 and are counted. On a CPU the same seed gives the same bytes; the global random state is untouched.
    An interrupt (Ctrl-C) after the first epoch returns the best head so far, with `training["interrupted"]`. With a
    `checkpoint` a fit that was killed goes on after its last whole epoch, to the same bytes as an unbroken one. Under
    `torchrun` every process takes a share of each batch, and all return the same head.

    Args:
        train: training locations.
        val: validation locations, with features of the same encoder; None or empty for none.
        partition: the cells; it must be able to assign.
        config: the settings.
        init: a head on the same partition and encoder to start from.
        checkpoint: file that holds the state after the last epoch. If it is there the fit goes on from it; the caller
            removes it once the head is safe.
        log: called with each row of the history as it is made.
        terms: own terms of the loss beside those of `FitConfig`: name -> weight and function; see
            `geocell.training.losses.Term`. Their names and weights are recorded in `training["terms"]`.

    Returns:
        The head.

    Raises:
        ValueError: when the parts do not belong together, no training location is in a cell, a loss is not finite, or
            the checkpoint is of another fit.
    """
    _require_fitting_parts(train, val, partition, init)
    cells = partition.assign(train.latlon)
    inside = np.flatnonzero(cells != OUTSIDE)
    if len(inside) == 0:
        raise ValueError(
            f"a fit needs training locations inside the partition, and all {len(train)} lie outside: "
            "fit the partition on these locations, or name the right one."
        )
    own = _own_terms(terms or {})
    own_weights = {"terms": {name: weight for name, (weight, _) in own.items()}} if own else {}
    counts = np.bincount(cells[inside], minlength=len(partition))
    weights = class_weights(counts, config.weight_exponent, config.weight_cap)
    offset = true_offsets(partition, cells[inside], train.latlon[inside]) if config.offsets else None
    with processes(config.device) as device:
        module = _start(train.dim, len(partition), config, init).to(device)
        run = _Run(
            module,
            Blocks(train.take(inside), cells[inside], config, device, offset),
            _loss_terms(partition, weights, config, device, train.latlon[inside], cells[inside], own),
            Validation.of(val, partition, config, device),
            config,
            log if rank() == 0 else None,
        )
        progress, interrupted = run(
            None if checkpoint is None else Path(checkpoint),
            {
                "settings": {**config.to_dict(), **own_weights},
                "cells": partition.sha256,
                "weights at the start": tensors_sha256(module.state_dict()),
                "training locations": _fingerprint(train),
                "validation locations": None if val is None else _fingerprint(val),
            },
            scored_start=init is not None,
        )
    module.cpu().load_state_dict(progress.best_weights, strict=True)
    training = {
        "n_train": len(inside),
        "n_train_outside": len(train) - len(inside),
        "n_val": 0 if val is None else len(val),
        "cells_without_training_location": int((counts == 0).sum()),
        "class_weight_range": [float(weights[counts > 0].min()), float(weights.max())],
        "epochs_run": progress.epochs,
        "best_epoch": progress.best_epoch,
        "val": progress.best_scores(),
        "seed": config.seed,
        "train_sha256": locations_sha256(train),
        "val_sha256": None if val is None else locations_sha256(val),
        "init": None if init is None else {"fit": init.config.to_dict(), "training": dict(init.training)},
        "interrupted": interrupted,
        **own_weights,
    }
    seen = joined_keys([location_keys(train), None if init is None else init.trained_on])
    return Head(module, partition, train.encoder, config, training, tuple(progress.history), seen)


def _require_fitting_parts(train: Locations, val: Locations | None, partition: Partition, init: Head | None) -> None:
    """Raise ValueError, or TypeError, unless locations, partition and init can make one head."""
    require_locations(train, "what a fit trains on")
    if val is not None:
        require_locations(val, "what a fit is validated on")
    if not partition.can_assign:
        raise ValueError(
            "a fit needs a partition that assigns locations to cells, and this one only decodes: use a folder with "
            "partition.json, or fit a partition."
        )
    if len(train) == 0:
        raise ValueError("a fit needs training locations, got none: name another split.")
    if val is not None:
        train.encoder.require_same(val.encoder, "the training locations", "the validation locations")
        _require_apart(train, val)
    if init is not None:
        init.encoder.require_same(train.encoder, "the head to start from", "the training locations")
        if not _same_cells(init.partition, partition):
            raise ValueError(
                f"a warm start needs the same cells in both heads: the head to start from has {init.partition!r}, "
                f"the fit {partition!r}; fit on the partition in the folder of that head."
            )


def _require_apart(train: Locations, val: Locations) -> None:
    """Raise ValueError if a training location, by id and coordinates, is a validation location too."""
    places = dict(zip(train.ids.tolist(), map(tuple, train.latlon.tolist()), strict=True))
    both = [
        key for key, at in zip(val.ids.tolist(), map(tuple, val.latlon.tolist()), strict=True) if places.get(key) == at
    ]
    if both:
        raise ValueError(
            f"training and validation locations must have none in common, and {len(both)} are in both, "
            f"{both[0]!r} among them: take each from a split of its own."
        )


def _own_terms(terms: Mapping[str, tuple[float, Term]]) -> dict[str, tuple[float, Term]]:
    """Return the caller's terms, or raise ValueError for one that has a name of `FitConfig` or no finite weight."""
    for name, (weight, _) in terms.items():
        if name in {field.name for field in fields(FitConfig)}:
            raise ValueError(f"a term of the loss needs a name of its own, and {name!r} is a setting of FitConfig.")
        if not math.isfinite(weight):
            raise ValueError(f"the weight of the term {name!r} must be a finite number, got {weight!r}.")
    return dict(terms)


def _same_cells(start: Partition, cells: Partition) -> bool:
    """Return whether class i is the same cell in both: one partition, or centroids alone, which do not differ."""
    if start.can_assign:
        return start.sha256 == cells.sha256
    same_size = len(start) == len(cells)
    return same_size and bool((distance_km(start.centroids, cells.centroids) < _SAME_CENTROID_KM).all())


def _start(dim: int, n_cells: int, config: FitConfig, init: Head | None) -> GeoHead:
    """Return the module a fit starts from: without attention all views weigh the same, without offsets they are 0."""
    module = GeoHead(dim, n_cells, config.dropout, config.fusion == "attention", config.offsets > 0).eval()
    if init is not None:
        if init.module.attention is not None and module.attention is None:
            raise ValueError(
                f"a warm start from a head with fusion attention needs fusion attention, got {config.fusion!r}."
            )
        if init.has_offsets and not config.offsets:
            raise ValueError("a warm start from a head with offsets needs offsets above 0, got 0.")
        module.load_state_dict({**module.state_dict(), **init.module.state_dict()}, strict=True)
    return module


def _fingerprint(locations: Locations) -> str:
    """Return a hash of the locations, their coordinates, which features are theirs and a sample of these."""
    sample = locations.rows[:: max(1, len(locations.rows) // _SAMPLED)]  # all of them may be many gigabytes
    digest = hashlib.sha256(canonical_json([locations.ids.tolist(), asdict(locations.encoder)]).encode())
    for array in (locations.latlon, locations.rows, locations.offsets, locations.features[sample]):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _loss_terms(
    partition: Partition,
    weights: NDArray[np.float32],
    config: FitConfig,
    device: torch.device,
    latlon: NDArray[np.float64],
    cells: NDArray[np.int64],
    own: Mapping[str, tuple[float, Term]],
) -> LossTerms:
    """Return the loss that the settings ask for, on the device, for locations in those cells."""
    near = None
    if config.smoothing_km:
        near = near_cells(partition.centroids, radius_of(latlon, cells, partition.centroids), config.smoothing_km)
    return LossTerms(
        centroids=torch.from_numpy(unit_vectors(partition.centroids).astype(np.float32)).to(device),
        weights=torch.from_numpy(weights).to(device),
        ancestors={name: torch.tensor(groups, device=device) for name, groups in partition.ancestors.items()},
        label_smoothing=config.label_smoothing,
        smoothing_km=config.smoothing_km,
        smoothing_normalized=config.smoothing_normalized,
        near=None if near is None else torch.from_numpy(near).to(device),
        hierarchy_decay=config.hierarchy_decay,
        weight_of={name: getattr(config, name) for name in TERMS} | {name: weight for name, (weight, _) in own.items()},
        own={name: term for name, (_, term) in own.items()},
    )


class _Run:
    """The epochs of one fit."""

    def __init__(
        self,
        module: GeoHead,
        blocks: Blocks,
        terms: LossTerms,
        validation: Validation,
        config: FitConfig,
        log: Log | None,
    ) -> None:
        self._module, self._blocks, self._validation, self._config = module, blocks, validation, config
        self._log = log
        self._step = Stepper(module, terms, config)
        self._order = torch.Generator().manual_seed(config.seed)

    def __call__(self, checkpoint: Path | None, facts: Mapping[str, Any], scored_start: bool) -> tuple[Progress, bool]:
        """Train, epoch by epoch, until the end, the patience or an interrupt.

        Returns:
            How far it came, and whether an interrupt ended it.
        """
        progress, config = Progress(), self._config
        if checkpoint is not None and checkpoint.is_file():
            progress, state = read_checkpoint(checkpoint, facts)
            self._order.set_state(state.pop("order"))
            self._step.load_state(state)
        elif scored_start:
            row = {"epoch": 0, "lr": 0.0, "train_loss": math.nan, **self._validation.score(self._module)}
            self._add(row, progress)
        first, n = progress.epochs + 1, len(self._blocks)
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
                    if checkpoint is not None and rank() == 0:
                        state = {**self._step.state(), "order": self._order.get_state()}
                        write_checkpoint(checkpoint, progress, state, facts)
            except KeyboardInterrupt:
                if not progress.epochs:
                    raise
                return progress, True
        return progress, False

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
