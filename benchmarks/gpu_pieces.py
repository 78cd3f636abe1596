"""The pieces of `benchmarks.gpu`: what runs on a graphics card, one function and one process each."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from geocell.features.locations import Locations
    from geocell.heads.head import Head
    from geocell.partitioners.base import Partition

ROOT = Path(__file__).parents[1]
TRAIN, VIEWS, DIM = 63_316, 4, 1024
PUBLISHED_CELLS = 1898


@dataclass(frozen=True)
class Setting:
    """Where and how large.

    Attributes:
        device: of torch.
        quick: sizes that a CPU takes seconds for; no number of it means anything.
    """

    device: str
    quick: bool

    def of(self, usual: int, quick: int) -> int:
        """Return one of two sizes."""
        return quick if self.quick else usual


Found = Mapping[str, float]


def tests(setting: Setting) -> Found:
    """Run the tests that are marked for a card, on the device."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "cuda", "tests/test_cuda.py"]
    environment = {**os.environ, "GEOCELL_TEST_DEVICE": setting.device}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    print(done.stdout[-4000:], file=sys.stderr)
    counts = {"passed": 0, "failed": 0, "skipped": 0}
    for part in done.stdout.strip().splitlines()[-1].strip("= ").split(", "):
        number, _, word = part.partition(" ")
        if word.split(" ")[0] in counts:
            counts[word.split(" ")[0]] = int(number)
    if done.returncode not in (0, 1) or counts["passed"] + counts["failed"] == 0:
        raise RuntimeError(f"pytest must run tests, got exit status {done.returncode}: see the log.")
    return counts


