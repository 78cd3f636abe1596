"""How often the truth lies within the radii of answers, and how large these are, on real photographs.

Heads on the shared features, five folds by location × seeds; the held-out fold is asked. Beside the radii of
`geocell.uncertainty.radii` stand those of counting whole cells: the most probable cells that hold a share of the
probability, each up to its farthest training location, and of them the one that reaches farthest.

Run: python -m benchmarks.radii [--quick] [--json]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import conditions, finish, parse_flags, shared_data
from benchmarks.real_features import folds, real_locations
from geocell.features.locations import Locations
from geocell.geo.geodesy import Floats, distance_km
from geocell.heads.fit_config import FitConfig
from geocell.partitioners import KMeansPartitioner, Partition
from geocell.training.fit import fit_head
from geocell.uncertainty.radii import cell_spread_km, mass_radii_km

MASSES = (0.5, 0.9)

Radii = Callable[[Floats, NDArray[np.float32]], tuple[float, ...]]
"""From a point (2,) and a posterior (C,) to the radius of each share of `MASSES`."""


def whole_cells(partition: Partition) -> Radii:
    """Return radii that count whole cells from the most probable on."""
    own = np.nan_to_num(partition.radius_km, nan=0.0)

    def radii(point: Floats, row: NDArray[np.float32]) -> tuple[float, ...]:
        order = np.argsort(-row, kind="stable")
        total = np.cumsum(row[order], dtype=np.float64)
        reach = (distance_km(point, partition.centroids) + own)[order]
        return tuple(float(reach[: int(np.searchsorted(total, mass * total[-1])) + 1].max()) for mass in MASSES)

    return radii


def discs(partition: Partition) -> Radii:
    """Return the radii of predictions: discs, counted from the nearest point on."""
    spread = cell_spread_km(partition)

    def radii(point: Floats, row: NDArray[np.float32]) -> tuple[float, ...]:
        return tuple(mass_radii_km(point[None], row[None], partition.centroids, spread, MASSES)[0].tolist())

    return radii


METHODS: dict[str, Callable[[Partition], Radii]] = {"whole cells": whole_cells, "discs": discs}


def measure(locations: Locations, seeds: range) -> dict[tuple[str, str], list[tuple[float, ...]]]:
    """Return, by decoder and method, the distance to the truth and the radii of every held-out location."""
    found: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    for seed in seeds:
        for split in folds(len(locations), seed):
            train, val, test = (locations.take(index) for index in split)
            partition = KMeansPartitioner(k=64, seed=seed, min_count=3).fit(np.concatenate((train.latlon, val.latlon)))
            head = fit_head(train, val, partition, FitConfig(seed=seed, device="cpu"))
            for decoder in ("centroid", "mean"):
                for rows, posterior, points in head.answer_chunks(test, decoder, "cpu"):
                    errors = distance_km(points, test.latlon[rows]).tolist()
                    for name, method in METHODS.items():
                        radii = method(partition)
                        found.setdefault((decoder, name), []).extend(
                            (error, *radii(point, row))
                            for error, point, row in zip(errors, points, posterior, strict=True)
                        )
    return found


def main() -> None:
    """Measure and report."""
    import torch

    torch.set_num_threads(1)  # products this small are slower on two threads than on one
    flags = parse_flags("how often the truth lies within the radii of answers")
    seeds = range(1 if flags.quick else 3)
    rows: list[dict[str, Any]] = []
    for (decoder, method), values in measure(real_locations(shared_data()), seeds).items():
        errors, *radii = np.array(values).T
        for mass, radius in zip(MASSES, radii, strict=True):
            row = {
                "decoder": decoder,
                "radii": method,
                "share": mass,
                "truth_within": round(float((errors <= radius).mean()), 4),
                "median_radius_km": round(float(np.median(radius)), 1),
                "smallest_radius_km": round(float(radius.min()), 2),
                "answers": len(errors),
            }
            rows.append({**row, "seeds": len(seeds), **conditions("torch")})
    by = {(row["decoder"], row["radii"], row["share"]): row for row in rows}
    before, now = (by["centroid", method, 0.5] for method in METHODS)
    summary = {
        "median radius of half, discs / whole cells": now["median_radius_km"] / before["median_radius_km"],
        "truth within the radius of half, whole cells": before["truth_within"],
        "truth within the radius of half, discs": now["truth_within"],
    }
    finish("radii", rows, summary, flags)


if __name__ == "__main__":
    main()
