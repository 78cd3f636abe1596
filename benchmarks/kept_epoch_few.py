"""Which epoch to keep where there are many training locations and few validation locations, on simulated features.

Like `kept_epoch.py`, at 20,000 and 63,316 training locations and one length of the fit, with fewer validation locations
and at several amounts of noise in the features: the more of it, the more the last epochs overfit. Rules are the last
epoch, that of the best validation balscore, that of its mean over five epochs, and that of the least mean distance.
Differences are to the last epoch; their interval is over test locations.

Run: python -m benchmarks.kept_epoch_few [--quick] [--json]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.common import conditions, finish, parse_flags
from benchmarks.kept_epoch import PATIENCE, balscores, best_epoch, distances_of_epochs, drawn_scores
from benchmarks.protocol import RADII_KM, Floats
from benchmarks.simulation import simulated_locations
from geocell.heads.fit_config import FitConfig
from geocell.metrics.intervals import percentile_interval
from geocell.partitioners import H3Partitioner

N_POOL, N_TEST = 4_000, 4_000
QUICK_TRAIN = 1_000
EPOCHS = 20
SIZES = ((20_000, 0.4), (20_000, 0.8), (20_000, 1.6), (63_316, 1.6))
"""Training locations, and the noise of their features."""
N_VAL = (5, 10, 20, 50, 100, 200)
DRAWS = 200
"""Of validation locations."""
WINDOW = 5

LAST, BEST = "last", "best"
Rule = Callable[[Floats, Floats], int]
"""From the (epochs,) validation balscores and mean distances to the epoch that is kept."""


def smoothed(scores: Floats, mean_km: Floats) -> int:
    """Return the epoch with the best mean of the balscores around it; the window is cut off at both ends."""
    del mean_km
    half = WINDOW // 2
    return int(np.argmax([scores[max(0, i - half) : i + half + 1].mean() for i in range(len(scores))]))


RULES: dict[str, Rule] = {
    LAST: lambda scores, mean_km: len(scores) - 1,  # noqa: ARG005
    BEST: lambda scores, mean_km: best_epoch(scores, mean_km, PATIENCE),
    f"best, smoothed over {WINDOW}": smoothed,
    "least mean distance": lambda scores, mean_km: int(np.argmin(mean_km)),  # noqa: ARG005
}


def kept_by(rule: Rule, pool: Floats, n_val: int) -> list[int]:
    """Return the epochs that draws of validation locations choose, from (epochs, V) km."""
    hits = np.stack([pool <= radius for radius in RADII_KM], axis=-1)
    rng = np.random.default_rng(0)
    found = []
    for _ in range(DRAWS):
        drawn = rng.choice(pool.shape[1], n_val, replace=False)
        found.append(rule(balscores(hits[:, drawn].mean(axis=1)), pool[:, drawn].mean(axis=1)))
    return found


def rows_of(n_train: int, noise: float) -> list[dict[str, Any]]:
    """Return a line per rule and number of validation locations."""
    everything = simulated_locations(n_train + N_POOL + N_TEST, 0, noise)
    train, asked = (everything.take(index) for index in np.split(np.arange(len(everything)), [n_train]))
    partition = H3Partitioner(resolution=4, min_count=12).fit(train.latlon)
    config = FitConfig(epochs=EPOCHS, keep="last", device="cpu")
    km = distances_of_epochs(train, asked, partition, config)
    scores, drawn = drawn_scores(km[:, N_POOL:], np.random.default_rng(0))
    rows = []
    for n_val in N_VAL:
        for name, rule in RULES.items():
            epochs = kept_by(rule, km[:, :N_POOL], n_val)
            low, high = percentile_interval(drawn[:, epochs].mean(axis=1) - drawn[:, -1])
            numbers = {
                "balscore": scores[epochs].mean(),
                "difference": scores[epochs].mean() - scores[-1],
                "difference_low": low,
                "difference_high": high,
                "best_possible": scores.max(),
            }
            rows.append(
                {
                    "noise": noise,
                    "n_train": n_train,
                    "n_cells": len(partition),
                    "epochs": EPOCHS,
                    "n_val": n_val,
                    "rule": name,
                    "median_epoch": int(np.median(epochs)) + 1,
                    **{key: round(100 * float(value), 2) for key, value in numbers.items()},
                }
            )
    return rows


def main() -> None:
    """Measure and report."""
    torch.set_num_threads(1)
    flags = parse_flags("the epoch to keep with many training and few validation locations")
    rows = [row for n_train, noise in SIZES for row in rows_of(QUICK_TRAIN if flags.quick else n_train, noise)]
    summary = {
        f"{row['rule']} less the last: {row['n_train']}, noise {row['noise']}, {row['n_val']}": row["difference"]
        for row in rows
        if row["rule"] != LAST
    }
    finish("kept_epoch_few", [{**row, **conditions("torch")} for row in rows], summary, flags)


if __name__ == "__main__":
    main()
