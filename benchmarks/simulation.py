"""The λ fine-tune, class weights and smoothing on simulated features at the published size, beside what was published.

79,144 locations are drawn from the shared European street-view points with a jitter of 2 km, 80 % of them to train on.
The features of a location are a fixed random function of where it is (cosines of random directions, from 40 km to
2,000 km long) plus noise, whose size differs from location to location as it does from image to image; it is set so
that the plain head has about 30 % top-1, like the published one. Small cells of H3 resolution 4 are merged, which
leaves about as many as were published.

Run: python -m benchmarks.simulation [--quick] [--json]
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.common import conditions, finish, parse_flags
from benchmarks.partition_recipes import street_view
from benchmarks.readme import ROOT
from geocell.encoders.info import EncoderInfo
from geocell.evaluation.comparison import compare
from geocell.evaluation.score import score
from geocell.features.locations import Locations
from geocell.geo.geodesy import EARTH_RADIUS_KM, unit_vectors
from geocell.heads.fit_config import FitConfig, read_recipe
from geocell.heads.head import Head
from geocell.partitioners import H3Partitioner
from geocell.training.fit import fit_head

DIM = 192
JITTER_DEGREES = 0.02
WAVELENGTHS_KM = (40.0, 2000.0)
NOISE = 1.6
NOISE_SPREAD = 0.25


@dataclass(frozen=True)
class Size:
    """How large a run is.

    Attributes:
        n_locations: of all splits together; 80 % train, 10 % validate, 10 % test.
        epochs: of the first stage.
        fine_tune: epochs of the second stage.
        partitioner: of the cells.
    """

    n_locations: int
    epochs: int
    fine_tune: int
    partitioner: H3Partitioner


PUBLISHED_SIZE = Size(79_144, 12, 10, H3Partitioner(resolution=4, min_count=12))
QUICK = Size(8_000, 8, 5, H3Partitioner(resolution=3, min_count=12))

STAGES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("plain", "", {}),
    ("no class weights", "", {"weight_exponent": 0.0}),
    ("no label smoothing", "", {"label_smoothing": 0.0}),
    ("fine-tune, λ = 0", "plain", {}),
    ("fine-tune, λ = 0.01", "plain", {"haversine": 0.01}),
    ("fine-tune, λ = 0.05", "plain", {"haversine": 0.05}),
    ("fine-tune, λ = 0.01, lr 0.0001", "plain", {"haversine": 0.01, "lr": 1e-4}),
    ("fine-tune, λ = 0.05, lr 0.0001", "plain", {"haversine": 0.05, "lr": 1e-4}),
)
"""Name, the head it starts from, and what differs from the defaults. The published learning rate is not known."""

PUBLISHED = {
    "plain": "v12_seed_44",
    "fine-tune, λ = 0.01": "v13_lambda_0.01",
    "fine-tune, λ = 0.05": "v13_lambda_0.05",
    "fine-tune, λ = 0.01, lr 0.0001": "v13_lambda_0.01",
    "fine-tune, λ = 0.05, lr 0.0001": "v13_lambda_0.05",
}
"""Name -> the published head that was made so."""


def simulated_locations(n: int, seed: int = 0, noise: float = NOISE) -> Locations:
    """Return n locations with simulated features, one view each."""
    rng = np.random.default_rng(seed)
    places = street_view("Europe")
    latlon = places[rng.integers(0, len(places), n)] + rng.normal(0.0, JITTER_DEGREES, (n, 2))
    shortest, longest = np.log(WAVELENGTHS_KM)
    lengths = np.exp(rng.uniform(shortest, longest, DIM))
    directions = rng.normal(size=(3, DIM)) * EARTH_RADIUS_KM / lengths
    clean = np.cos(unit_vectors(latlon) @ directions + rng.uniform(0, 2 * np.pi, DIM))
    size = noise * np.exp(NOISE_SPREAD * rng.normal(size=(n, 1)))
    features = (clean + size * rng.normal(size=clean.shape)).astype(np.float32)
    ids = np.asarray([f"{i:06d}" for i in range(n)], dtype=object)
    info = EncoderInfo("simulated", str(seed), "random function of the location", DIM, 1, "none")
    return Locations(ids, latlon, features, np.arange(n), np.arange(n + 1), info, {})


def run(size: Size) -> list[dict[str, Any]]:
    """Return a row per stage: its scores, and the difference to where it starts from, or to the plain head."""
    n, n_test = size.n_locations, size.n_locations // 10
    everything = simulated_locations(n)
    train, val, test = (
        everything.take(np.arange(*ends)) for ends in ((2 * n_test, n), (n_test, 2 * n_test), (0, n_test))
    )
    partition = size.partitioner.fit(train.latlon)
    heads: dict[str, Head] = {}
    rows = []
    for name, start, changes in STAGES:
        epochs = size.fine_tune if start else size.epochs
        config = FitConfig(epochs=epochs, batch_size=1024, device="cpu", **changes)
        head = heads[name] = fit_head(train, val, partition, config, init=heads.get(start))
        rows.append(row_of(name, head, heads["plain"], test))
    return rows


def row_of(name: str, head: Head, plain: Head, test: Locations) -> dict[str, Any]:
    """Return the scores of one stage, its paired difference to the plain head, and what was published of it."""
    scores, against = score(head, test), compare(head, plain, test)
    shown = ("balscore", "top1", "median_km", "mean_km")
    values = {"balscore": scores.balscore, "top1": scores.top1, "top5": scores.top5, "median_km": scores.median_km}
    values |= {"mean_km": scores.mean_km, **{f"within_{radius}": share for radius, share in scores.within.items()}}
    differences: dict[str, float] = {}
    for key in shown:
        low, high = against.intervals[key]
        differences |= {f"{key}_less_plain": against.differences[key], f"{key}_low": low, f"{key}_high": high}
    published = read_recipe(ROOT / "heads" / PUBLISHED[name] / "recipe.toml")["published"] if name in PUBLISHED else {}
    numbers = {key: float(f"{value:.5g}") for key, value in {**values, **differences}.items() if value is not None}
    return {
        "stage": name,
        "n_train": head.training["n_train"],
        "n_cells": len(head.partition),
        "epochs": head.training["epochs_run"],
        "best_epoch": head.training["best_epoch"],
        **numbers,
        **{f"published_{key}": published.get(key, "") for key in shown},
    }


def main() -> None:
    """Measure and report."""
    import torch

    torch.set_num_threads(1)
    flags = parse_flags("fine-tune, weights and smoothing on simulated features")
    rows = [{**row, **conditions("torch")} for row in run(QUICK if flags.quick else PUBLISHED_SIZE)]
    gains = {row["stage"]: row["balscore_less_plain"] for row in rows}
    finish("simulation", rows, {"balscore less that of the plain head": gains}, flags)


if __name__ == "__main__":
    main()
