"""The search behind the defaults of lr, weight decay, dropout and batch size, on real and on simulated features.

The real features are those of `ablation.py`, with folds by location: every combination of lr, dropout and weight decay.
Batches play no part there, since an epoch has 8 steps at least. The simulated ones are those of `simulation.py` at a
quarter of the size: lr against batch size, and dropout and weight decay one at a time. Differences are paired, to the
defaults; their interval is over places or locations.

Run: python -m benchmarks.search [--quick] [--json] [--again]
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields
from functools import cache, partial
from itertools import pairwise, product
from multiprocessing import get_context
from typing import Any

import numpy as np
from torch import set_num_threads

from benchmarks.ablation import answered
from benchmarks.ablation_cases import DEFAULT, Case
from benchmarks.common import conditions, finish, parse_flags, read_results, shared_data
from benchmarks.kept import Answers, keep, kept
from benchmarks.protocol import Protocol, row_of
from benchmarks.real_features import real_locations
from benchmarks.simulation import simulated_locations
from geocell.compute.cores import usable_cores
from geocell.evaluation.comparison import compare
from geocell.evaluation.score import score
from geocell.features.locations import Locations
from geocell.heads.fit_config import FitConfig
from geocell.heads.head import Head
from geocell.partitioners import H3Partitioner
from geocell.training.fit import fit_head

SEARCHED = ("lr", "weight_decay", "dropout", "batch_size")
DEFAULTS = {item.name: item.default for item in fields(FitConfig) if item.name in SEARCHED}
LR = (3e-4, 1e-3, 3e-3)
DROPOUT = (0.1, 0.3, 0.5)
WEIGHT_DECAY = (0.0, 0.01, 0.1)
SIMULATED: tuple[dict[str, Any], ...] = (
    *({"lr": lr, "batch_size": size} for lr, size in product((*LR, 1e-2), (256, 512, 2048))),
    *({"dropout": value} for value in (0.0, 0.1, 0.5)),
    *({"weight_decay": value} for value in (0.0, 0.1, 1.0)),
)
EPOCHS = 15
REPEATS = 2


@cache
def _splits(n: int) -> tuple[Locations, Locations, Locations]:
    """Return training, validation and test locations of a simulated cache."""
    locations, ends = simulated_locations(n, seed=1), (0, n * 8 // 10, n * 9 // 10, n)
    train, val, test = (locations.take(np.arange(low, high)) for low, high in pairwise(ends))
    return train, val, test


def simulated_head(n: int, changes: dict[str, Any]) -> Head:
    """Return the head of some settings on a simulated cache of n locations."""
    train, val, _ = _splits(n)
    partition = H3Partitioner(resolution=4, min_count=12).fit(train.latlon)
    return fit_head(train, val, partition, FitConfig(epochs=EPOCHS, device="cpu", **changes))


def simulated(n: int, pool: ProcessPoolExecutor) -> list[dict[str, Any]]:
    """Return a line per setting on simulated features."""
    heads = list(pool.map(simulated_head, [n] * len(SIMULATED), SIMULATED))
    test = _splits(n)[2]
    default = next(h for h in heads if all(getattr(h.config, key) == value for key, value in DEFAULTS.items()))
    rows = []
    for head in heads:
        against = compare(head, default, test)
        low, high = against.intervals["balscore"]
        numbers = {"balscore": score(head, test).balscore, "difference": against.differences["balscore"]}
        numbers |= {"difference_low": low, "difference_high": high}
        settings = {key: getattr(head.config, key) for key in SEARCHED}
        shares = {key: round(100 * value, 2) for key, value in numbers.items()}
        rows.append({"features": "simulated", "n_train": head.training["n_train"], **settings, **shares})
    return rows


GRID = [{"lr": lr, "weight_decay": decay, "dropout": rate} for lr, rate, decay in product(LR, DROPOUT, WEIGHT_DECAY)]
"""On real features."""


def measure(protocol: Protocol, pool: ProcessPoolExecutor) -> Answers:
    """Return the distances of every combination on real features."""
    cases = [Case(str(settings), "search", settings) for settings in GRID]
    km = pool.map(protocol.distances, [partial(answered, case) for case in cases])
    return Answers(dict(zip([case.name for case in cases], km, strict=True)))


def rows_of(protocol: Protocol, found: Answers) -> list[dict[str, Any]]:
    """Return a line per combination on real features."""
    default = found.distances[str(next(settings for settings in GRID if settings.items() <= DEFAULTS.items()))]
    rows = []
    for settings in GRID:
        line = row_of("", "", DEFAULT, protocol, found.distances[str(settings)], default)
        kept = {key: line[key] for key in ("balscore", "difference", "difference_low", "difference_high")}
        n_train = round(len(protocol.locations) * 0.8 * 0.88)
        rows.append({"features": "real", "n_train": n_train, **{**DEFAULTS, **settings, "batch_size": ""}, **kept})
    return rows


def main() -> None:
    """Measure and report."""
    flags = parse_flags("lr, weight decay, dropout and batch size", keeps=True)
    if flags.again:
        rows: list[dict[str, Any]] = [row for row in read_results("search") if row["features"] == "simulated"]
        found = kept("search")
    else:
        with ProcessPoolExecutor(usable_cores(), get_context("spawn"), set_num_threads, (1,)) as pool:
            rows = [{**row, **conditions("torch")} for row in simulated(2_000 if flags.quick else 20_000, pool)]
            found = (
                {} if flags.quick else {False: measure(Protocol(real_locations(shared_data()), False, REPEATS), pool)}
            )
        if found:
            keep("search", found)
    for by_place, answers in found.items():
        own = rows_of(Protocol(real_locations(shared_data()), by_place, answers.repeats), answers)
        rows += [{**row, **conditions("torch")} for row in own]
    names = dict.fromkeys(row["features"] for row in rows)
    best = {name: max(float(row["difference"]) for row in rows if row["features"] == name) for name in names}
    finish("search", rows, {"balscore of the best less that of the defaults": best}, flags)


if __name__ == "__main__":
    main()
