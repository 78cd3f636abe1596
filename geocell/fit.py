"""Fitting a head on pooled features: AdamW, cosine schedule, patience on the validation balscore."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

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
from geocell.losses import class_weights, fit_loss
from geocell.metrics import balscore_of
from geocell.partitioners.base import OUTSIDE, Partition
from geocell.recipe import FitConfig

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
class _Data:
    """Everything that a fit reads, on its device."""

    train: Inputs
    target: Tensor
    truth: Tensor
    centroids: Tensor
    weights: Tensor
    val: Inputs | None
    val_latlon: NDArray[np.float64]
    centroids_latlon: NDArray[np.float64]

    @property
    def device(self) -> torch.device:
        """Where the tensors are."""
        return self.target.device


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
    data = _prepare(train.take(inside), val, cells[inside], weights, partition, config)
    module = GeoHead(train.dim, len(partition), config.dropout)
    if init is not None:
        module.load_state_dict(init.module.state_dict(), strict=True)
    with _seeded(config.seed, data.device):
        best, history, interrupted = _run(module.to(data.device), data, config, start=init is not None)
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


def _prepare(
    train: Locations,
    val: Locations | None,
    cells: NDArray[np.int64],
    weights: NDArray[np.float32],
    partition: Partition,
    config: FitConfig,
) -> _Data:
    """Pool the features once and put everything on the device."""
    device = torch.device(choose_device(config.device))

    def tensor(array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(device)

    return _Data(
        train=Inputs.of(train, config.fusion, device),
        target=tensor(cells),
        truth=tensor(unit_vectors(train.latlon).astype(np.float32)),
        centroids=tensor(unit_vectors(partition.centroids).astype(np.float32)),
        weights=tensor(weights),
        val=Inputs.of(val, config.fusion, device) if val is not None and len(val) else None,
        val_latlon=np.empty((0, 2)) if val is None else val.latlon,
        centroids_latlon=partition.centroids,
    )


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch inside the block, and give the global random state back after it."""
    index = device.index if device.index is not None else 0
    with torch.random.fork_rng(devices=[index] if device.type == "cuda" else []):
        # Not torch.manual_seed, which also seeds the generators of every other device, and for good.
        torch.default_generator.manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.default_generators[index].manual_seed(seed)
        yield


def _run(module: GeoHead, data: _Data, config: FitConfig, start: bool) -> tuple[_Best, list[Mapping[str, float]], bool]:
    """Train, epoch by epoch, until the end, the patience or an interrupt.

    Returns:
        The best epoch, one history row per epoch, and whether an interrupt ended it.
    """
    best = _Best()
    history: list[Mapping[str, float]] = []
    optimizer = _optimizer(module, config, data.device)
    order = torch.Generator().manual_seed(config.seed)
    n = len(data.target)
    size = min(config.batch_size, math.ceil(n / MIN_STEPS))
    steps = math.ceil(n / size)
    if start:
        row = {"epoch": 0, "lr": 0.0, "train_loss": _NO_SCORE, **_validate(module, data, config)}
        best.offer(row, module)
        history.append(row)
    # A bar that is not a terminal's would only fill a log.
    with tqdm(total=config.epochs * n, unit="loc", unit_scale=True, file=sys.stderr, disable=None, leave=False) as bar:
        try:
            for epoch in range(1, config.epochs + 1):
                total = 0.0
                batches = torch.split(torch.randperm(n, generator=order).to(data.device), size)
                for step, index in enumerate(batches):
                    lr = learning_rate(config, (epoch - 1) * steps + step, steps)
                    total += _step(module, optimizer, data, config, index, lr, f"epoch {epoch}, batch {step + 1}")
                    bar.update(len(index))
                row = {"epoch": epoch, "lr": lr, "train_loss": total / n, **_validate(module, data, config)}
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


def _optimizer(module: GeoHead, config: FitConfig, device: torch.device) -> torch.optim.AdamW:
    """Return AdamW, fused where torch has it, with weight decay on the matrix alone."""
    groups: list[dict[str, Any]] = [
        {"params": [p for p in module.parameters() if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in module.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, fused=device.type in {"cpu", "cuda", "mps"})


def learning_rate(config: FitConfig, step: int, steps_per_epoch: int) -> float:
    """Return the learning rate of a step: linear warm-up, then a cosine to 0 (Loshchilov and Hutter 2017).

    Args:
        config: the settings.
        step: steps done before this one, over all epochs.
        steps_per_epoch: steps of one epoch.
    """
    warmup = min(config.warmup_epochs, config.epochs) * steps_per_epoch
    total = config.epochs * steps_per_epoch
    if step < warmup:
        return config.lr * (step + 1) / warmup
    return 0.5 * config.lr * (1.0 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def _step(
    module: GeoHead,
    optimizer: torch.optim.Optimizer,
    data: _Data,
    config: FitConfig,
    index: Tensor,
    lr: float,
    where: str,
) -> float:
    """Take one step on the locations at `index`; return the loss times their number."""
    module.train()
    features, views = data.train.select(index)
    loss = fit_loss(
        module(features, views),
        data.target.index_select(0, index),
        data.truth.index_select(0, index),
        data.centroids,
        data.weights,
        smoothing=config.label_smoothing,
        haversine=config.haversine,
    )
    value = loss.item()
    if not math.isfinite(value):
        raise ValueError(f"the loss must be finite, got {value} in {where}: lower lr (now {config.lr:g}) or haversine.")
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    for group in optimizer.param_groups:
        group["lr"] = lr
    optimizer.step()
    return value * len(index)


def _validate(module: GeoHead, data: _Data, config: FitConfig) -> dict[str, float]:
    """Return balscore, median and mean distance on the validation locations, NaN when there are none."""
    if data.val is None:
        return {"val_balscore": _NO_SCORE, "val_median_km": _NO_SCORE, "val_mean_km": _NO_SCORE}
    module.eval()
    points = []
    with torch.inference_mode():
        for index in torch.split(torch.arange(len(data.val_latlon), device=data.device), _EVALUATION_BATCH):
            posterior = torch.softmax(module(*data.val.select(index)), dim=1).cpu().numpy()
            points.append(decode(config.decode, posterior, data.centroids_latlon))
    distances = distance_km(np.concatenate(points), data.val_latlon)
    return {
        "val_balscore": balscore_of(distances),
        "val_median_km": float(np.median(distances)),
        "val_mean_km": float(distances.mean()),
    }
