"""What everything with a CUDA path takes on a graphics card, and whether its tests pass there.

Each piece is a process of its own with its own limit of time; what is done is written at once, so that a piece that
fails or hangs costs itself alone. All of them take at most ten minutes. Features and the weights of towers are random.

Run: python -m benchmarks.gpu --out DIR [--device cuda|cpu] [--quick] [--only PIECE …]
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.common import conditions

if TYPE_CHECKING:
    from geocell.features.locations import Locations
    from geocell.heads.head import Head
    from geocell.partitioners.base import Partition

ROOT = Path(__file__).parents[1]
TRAIN, VIEWS, DIM = 63_316, 4, 1024
PUBLISHED_CELLS = 1898


@dataclass(frozen=True)
class Goal:
    """What a measured number is held against.

    Attributes:
        most: the greatest that is good; None where there is a least.
        least: the least that is good.
    """

    most: float | None = None
    least: float | None = None

    def reached(self, value: float) -> bool:
        """Return whether a number is good."""
        return (self.most is None or value <= self.most) and (self.least is None or value >= self.least)

    def __str__(self) -> str:
        """Return `<= 20` or `>= 0.45`."""
        return f"<= {self.most:g}" if self.most is not None else f">= {self.least:g}"


GOALS: Mapping[tuple[str, str], Goal] = {
    ("encode", "share_of_gemm"): Goal(least=0.45),
    ("fit", "seconds"): Goal(most=20),
    ("rows", "seconds"): Goal(most=180),
    ("tests", "failed"): Goal(most=0),
}
"""(piece, what) -> its goal, on one card."""


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


PIECES: Mapping[str, tuple[Callable[[Setting], Found], int]] = {
    "tests": (tests, 90),
    "encode": (encode, 150),
    "fit": (fit, 60),
    "rows": (rows, 200),
    "score": (score, 30),
    "decode": (decode, 60),
    "calibrate": (calibrate, 30),
    "pretrain": (pretrain, 60),
}
"""Name -> the piece and the seconds that it may take; what matters most comes first."""
LIMIT = 600


def run_piece(name: str, setting: Setting, limit: float, log: Path) -> tuple[Found, str]:
    """Run a piece as a process; return what it found, and why it found nothing."""
    command = [sys.executable, "-m", "benchmarks.gpu", "--piece", name, "--device", setting.device]
    command += ["--quick"] if setting.quick else []
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired as error:
        parts = (part if isinstance(part, bytes) else str(part or "").encode() for part in (error.stdout, error.stderr))
        log.write_bytes(b"\n".join(parts))
        return {}, f"more than {limit:.0f} s"
    log.write_text(f"{done.stdout}\n{done.stderr}", encoding="utf-8")
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return {}, lines[-1] if lines else f"exit status {done.returncode}"
    found: Found = json.loads(done.stdout.strip().splitlines()[-1])
    return found, ""


def lines_of(piece: str, found: Found, problem: str, seconds: float, held: bool = True) -> list[dict[str, str]]:
    """Return a row of the table per number, held against its goal where it has one."""
    common = {"piece": piece, "problem": problem, "piece_s": f"{seconds:.1f}"}
    if problem:
        return [{**common, "what": "", "value": "", "goal": "", "reached": "no"}]
    made = []
    for what, value in found.items():
        goal = GOALS.get((piece, what)) if held else None
        reached = "" if goal is None else "yes" if goal.reached(value) else "no"
        made.append({**common, "what": what, "value": f"{value:.4g}", "goal": str(goal or ""), "reached": reached})
    return made


def write(path: Path, lines: Sequence[Mapping[str, str]], about: Mapping[str, str]) -> None:
    """Write the table as it is so far."""
    columns = ["piece", "what", "value", "goal", "reached", "problem", "piece_s", *about]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows([{**line, **about} for line in lines])


def card(device: str) -> str:
    """Return the name of the device, or leave with the reason why there is none."""
    import torch

    if not device.startswith("cuda"):
        return device
    if not torch.cuda.is_available():
        raise SystemExit("benchmarks.gpu needs a CUDA card, and torch sees none: --device cpu --quick tries its logic.")
    return torch.cuda.get_device_name(device)


def main(argv: Sequence[str] | None = None) -> int:
    """Run all pieces, or the one that a process is for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--out", type=Path, help="folder of gpu.csv and of a log per piece")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="sizes for a CPU, to try the logic")
    parser.add_argument("--only", nargs="*", choices=list(PIECES), help="some pieces alone")
    parser.add_argument("--piece", choices=list(PIECES), help=argparse.SUPPRESS)
    values = parser.parse_args(argv)
    setting = Setting(values.device, values.quick)
    if values.piece:
        print(json.dumps(dict(PIECES[values.piece][0](setting))))
        return 0
    if values.out is None:
        parser.error("--out is needed: the folder of the results.")
    about = {
        "device": card(setting.device),
        "quick": str(setting.quick),
        **conditions("torch", "transformers", "numpy"),
    }
    values.out.mkdir(parents=True, exist_ok=True)
    lines: list[dict[str, str]] = []
    begun = time.monotonic()
    for piece in values.only or PIECES:
        start = time.monotonic()
        limit = min(PIECES[piece][1], LIMIT - (start - begun))
        found: Found = {}
        if limit < 1:
            problem = "no time was left"
        else:
            found, problem = run_piece(piece, setting, limit, values.out / f"{piece}.log")
        new = lines_of(piece, found, problem, time.monotonic() - start, held=not setting.quick)
        lines += new
        write(values.out / "gpu.csv", lines, about)
        for line in new:
            print("  ".join(f"{key}={value}" for key, value in line.items() if value), flush=True)
    return 1 if any(line["problem"] for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
