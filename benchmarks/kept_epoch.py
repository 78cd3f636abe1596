"""What it costs to keep the best epoch by few validation locations, and what to keep the last one, at several sizes.

The features are those of `simulation.py`; a head is fitted once per size and length, and every epoch of it answers a
large pool of validation locations and 8,000 test locations. Then so many validation locations are drawn from the pool,
200 times, and the test balscore of the epoch that they choose is averaged. Differences are to the best of 80 epochs by
as many validation locations; their interval is over test locations, and over repeats where there are several.

Run: python -m benchmarks.kept_epoch [--quick] [--json]
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from benchmarks.common import conditions, finish, parse_flags
from benchmarks.protocol import RADII_KM, Floats, Ints, mean_of_drawn_repeats
from benchmarks.simulation import simulated_locations
from geocell.features.locations import Locations
from geocell.heads.fit_config import FitConfig
from geocell.heads.module import GeoHead
from geocell.metrics.intervals import percentile_interval
from geocell.partitioners import H3Partitioner, Partition
from geocell.training.blocks import Blocks
from geocell.training.checkpoint import Progress
from geocell.training.epochs import Epochs
from geocell.training.stages import loss_terms
from geocell.training.training_set import TrainingSet
from geocell.training.validation import Validation

CPU = torch.device("cpu")
LENGTHS = (20, 80)
START = ("best", 80)
PATIENCE = 15
N_VAL = (50, 100, 200, 500, 1000, 5000)
N_POOL = 8_000
N_TEST = 8_000
DRAWS = 200
"""Of validation locations."""
BOOTSTRAP = 1000
"""Draws of test locations."""


@dataclass(frozen=True)
class Size:
    """How many training locations, on which cells, how often."""

    n_train: int
    partitioner: H3Partitioner
    repeats: int


SIZES = (
    Size(600, H3Partitioner(resolution=3, min_count=5), 3),
    Size(2_000, H3Partitioner(resolution=3, min_count=5), 3),
    Size(8_000, H3Partitioner(resolution=4, min_count=12), 3),
    Size(63_316, H3Partitioner(resolution=4, min_count=12), 1),
)
QUICK = (Size(600, H3Partitioner(resolution=3, min_count=5), 1),)


@dataclass(frozen=True, eq=False)
class Recorder(Validation):
    """Validation locations whose distances are kept after every epoch.

    Attributes:
        kept: (V,) km per epoch.
    """

    kept: list[Floats] = field(default_factory=list)

    def score(self, module: GeoHead) -> dict[str, float]:
        """Keep the distances, and return scores that choose nothing."""
        self.kept.append(self.distances_km(module))
        return dict.fromkeys(("val_balscore", "val_median_km", "val_mean_km"), np.nan)


def distances_of_epochs(train: Locations, asked: Locations, partition: Partition, config: FitConfig) -> Floats:
    """Return (epochs, P) km from the answers of every epoch of a fit."""
    module = GeoHead(train.dim, len(partition), config.dropout).eval()
    fitted = TrainingSet.from_locations(train, partition, config)
    recorder = Recorder.of(asked, partition, config, CPU)
    terms = loss_terms(partition, fitted, config, CPU, {})
    blocks = Blocks(fitted.locations, fitted.cells, config, CPU)
    Epochs(module, blocks, terms, recorder, config, None).run(Progress(keep_last=True), None)
    return np.array(recorder.kept)


def balscores(hits: Floats) -> Floats:
    """Return the balscore of (…, 3) shares within the radii."""
    return np.asarray(np.cbrt(hits.prod(axis=-1)))


def best_epoch(scores: Floats, mean_km: Floats, patience: int) -> int:
    """Return the index of the epoch that a fit with this patience keeps."""
    best = 0
    for epoch in range(1, len(scores)):
        if (scores[epoch], -mean_km[epoch]) > (scores[best], -mean_km[best]):
            best = epoch
        elif epoch - best >= patience:
            break
    return best


def chosen_epochs(pool: Floats, n_val: int, patience: int, rng: np.random.Generator) -> Ints:
    """Return the (DRAWS,) epochs that draws of validation locations choose, from (epochs, V) km."""
    hits = np.stack([pool <= radius for radius in RADII_KM], axis=-1)
    found = []
    for _ in range(DRAWS):
        drawn = rng.choice(pool.shape[1], n_val, replace=False)
        found.append(best_epoch(balscores(hits[:, drawn].mean(axis=1)), pool[:, drawn].mean(axis=1), patience))
    return np.array(found)


def drawn_scores(test: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return the (epochs,) balscores on test locations, and those under (BOOTSTRAP, epochs) draws of them."""
    hits = np.stack([test <= radius for radius in RADII_KM], axis=-1).astype(np.float64)  # (epochs, T, 3)
    weights = rng.standard_exponential((BOOTSTRAP, test.shape[1]))
    weights /= weights.sum(axis=1, keepdims=True)
    drawn = np.stack([balscores(weights @ hits[epoch]) for epoch in range(len(hits))], axis=1)
    return balscores(hits.mean(axis=1)), drawn


