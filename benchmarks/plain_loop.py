"""The head as it is usually fitted: a module under autograd with torch's own loss, one epoch after the other.

No part of the package's step is in it, so that scores of the two can be compared: dropout falls between a LayerNorm
with gain and shift and the Linear, AdamW sees these apart, and everything is float32.
"""

from __future__ import annotations

import copy

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from geocell.features.locations import Locations
from geocell.geo.geodesy import EARTH_RADIUS_KM, distance_km
from geocell.heads.fit_config import FitConfig
from geocell.metrics.outcomes import balscore_of
from geocell.partitioners.base import Partition
from geocell.partitioners.class_weights import class_weights
from geocell.training.blocks import MIN_STEPS
from geocell.training.fit import keeps_last
from geocell.training.stepper import learning_rate


def fit_plain(train: Locations, val: Locations | None, partition: Partition, config: FitConfig) -> nn.Module:
    """Return the module of the epoch that a fit with these settings would keep, in evaluation mode."""
    torch.manual_seed(config.seed)
    features, cells = torch.from_numpy(train.mean_features()), partition.assign(train.latlon)
    target, truth = torch.from_numpy(cells), torch.from_numpy(np.radians(train.latlon)).float()
    weights = class_weights(np.bincount(cells, minlength=len(partition)), config.weight_exponent, config.weight_cap)
    centroids = torch.from_numpy(np.radians(partition.centroids)).float()
    size = features.shape[1]
    module = nn.Sequential(nn.LayerNorm(size), nn.Dropout(config.dropout), nn.Linear(size, len(partition)))
    optimizer = torch.optim.AdamW(module.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    batch = min(config.batch_size, -(-len(train) // MIN_STEPS))  # as in a fit
    steps, step = -(-len(train) // batch), 0
    last = keeps_last(config, len(train), 0 if val is None else len(val))
    best, best_epoch, best_key = copy.deepcopy(module), 0, (-1.0, 0.0)
    for epoch in range(config.epochs):
        module.train()
        for index in torch.split(torch.randperm(len(train)), batch):
            optimizer.param_groups[0]["lr"] = learning_rate(config, step, steps)
            logits = module(features[index])
            loss = functional.cross_entropy(
                logits, target[index], torch.from_numpy(weights), label_smoothing=config.label_smoothing
            )
            if config.haversine:
                loss = loss + config.haversine * _haversine_km(logits.softmax(1), centroids, truth[index]).mean()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            step += 1
        module.eval()
        if last or val is None:
            continue
        distances = distance_km(plain_answers(module, val, partition), val.latlon)
        key = (balscore_of(distances), -float(distances.mean()))
        if key > best_key:
            best, best_epoch, best_key = copy.deepcopy(module), epoch, key
        elif epoch - best_epoch >= config.patience:
            break
    return (module if last or val is None else best).eval()


@torch.no_grad()
def plain_answers(module: nn.Module, locations: Locations, partition: Partition) -> NDArray[np.float64]:
    """Return (P, 2) centroids of the most probable cells."""
    logits = module(torch.from_numpy(locations.mean_features()))
    return np.asarray(partition.centroids[logits.argmax(dim=1).numpy()])


def _haversine_km(p: torch.Tensor, centroids: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Return the (P,) haversine distances of the posterior means, by trigonometry."""
    lat, lon = centroids[:, 0], centroids[:, 1]
    mean = p @ torch.stack([lat.cos() * lon.cos(), lat.cos() * lon.sin(), lat.sin()], dim=1)
    at_lat, at_lon = torch.atan2(mean[:, 2], mean[:, :2].norm(dim=1)), torch.atan2(mean[:, 1], mean[:, 0])
    half = ((at_lat - truth[:, 0]) / 2).sin() ** 2
    half = half + at_lat.cos() * truth[:, 0].cos() * ((at_lon - truth[:, 1]) / 2).sin() ** 2
    return 2 * EARTH_RADIUS_KM * half.clamp(1e-12, 1.0).sqrt().asin()
