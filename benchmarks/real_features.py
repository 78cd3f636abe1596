"""Heads on real features of real photographs, five folds by location, beside a plain loop and nearest neighbour.

559 locations (922 views), EfficientNet-Lite0 features from the shared data folder; every partition, head and neighbour
sees the training folds alone, and the early stopping an eighth of those.

Run: python -m benchmarks.real_features [--quick] [--json]
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import conditions, finish, parse_flags, shared_data
from geocell.encoders.info import EncoderInfo
from geocell.evaluation.baselines import majority_points, nearest_points
from geocell.features.locations import Locations
from geocell.geo.geodesy import distance_km
from geocell.heads.fit_config import FitConfig
from geocell.metrics.outcomes import RADII_KM, balscore_of, within_shares
from geocell.partitioners import H3Partitioner, KMeansPartitioner, Partitioner

ENCODER = EncoderInfo("efficientnet-lite0", "0.1.0", "mean_of_last_feature_map", 1280, 224, "short side 256, crop 224")
VALIDATION_SHARE = 0.12
N_FOLDS = 5

Answer = Callable[[Locations, Locations, Locations], NDArray[np.float64]]
"""From training, validation and test locations to (P, 2) answers for the test locations."""


def real_locations(data: Path) -> Locations:
    """Return the 559 locations of the shared features, in the order of their ids, by way of a cache on disk."""
    import tempfile

    from geocell.encoding import import_features
    from geocell.views import read_views

    table = read_views(data / "features" / "views.parquet", images_optional=True)
    with tempfile.TemporaryDirectory() as folder:
        cache = import_features(data / "features" / "lite0.npy", Path(folder) / "cache", table=table, encoder=ENCODER)
        locations = cache.locations()
    return locations.take(np.argsort(locations.ids.astype(np.int64), kind="stable"))


def folds(n: int, seed: int = 0) -> list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]]:
    """Return five (train, validation, test) splits of n locations; validation comes out of the training folds."""
    parts = np.array_split(np.random.default_rng(seed).permutation(n), N_FOLDS)
    splits = []
    for i, test in enumerate(parts):
        rest = np.concatenate([part for j, part in enumerate(parts) if j != i])
        n_val = int(VALIDATION_SHARE * len(rest))
        splits.append((rest[n_val:], rest[:n_val], test))
    return splits


def cross_validate(locations: Locations, answer: Answer) -> dict[str, float]:
    """Return the mean over the folds of balscore and the shares within each radius, in percent."""
    rows = []
    for split in folds(len(locations)):
        train, val, test = (locations.take(index) for index in split)
        distances = distance_km(answer(train, val, test), test.latlon)
        shares = within_shares(distances)
        rows.append([balscore_of(distances), *(shares[radius] for radius in RADII_KM)])
    names = ["balscore", *(f"within_{radius}" for radius in RADII_KM)]
    return dict(zip(names, (100 * np.mean(rows, axis=0)).tolist(), strict=True))


def head_answer(partitioner: Partitioner, config: FitConfig) -> Answer:
    """Return the answers of a head fitted on a partition of the training and validation locations."""
    from geocell.decoders.table import decode
    from geocell.training.fit import fit_head

    def answer(train: Locations, val: Locations, test: Locations) -> NDArray[np.float64]:
        partition = partitioner.fit(np.concatenate((train.latlon, val.latlon)))
        head = fit_head(train, val, partition, config)
        return decode(config.decode, head.posterior(test), partition.centroids)

    return answer


def plain_answer(partitioner: Partitioner, config: FitConfig) -> Answer:
    """Return the answers of the same head fitted by the plain loop."""
    from benchmarks.plain_loop import fit_plain, plain_answers

    def answer(train: Locations, val: Locations, test: Locations) -> NDArray[np.float64]:
        partition = partitioner.fit(np.concatenate((train.latlon, val.latlon)))
        return plain_answers(fit_plain(train, val, partition, config), test, partition)

    return answer


def majority_answer(partitioner: Partitioner) -> Answer:
    """Return the centroid of the fullest cell, whatever the image."""

    def answer(train: Locations, val: Locations, test: Locations) -> NDArray[np.float64]:
        partition = partitioner.fit(np.concatenate((train.latlon, val.latlon)))
        return majority_points(partition, len(test))

    return answer


def nearest_answer(train: Locations, val: Locations, test: Locations, *, centred: bool = False) -> NDArray[np.float64]:
    """Return the place of the location whose features have the highest cosine, less the mean feature if centred."""
    from geocell.training.training_set import join_locations

    return nearest_points(join_locations(train, val) if len(val) else train, test, centred=centred)


def main() -> None:
    """Measure and report."""
    import torch

    torch.set_num_threads(1)  # products this small are slower on two threads than on one
    flags = parse_flags("heads on real features, five folds by location")
    locations = real_locations(shared_data())
    clusters, seeds = KMeansPartitioner(k=64, seed=0), range(1 if flags.quick else 5)
    fitted: dict[str, tuple[Callable[[Partitioner, FitConfig], Answer], Partitioner, dict[str, Any]]] = {
        "head, 64 K-Means cells": (head_answer, clusters, {}),
        "plain loop, 64 K-Means cells": (plain_answer, clusters, {}),
        "head, 64 K-Means cells, haversine 0.01": (head_answer, clusters, {"haversine": 0.01}),
        "plain loop, 64 K-Means cells, haversine 0.01": (plain_answer, clusters, {"haversine": 0.01}),
        "head, 64 K-Means cells, logit fusion": (head_answer, clusters, {"fusion": "logit"}),
        "head, H3 resolution 2": (head_answer, H3Partitioner(resolution=2), {}),
    }
    runs: dict[str, list[dict[str, float]]] = {
        "majority cell": [cross_validate(locations, majority_answer(clusters))],
        "nearest neighbour": [cross_validate(locations, nearest_answer)],
    }
    for name, (answer, partitioner, changes) in list(fitted.items())[: 1 if flags.quick else None]:
        configs = [FitConfig(seed=seed, device="cpu", **changes) for seed in seeds]
        runs[name] = [cross_validate(locations, answer(partitioner, config)) for config in configs]
    rows = []
    for name, results in runs.items():
        means = {key: round(float(np.mean([r[key] for r in results])), 2) for key in results[0]}
        spread = round(float(np.std([r["balscore"] for r in results], ddof=1)), 2) if len(results) > 1 else ""
        rows.append({"answer": name, "seeds": len(results), **means, "balscore_sd": spread, **conditions("torch")})
    scores = {name: float(np.mean([r["balscore"] for r in results])) for name, results in runs.items()}
    best = "head, 64 K-Means cells"
    summary = {f"balscore of the head / {k}": scores[best] / scores[k] for k in ("majority cell", "nearest neighbour")}
    finish("real_features", rows, summary, flags)


if __name__ == "__main__":
    main()