def encode(setting: Setting) -> Found:
    """Encode JPEG files by a ViT-L/14@336 in bfloat16, beside the model alone and a large matrix product."""
    import pandas as pd
    import torch
    from PIL import Image

    from benchmarks.encode_speed import TOWERS, flops_per_image, make_images, make_tower, matmul_flops
    from geocell.encoders import TowerEncoder
    from geocell.encoding import encode as encode_views
    from geocell.views import table_from_frame

    tower = TOWERS[0] if setting.quick else TOWERS[1]
    batch, files, rows = setting.of(256, 4), setting.of(128, 4), setting.of(8192, 8)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        paths = make_images(work, files)
        encoder = TowerEncoder(str(make_tower(tower, work / "tower")), device=setting.device, dtype="bfloat16")
        image = encoder.preprocess(Image.open(paths[0]))
        flops = flops_per_image(encoder, image)
        gemm = matmul_flops("cuda" if setting.device.startswith("cuda") else "cpu", torch.bfloat16)
        names = [paths[row % len(paths)].name for row in range(rows)]

        def run(count: int, out: str) -> float:
            frame = pd.DataFrame({"image": names[:count], "lat": 1.0, "lon": np.arange(count) / 1e3})
            start = time.perf_counter()
            encode_views(table_from_frame(frame, work), encoder, work / out, batch_size=batch)
            return time.perf_counter() - start

        run(min(rows, 2 * batch), "warm")
        seconds = run(rows, "cache")
        pixels = np.stack([image] * batch)
        encoder(pixels)
        start, alone = time.perf_counter(), max(rows // batch // 2, 1)
        waiting = [encoder.start(pixels) for _ in range(alone)]
        for features in waiting:
            features()
        of_model = (time.perf_counter() - start) / (alone * batch)
    rate = rows / seconds
    return {
        "images": rows,
        "images_per_s": rate,
        "share_of_model_alone": of_model * rate,
        "share_of_gemm": rate * flops / gemm,
        "gemm_tflop_per_s": gemm / 1e12,
    }


def make_locations(n: int, setting: Setting, seed: int = 0) -> Locations:
    """Return n locations of four views each, whose features tell the place under noise."""
    from geocell.features.locations import Locations

    random = np.random.default_rng(seed)
    latlon = random.uniform((36, -10), (68, 30), (n, 2))
    views = 1 if setting.quick else VIEWS
    weights = np.random.default_rng(1).normal(size=(3, setting.of(DIM, 32))).astype(np.float32)
    place = np.column_stack([latlon / 10, np.ones(n)]).astype(np.float32)
    signal = np.tanh(place @ weights).astype(np.float16)
    features = np.repeat(signal, views, axis=0)
    for start in range(0, len(features), 65_536):
        rows = slice(start, start + 65_536)
        features[rows] += random.standard_normal(features[rows].shape, dtype=np.float32).astype(np.float16)
    return Locations.from_arrays(
        features, np.repeat(latlon, views, axis=0), np.repeat(np.arange(n), views).astype(str), encoder="made"
    )


def make_partition(locations: Locations, n_cells: int) -> Partition:
    """Return about so many cells of a k-d tree."""
    from geocell.partitioners.kdtree import KDTreePartitioner

    return KDTreePartitioner(max_count=max(len(locations) // n_cells, 1)).fit(locations.latlon)


def make_head(setting: Setting, epochs: int) -> tuple[Head, Locations, float]:
    """Fit a head on as many locations and cells as published; return it, validation locations, and the seconds."""
    from geocell.heads.fit_config import FitConfig
    from geocell.training.fit import fit_head

    train = make_locations(setting.of(TRAIN, 400), setting)
    val = make_locations(setting.of(7_900, 100), setting, seed=2)
    cells = make_partition(train, setting.of(PUBLISHED_CELLS, 8))
    config = FitConfig(epochs=setting.of(epochs, 2), keep="best", patience=epochs, device=setting.device)
    start = time.perf_counter()
    head = fit_head(train, val, cells, config)
    return head, val, time.perf_counter() - start


def fit(setting: Setting) -> Found:
    """Fit as published: 80 epochs, 63,316 locations of four views of 1,024 numbers, about 1,898 cells."""
    head, _, seconds = make_head(setting, 80)
    epochs = int(head.training["epochs_run"])
    return {"cells": len(head.partition), "epochs": epochs, "seconds": seconds, "seconds_per_epoch": seconds / epochs}


def score(setting: Setting) -> Found:
    """Score a head with intervals."""
    from geocell.evaluation.score import score as score_head

    head, _, _ = make_head(setting, 2)
    test = make_locations(setting.of(7_900, 100), setting, seed=3)
    start = time.perf_counter()
    scores = score_head(head, test, device=setting.device)
    return {"locations": len(test), "seconds": time.perf_counter() - start, "balscore": scores.balscore}


def decode(setting: Setting) -> Found:
    """Compare all decoders of a head."""
    from geocell.evaluation.decoders import compare_decoders

    head, val, _ = make_head(setting, 2)
    start = time.perf_counter()
    compare_decoders(head, val, device=setting.device)
    return {"locations": len(val), "seconds": time.perf_counter() - start}


def calibrate(setting: Setting) -> Found:
    """Calibrate a head."""
    from geocell.evaluation.calibrate import calibrate as calibrate_head

    head, val, _ = make_head(setting, 2)
    start = time.perf_counter()
    calibrate_head(head, val, device=setting.device)
    return {"locations": len(val), "seconds": time.perf_counter() - start}


def pretrain(setting: Setting) -> Found:
    """Make contrastive steps of a small CLIP, at once and in pieces, beside a plain loop."""
    from benchmarks.pretrain_speed import METHODS, measure

    batch = setting.of(384, 8)
    found = measure(batch, 3 if not setting.quick else 1, setting.device)
    rates = {f"images_per_s, {method}": batch / values["seconds"] for method, values in found.items()}
    return {**rates, "times_the_loop": found[METHODS[0]]["seconds"] / found[METHODS[1]]["seconds"]}


def rows(setting: Setting) -> Found:
    """Fit every published row in `heads/`, with its settings and number of cells, on the same locations."""
    from geocell.heads.fit_config import FitConfig, read_recipe
    from geocell.training.fit import fit_head

    train = make_locations(setting.of(TRAIN, 400), setting)
    val = make_locations(setting.of(7_900, 100), setting, seed=2)
    recipes = [read_recipe(path) for path in sorted((ROOT / "heads").glob("*/recipe.toml"))]
    total = 0.0
    for recipe in recipes[: setting.of(len(recipes), 2)]:
        published: Any = recipe.get("published", {})
        settings = {**recipe.get("fit", {}), "device": setting.device}
        settings |= {"epochs": 1} if setting.quick else {}
        cells = make_partition(train, setting.of(int(published.get("cells", PUBLISHED_CELLS)), 8))
        start = time.perf_counter()
        fit_head(train, val, cells, FitConfig(**settings))
        total += time.perf_counter() - start
    return {"rows": len(recipes), "seconds": total}
