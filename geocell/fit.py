"""Fitting a head on pooled features: AdamW, cosine schedule, patience on the validation balscore."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from geocell.decoders import decode
from geocell.devices import choose_device
from geocell.geodesy import distance_km, unit_vectors
from geocell.head import GeoHead, Head, Inputs
from geocell.locations import Locations
from geocell.losses import LossTerms, class_weights
from geocell.metrics import balscore_of
from geocell.partitioners.base import OUTSIDE, Partition
from geocell.recipe import FitConfig
from geocell.step import Batches, Stepper, compute_dtype, learning_rate

MIN_STEPS = 8
"""Steps of an epoch at least: with the batches of a large set, a few hundred locations would see too few steps."""

_EVALUATION_BATCH = 4096
_NO_SCORE = math.nan


@dataclass
class _Best:
    """The best weights so far: highest balscore, then lowest mean distance."""

    epoch: int = -1
    rank: tuple[float, float] = (-math.inf, -math.inf)
    row: Mapping[str, float] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)

    def offer(self, row: Mapping[str, float], module: GeoHead) -> None:
        """Keep the weights of this epoch if they are better, or if there is no validation score to tell."""
        rank = (row["val_balscore"], -row["val_mean_km"])
        if rank > self.rank or math.isnan(rank[0]):
            weights = {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}
            self.epoch, self.rank, self.row, self.weights = int(row["epoch"]), rank, row, weights

    def scores(self) -> dict[str, float]:
        """Return the validation scores of the best epoch, without the names' prefix; nothing when there are none."""
        scores = {name.removeprefix("val_"): value for name, value in self.row.items() if name.startswith("val_")}
        return {name: value for name, value in scores.items() if math.isfinite(value)}


@dataclass(frozen=True, eq=False)
class _Validation:
    """What an epoch is scored on; `inputs` is None without validation locations."""

    inputs: Inputs | None
    latlon: NDArray[np.float64]
    centroids: NDArray[np.float64]
    decoder: str


def fit_head(
    train: Locations,
    val: Locations | None,
    partition: Partition,
    config: FitConfig = FitConfig(),
    init: Head | None = None,
) -> Head:
    """Fit a head on the features of training locations and keep its best epoch.

    The epoch with the highest validation balscore wins, the mean distance deciding between equals (on few locations
    many epochs tie); without validation locations it is the last one. With `init`, the given weights compete as
    epoch 0. Training locations outside every cell are left out and counted. Cells without a training location get
    class weight 0 and are counted. On a CPU the same seed gives the same bytes; the global random state is untouched.
    An interrupt (Ctrl-C) after the first epoch returns the best head so far, with `training["interrupted"]`.

    Args:
        train: training locations.
        val: validation locations, with features of the same encoder; None or empty for none.
        partition: the cells; it must be able to assign.
        config: the settings.
        init: a head on the same partition and encoder to start from.

    Returns:
        The head.

    Raises:
        ValueError: when the parts do not belong together, no training location is in a cell, or a loss is not finite.
    """
    _require_fitting_parts(train, val, partition, init)
    cells = partition.assign(train.latlon)
    inside = np.flatnonzero(cells != OUTSIDE)
    if len(inside) == 0:
        raise ValueError(
            f"a fit needs training locations inside the partition, and all {len(train)} lie outside: "
            "fit the partition on these locations, or name the right one."
        )
    counts = np.bincount(cells[inside], minlength=len(partition))
    weights = class_weights(counts, config.weight_exponent, config.weight_cap)
    module = GeoHead(train.dim, len(partition), config.dropout).eval()
    if init is not None:
        module.load_state_dict(init.module.state_dict(), strict=True)
    device = torch.device(choose_device(config.device))
    terms = _loss_terms(partition, weights, config, device)
    batches = _batches(train.take(inside), cells[inside], config, device)
    validation = _validation(val, partition, config, device)
    best, history, interrupted = _run(module.to(device), batches, terms, validation, config, start=init is not None)
    module.cpu().load_state_dict(best.weights, strict=True)
    training = {
        "n_train": len(inside),
        "n_train_outside": len(train) - len(inside),
        "n_val": 0 if val is None else len(val),
        "cells_without_training_location": int((counts == 0).sum()),
        "class_weight_range": [float(weights[counts > 0].min()), float(weights.max())],
        "epochs_run": int(history[-1]["epoch"]),
        "best_epoch": best.epoch,
        "val": best.scores(),
        "seed": config.seed,
        "init": None if init is None else {"fit": init.config.to_dict(), "training": dict(init.training)},
        "interrupted": interrupted,
    }
    return Head(module, partition, train.encoder, config, training, tuple(history))


