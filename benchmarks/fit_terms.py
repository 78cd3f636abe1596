"""What the options of a fit cost: seconds of an epoch with each, beside an epoch without, in turn in one run.

16,384 locations with 4 views of 1,024 random numbers, in the cells of a k-d tree over Europe. Every case is fitted for
two epochs by `fit_head`, of which the second counts; ratios are medians over the turns.

Run: python -m benchmarks.fit_terms [--quick] [--json]
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from statistics import median
from typing import Any

import numpy as np

from benchmarks.common import conditions, finish, parse_flags
from geocell.encoders.info import EncoderInfo
from geocell.features.locations import Locations
from geocell.heads.fit_config import FitConfig
from geocell.partitioners import KDTreePartitioner
from geocell.partitioners.base import Partition
from geocell.training.fit import fit_head

LOCATIONS, VIEWS, DIM = 16_384, 4, 1024
CONFIG = FitConfig(epochs=2, batch_size=1024, device="cpu")

CASES: Mapping[str, Mapping[str, Any]] = {
    "default": {},
    "haversine": {"haversine": 0.05},
    "expected_distance": {"expected_distance": 0.003},
    "smoothing_km 75": {"smoothing_km": 75.0},
    "smoothing_km 20": {"smoothing_km": 20.0},
    "hierarchy": {"hierarchy": 1.0},
    "offsets": {"offsets": 1.0},
    "view_dropout": {"view_dropout": 0.5},
    "fusion attention": {"fusion": "attention"},
    "ema": {"ema": 0.99},
    "stream": {"stream": LOCATIONS // 4},
}


def random_locations(count: int) -> Locations:
    """Return locations in Europe with random features."""
    rng = np.random.default_rng(0)
    return Locations(
        ids=np.array([f"location-{i}" for i in range(count)], dtype=object),
        latlon=rng.uniform((36, -10), (68, 30), (count, 2)),
        features=rng.normal(size=(count * VIEWS, DIM)).astype(np.float16),
        rows=np.arange(count * VIEWS),
        offsets=np.arange(count + 1) * VIEWS,
        encoder=EncoderInfo("random numbers", "0", "none", DIM, 0, "none"),
        columns={},
    )


def epoch_seconds(train: Locations, cells: Partition, fit: Mapping[str, Any]) -> float:
    """Return the seconds of the second epoch."""
    ends: list[float] = []
    fit_head(train, None, cells, replace(CONFIG, **fit), log=lambda _: ends.append(time.perf_counter()))
    return ends[1] - ends[0]


def main() -> None:
    """Measure and report."""
    flags = parse_flags("what the options of a fit cost")
    train = random_locations(LOCATIONS // 4 if flags.quick else LOCATIONS)
    cells = KDTreePartitioner(max_count=12).fit(train.latlon)
    epoch_seconds(train, cells, {})  # the first of a process is slower
    times: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(1 if flags.quick else 7):
        for name, fit in CASES.items():
            times[name].append(epoch_seconds(train, cells, fit))
    rows: list[dict[str, Any]] = [
        {
            "case": name,
            "fit": " ".join(f"{key}={value}" for key, value in CASES[name].items()),
            "seconds_per_epoch": round(median(seconds), 3),
            "per_default": round(median(a / b for a, b in zip(seconds, times["default"], strict=True)), 2),
            "turns": len(seconds),
            "locations": len(train),
            "cells": len(cells),
            "batch": CONFIG.batch_size,
            **conditions("geocell-heads", "torch"),
        }
        for name, seconds in times.items()
    ]
    finish("fit_terms", rows, {row["case"]: row["per_default"] for row in rows}, flags)


if __name__ == "__main__":
    main()