Run = tuple[Floats, Floats, Floats]
"""(epochs, V) km of the pool, (epochs,) test balscores, and those under (BOOTSTRAP, epochs) draws of test locations."""


def runs_of(size: Size, seed: int) -> tuple[dict[int, Run], int]:
    """Return a run of every length on the same locations, and the number of cells."""
    everything = simulated_locations(size.n_train + N_POOL + N_TEST, seed)
    train, asked = (everything.take(index) for index in np.split(np.arange(len(everything)), [size.n_train]))
    partition = size.partitioner.fit(train.latlon)
    runs = {}
    for epochs in LENGTHS:
        config = FitConfig(epochs=epochs, keep="last", seed=seed, device="cpu")
        km = distances_of_epochs(train, asked, partition, config)
        runs[epochs] = (km[:, :N_POOL], *drawn_scores(km[:, N_POOL:], np.random.default_rng(seed)))
    return runs, len(partition)


def kept_scores(run: Run, rule: str, n_val: int, seed: int) -> tuple[float, Floats]:
    """Return the mean test balscore of the epochs that a rule keeps, and that under (BOOTSTRAP,) draws."""
    pool, scores, drawn = run
    chosen = [-1] if rule == "last" else chosen_epochs(pool, n_val, PATIENCE, np.random.default_rng(seed))
    return float(scores[chosen].mean()), drawn[:, chosen].mean(axis=1)


def rows_of(size: Size) -> list[dict[str, Any]]:
    """Return a line per rule and number of validation locations: its score, and how much more than the start's."""
    found = [runs_of(size, seed) for seed in range(size.repeats)]
    rows = []
    for n_val in N_VAL:
        values = {
            (rule, epochs): [kept_scores(runs[epochs], rule, n_val, seed) for seed, (runs, _) in enumerate(found)]
            for rule in ("best", "last")
            for epochs in LENGTHS
        }
        for (rule, epochs), own in values.items():
            pairs = list(zip(own, values[START], strict=True))
            low, high = percentile_interval(mean_of_drawn_repeats(np.array([a[1] - b[1] for a, b in pairs])))
            numbers: dict[str, Any] = {
                "balscore": np.mean([a for a, _ in own]),
                "difference": np.mean([a[0] - b[0] for a, b in pairs]),
                "difference_low": low,
                "difference_high": high,
            }
            rows.append(
                {
                    "n_train": size.n_train,
                    "n_cells": round(float(np.mean([n_cells for _, n_cells in found]))),
                    "repeats": size.repeats,
                    "n_val": n_val,
                    "keep": rule,
                    "epochs": epochs,
                    **{key: round(100 * float(value), 2) for key, value in numbers.items()},
                }
            )
    return rows


def main() -> None:
    """Measure and report."""
    torch.set_num_threads(1)
    flags = parse_flags("the epoch that is kept, by the number of validation locations")
    sizes = QUICK if flags.quick else SIZES
    rows = [row for size in sizes for row in rows_of(size)]
    summary = {
        f"{row['keep']} of {row['epochs']} less the best of 80: {row['n_train']}, {row['n_val']}": row["difference"]
        for row in rows
    }
    finish("kept_epoch", [{**row, **conditions("torch")} for row in rows], summary, flags)


if __name__ == "__main__":
    main()
