"""Seconds of an epoch of a fit, beside the matrix products alone and beside the plain loop, interleaved in one run.

63,000 locations with 4 views of 1,024 random numbers, in 487, 1,898 and 5,444 cells. Every contestant takes a few steps
in turn, over and over, so that other work on the machine meets all of them; ratios are medians over the turns.

- products: forward, weight gradient and input gradient of the Linear, as matrix products of the batch, in that dtype;
- two products: without the last of them, which a step on frozen, normalised features does not need. Nothing that fits
  the same head takes less, so that the plain loop over it is the most that any step could gain on that machine;
- plain: a DataLoader of (V, 1024) tensors, `nn.Sequential`, `F.cross_entropy`, a trigonometric haversine, autograd;
- ours: what `fit_head` runs, in that precision.

Run: python -m benchmarks.fit_speed [--quick] [--json]
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own habit
from torch import Tensor, nn

from benchmarks.common import conditions, finish, parse_flags
from geocell.geo.geodesy import EARTH_RADIUS_KM, unit_vectors
from geocell.heads.fit_config import FitConfig, Precision
from geocell.heads.inputs import Inputs
from geocell.heads.module import GeoHead
from geocell.partitioners.class_weights import class_weights
from geocell.training.batches import Batches
from geocell.training.losses import LossTerms
from geocell.training.stepper import Stepper

LOCATIONS, VIEWS, DIM = 63_000, 4, 1024
CELLS = (487, 1898, 5444)
BATCHES = (256, 1024, 4096, 8192)
CONFIG = FitConfig(dropout=0.3, label_smoothing=0.1, haversine=0.05, device="cpu")


class World:
    """Random features and places, and everything that a step on C cells needs."""

    def __init__(self, n_cells: int, locations: int) -> None:
        """Draw them."""
        rng = np.random.default_rng(0)
        self.latlon = rng.uniform((36, -10), (68, 30), (locations, 2))
        self.centroids = rng.uniform((36, -10), (68, 30), (n_cells, 2))
        self.cells = rng.integers(0, n_cells, locations)
        self.views = torch.randn(locations, VIEWS, DIM, generator=torch.Generator().manual_seed(0))
        self.features = self.views.mean(dim=1)
        self.weights = torch.from_numpy(class_weights(np.bincount(self.cells, minlength=n_cells), 1.0, 2.0))

    def batches(self, size: int) -> Iterator[Tensor]:
        """Yield batches of location indices without end."""
        order = torch.Generator().manual_seed(0)
        while True:
            yield from torch.split(torch.randperm(len(self.cells), generator=order), size)[: len(self.cells) // size]


def ours(world: World, size: int, precision: Precision) -> Callable[[], object]:
    """Return a function that takes one step as `fit_head` does."""
    terms = LossTerms.from_settings(
        torch.from_numpy(unit_vectors(world.centroids).astype(np.float32)),
        world.weights,
        {},
        label_smoothing=CONFIG.label_smoothing,
        haversine=CONFIG.haversine,
    )
    batches = Batches.of(
        Inputs(world.features, None, None),
        torch.from_numpy(world.cells),
        torch.from_numpy(unit_vectors(world.latlon).astype(np.float32)),
        replace(CONFIG, precision=precision),
    )
    step = Stepper(GeoHead(DIM, len(world.centroids)), terms, CONFIG)
    indices = world.batches(size)
    return lambda: step(batches, next(indices), CONFIG.lr, "the benchmark")


def products(world: World, size: int, dtype: torch.dtype, two: bool = False) -> Callable[[], object]:
    """Return a function that does the three matrix products of a step, or the first two."""
    x = world.features[:size].to(dtype)
    w = torch.randn(len(world.centroids), DIM).to(dtype)
    g = torch.randn(size, len(world.centroids)).to(dtype)
    return (lambda: (x @ w.T, g.T @ x)) if two else (lambda: (x @ w.T, g.T @ x, g @ w))


def plain(world: World, size: int) -> Callable[[], object]:
    """Return a function that takes one step of the plain loop."""
    radians = torch.from_numpy(np.radians(world.latlon)).float()
    items = list(zip(world.views, torch.from_numpy(world.cells), radians, strict=True))
    module = nn.Sequential(nn.LayerNorm(DIM), nn.Dropout(CONFIG.dropout), nn.Linear(DIM, len(world.centroids)))
    optimizer = torch.optim.AdamW(module.parameters(), lr=CONFIG.lr)
    units = torch.from_numpy(unit_vectors(world.centroids)).float()

    def endless() -> Iterator[list[Tensor]]:
        while True:
            yield from torch.utils.data.DataLoader(items, size, shuffle=True, drop_last=True)  # type: ignore[arg-type]

    batches = endless()

    def step() -> None:
        features, target, truth = next(batches)
        logits = module(features.mean(dim=1))
        loss = F.cross_entropy(logits, target, weight=world.weights, label_smoothing=CONFIG.label_smoothing)
        mean = torch.softmax(logits, dim=1) @ units
        lat = torch.atan2(mean[:, 2], mean[:, :2].norm(dim=1))
        lon = torch.atan2(mean[:, 1], mean[:, 0])
        half = ((lat - truth[:, 0]) / 2).sin() ** 2
        half = half + lat.cos() * truth[:, 0].cos() * ((lon - truth[:, 1]) / 2).sin() ** 2
        distance = 2 * EARTH_RADIUS_KM * half.clamp(1e-12, 1.0).sqrt().asin()
        loss = loss + CONFIG.haversine * distance.mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def measure(world: World, size: int, seconds: float) -> dict[str, list[float]]:
    """Return contestant -> seconds per step, one number per turn."""
    contestants = {
        "products bfloat16": products(world, size, torch.bfloat16),
        "products float32": products(world, size, torch.float32),
        "two products bfloat16": products(world, size, torch.bfloat16, two=True),
        "ours bfloat16": ours(world, size, "bfloat16"),
        "ours float32": ours(world, size, "float32"),
        "plain": plain(world, size),
    }
    steps = max(2, 8192 // size)  # one alone would pay for what the contestant before it left in the caches
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for step in contestants.values():
        step()
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times["plain"]) < 3:
        for name, step in contestants.items():
            start = time.perf_counter()
            for _ in range(steps):
                step()
            times[name].append((time.perf_counter() - start) / steps)
    return times


def row_of(n_cells: int, size: int, locations: int, times: dict[str, list[float]]) -> dict[str, Any]:
    """Return the CSV row of one case: seconds per epoch, and medians of the ratios within a turn."""

    def ratio(a: str, b: str) -> float:
        return median(x / y for x, y in zip(times[a], times[b], strict=True))

    steps = math.ceil(locations / size)
    return {
        "cells": n_cells,
        "batch": size,
        "turns": len(times["plain"]),
        **{f"{name.replace(' ', '_')}_s_per_epoch": round(steps * median(t), 3) for name, t in times.items()},
        "plain_per_ours_bfloat16": round(ratio("plain", "ours bfloat16"), 2),
        "plain_per_ours_float32": round(ratio("plain", "ours float32"), 2),
        "plain_per_two_products_bfloat16": round(ratio("plain", "two products bfloat16"), 2),
        "ours_per_products_bfloat16": round(ratio("ours bfloat16", "products bfloat16"), 2),
        "ours_per_products_float32": round(ratio("ours float32", "products float32"), 2),
    }


def main() -> None:
    """Measure and report."""
    flags = parse_flags("seconds of an epoch beside the matrix products and the plain loop")
    cases = [(1898, 1024), (1898, 4096)] if flags.quick else [(c, size) for c in CELLS for size in BATCHES]
    locations = 16_384 if flags.quick else LOCATIONS
    rows, world = [], World(CELLS[1], locations)
    for n_cells, size in cases:
        if len(world.centroids) != n_cells:
            world = World(n_cells, locations)
        times = measure(world, size, 10.0 if flags.quick else 12.0)
        rows.append(
            {
                **row_of(n_cells, size, locations, times),
                "locations": locations,
                "threads": torch.get_num_threads(),
                **conditions("geocell-heads", "torch"),
            }
        )
    keys = [key for key in rows[0] if "_per_" in key and not key.endswith("_epoch")]
    finish("fit_speed", rows, {f"{r['cells']} cells, batch {r['batch']}": {k: r[k] for k in keys} for r in rows}, flags)


if __name__ == "__main__":
    main()