def _require_fitting_parts(train: Locations, val: Locations | None, partition: Partition, init: Head | None) -> None:
    """Raise ValueError unless locations, partition and init can make one head."""
    if not partition.can_assign:
        raise ValueError(
            "a fit needs a partition that assigns locations to cells, and this one only decodes: use a folder with "
            "partition.json, or fit a partition."
        )
    if len(train) == 0:
        raise ValueError("a fit needs training locations, got none: name another split.")
    if val is not None:
        train.encoder.require_same(val.encoder, "the training locations", "the validation locations")
    if init is not None:
        init.encoder.require_same(train.encoder, "the head to start from", "the training locations")
        if init.partition.sha256 != partition.sha256:
            raise ValueError(
                f"a warm start needs the same cells in both heads: the head to start from has {init.partition!r}, "
                f"the fit {partition!r}; fit on the partition in the folder of that head."
            )


def _loss_terms(
    partition: Partition, weights: NDArray[np.float32], config: FitConfig, device: torch.device
) -> LossTerms:
    """Return the loss that the settings ask for, on the device."""
    return LossTerms(
        centroids=torch.from_numpy(unit_vectors(partition.centroids).astype(np.float32)).to(device),
        weights=torch.from_numpy(weights).to(device),
        ancestors={name: torch.tensor(groups, device=device) for name, groups in partition.ancestors.items()},
        label_smoothing=config.label_smoothing,
        haversine=config.haversine,
        expected_distance=config.expected_distance,
        smoothing_km=config.smoothing_km,
        smoothing_normalized=config.smoothing_normalized,
        hierarchy=config.hierarchy,
    )


def _batches(train: Locations, cells: NDArray[np.int64], config: FitConfig, device: torch.device) -> Batches:
    """Put the training locations on the device."""
    return Batches.of(
        Inputs.of(train, config.fusion, device),
        target=torch.from_numpy(cells).to(device),
        truth=torch.from_numpy(unit_vectors(train.latlon).astype(np.float32)).to(device),
        dropout=config.dropout,
        dtype=compute_dtype(config.precision, device),
    )


def _validation(val: Locations | None, partition: Partition, config: FitConfig, device: torch.device) -> _Validation:
    """Put the validation locations on the device."""
    inputs = Inputs.of(val, config.fusion, device) if val is not None and len(val) else None
    latlon = np.empty((0, 2)) if val is None else val.latlon
    return _Validation(inputs, latlon, partition.centroids, config.decode)


def _run(
    module: GeoHead, batches: Batches, terms: LossTerms, validation: _Validation, config: FitConfig, start: bool
) -> tuple[_Best, list[Mapping[str, float]], bool]:
    """Train, epoch by epoch, until the end, the patience or an interrupt.

    Returns:
        The best epoch, one history row per epoch, and whether an interrupt ended it.
    """
    best = _Best()
    history: list[Mapping[str, float]] = []
    take_step = Stepper(module, batches, terms, config)
    order = torch.Generator().manual_seed(config.seed)
    n = len(batches)
    size = min(config.batch_size, math.ceil(n / MIN_STEPS))
    steps = math.ceil(n / size)
    if start:
        row = {"epoch": 0, "lr": 0.0, "train_loss": _NO_SCORE, **_validate(module, validation)}
        best.offer(row, module)
        history.append(row)
    # A bar that is not a terminal's would only fill a log.
    with tqdm(total=config.epochs * n, unit="loc", unit_scale=True, file=sys.stderr, disable=None, leave=False) as bar:
        try:
            for epoch in range(1, config.epochs + 1):
                total = 0.0
                shuffled = torch.randperm(n, generator=order).to(batches.target.device)
                for step, index in enumerate(torch.split(shuffled, size)):
                    lr = learning_rate(config, (epoch - 1) * steps + step, steps)
                    total += take_step(index, lr, f"epoch {epoch}, batch {step + 1}") * len(index)
                    bar.update(len(index))
                take_step.weights.write_into(module)
                row = {"epoch": epoch, "lr": lr, "train_loss": total / n, **_validate(module, validation)}
                best.offer(row, module)
                history.append(row)
                bar.set_postfix(epoch=epoch, loss=f"{row['train_loss']:.3f}", balscore=f"{row['val_balscore']:.3f}")
                if epoch - best.epoch >= config.patience:
                    break
        except KeyboardInterrupt:
            if not any(row["epoch"] for row in history):
                raise
            return best, history, True
    return best, history, False


def _validate(module: GeoHead, data: _Validation) -> dict[str, float]:
    """Return balscore, median and mean distance on the validation locations, NaN when there are none."""
    if data.inputs is None:
        return {"val_balscore": _NO_SCORE, "val_median_km": _NO_SCORE, "val_mean_km": _NO_SCORE}
    points = []
    with torch.inference_mode():
        for index in torch.split(torch.arange(len(data.latlon), device=data.inputs.features.device), _EVALUATION_BATCH):
            posterior = torch.softmax(module(*data.inputs.select(index)), dim=1).cpu().numpy()
            points.append(decode(data.decoder, posterior, data.centroids))
    distances = distance_km(np.concatenate(points), data.latlon)
    return {
        "val_balscore": balscore_of(distances),
        "val_median_km": float(np.median(distances)),
        "val_mean_km": float(distances.mean()),
    }
