"""Seconds and memory of every decoder for 10,000 locations, beside the product that makes their logits.

Posteriors are simulated: centroids are spread over Europe, logits fall with the distance from a random true cell. The
product is that of (P, 1024) features and (1024, C) weights in float32, run between the decoders,
so that a ratio compares what ran at the same time.

Run: python -m benchmarks.decoders [--quick] [--json]
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import conditions, finish, parse_flags
from geocell.decoders.base import PartitionData
from geocell.decoders.table import as_decoder
from geocell.features.training_places import TrainingPlaces
from geocell.geo.geodesy import Floats, distance_matrix_km

DIM = 1024
BALSCORE = "balscore:0.3,0.6,0.9"
SPECS = (
    "centroid", "mean", "medoid", "geoscore", BALSCORE, "within:25", "within:200", "within:750", "within:2500",
    "medoid:places=8", "geoscore:places=8", f"{BALSCORE},places=8", "within:25,places=8",
)  # fmt: skip
N_TRAIN = 63_316
REPEATS = 3


def world(n_locations: int, n_cells: int) -> tuple[Floats, NDArray[np.float32]]:
    """Return centroids over Europe and a posterior whose mass falls with the distance from a random cell."""
    rng = np.random.default_rng(0)
    centroids = np.stack((rng.uniform(36, 70, n_cells), rng.uniform(-10, 40, n_cells)), axis=1)
    posterior = np.empty((n_locations, n_cells), dtype=np.float32)
    for start in range(0, n_locations, 1000):
        rows = slice(start, min(start + 1000, n_locations))
        true = rng.integers(n_cells, size=rows.stop - rows.start)
        logits = rng.normal(0, 2, (len(true), n_cells)) - distance_matrix_km(centroids[true], centroids) / 150
        logits -= logits.max(axis=1, keepdims=True)
        p = np.exp(logits)
        posterior[rows] = p / p.sum(axis=1, keepdims=True)
    return centroids, posterior


def places_of(centroids: Floats) -> TrainingPlaces:
    """Return the places of training locations around random centroids, about 20 km away."""
    rng = np.random.default_rng(2)
    cells = rng.integers(len(centroids), size=N_TRAIN)
    return TrainingPlaces.of(centroids[cells] + rng.normal(0, 0.2, (N_TRAIN, 2)), cells, "")


def seconds(call: Callable[[], Any]) -> float:
    """Return the seconds of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(n_locations: int, n_cells: int) -> list[dict[str, Any]]:
    """Return a row per decoder."""
    centroids, posterior = world(n_locations, n_cells)
    rng = np.random.default_rng(1)
    features = rng.normal(size=(n_locations, DIM)).astype(np.float32)
    weights = rng.normal(size=(DIM, n_cells)).astype(np.float32)
    data = PartitionData(centroids, places=places_of(centroids))
    rows = []
    for spec in SPECS:
        decoder = as_decoder(spec)
        preparing = seconds(lambda decoder=decoder: decoder.prepare(data))  # type: ignore[misc]
        prepared = decoder.prepare(data)
        pairs = [(seconds(lambda: features @ weights), seconds(lambda: prepared(posterior))) for _ in range(REPEATS)]  # noqa: B023 - called at once
        product, decoding = np.min(pairs, axis=0)
        tracemalloc.start()
        decoder.prepare(data)(posterior[: n_locations // 4])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        rows.append(
            {
                "decoder": decoder.spec,
                "n_locations": n_locations,
                "n_cells": n_cells,
                "prepare_s": round(preparing, 3),
                "decode_s": round(float(decoding), 3),
                "product_s": round(float(product), 3),
                "times_the_product": round(float(decoding / product), 2),
                "peak_mb": round(peak / 1e6),
                **conditions("numpy"),
            }
        )
    return rows


def main() -> None:
    """Measure and report."""
    flags = parse_flags("seconds and memory of decoders")
    sizes = ((1000, 487),) if flags.quick else ((10_000, 1898), (10_000, 5444))
    rows = [row for size in sizes for row in measure(*size)]
    summary = {f"{row['decoder']} × {row['n_cells']}": row["times_the_product"] for row in rows}
    finish("decoders", rows, summary, flags)


if __name__ == "__main__":
    main()
