"""What stands beside the rows of a sweep: answers that no head made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from geocell.evaluation.baselines import Baseline, baselines_of
from geocell.evaluation.named_baselines import NEAREST_LABEL
from geocell.metrics.outcomes import RADII_KM
from geocell.partitioners.base import Partition
from geocell.sweeps.plan import Fit
from geocell.sweeps.workers import Data, Setup
from geocell.training.training_set import join_locations

SCORES = ("balscore", "median_km", "mean_km", "geoscore", *(f"within_{radius}" for radius in RADII_KM))


def baseline_lines(fits: Sequence[Fit], setup: Setup, data: Data) -> list[dict[str, Any]]:
    """Return what the majority cell of every partition and the nearest neighbour reach, a line each.

    The neighbour knows what all heads are trained on: the training locations, and where all have refit the validation
    locations too.

    Args:
        fits: those whose partition is made; without any there is no line.
        setup: where partitions are.
        data: the locations.

    Returns:
        See `SweepResult.baselines`.
    """
    known = data.train
    if data.val is not None and all(fit.config.refit for fit in fits):
        known = join_locations(data.train, data.val)
    folders = {fit.row.partition.name: setup.partition(fit) for fit in fits}
    found: list[tuple[str | None, int | None, Baseline]] = []
    for i, (name, folder) in enumerate(folders.items()):
        partition = Partition.load(folder)
        train = known if i == 0 else None  # the neighbour is the same for all of them
        lines = baselines_of(partition, data.test, train, split=data.test_name, clusters=data.clusters)
        found += [
            (None, None, line) if line.name == NEAREST_LABEL else (name, len(partition), line)
            for line in lines.values()
        ]
    found.sort(key=lambda item: item[0] is None)
    return [
        {
            "baseline": line.name,
            "partition": name,
            "n_cells": n_cells,
            "n_train": line.n_train,
            **{score: line.values[score] for score in SCORES},
            "balscore_low": line.intervals["balscore"][0],
            "balscore_high": line.intervals["balscore"][1],
        }
        for name, n_cells, line in found
    ]
