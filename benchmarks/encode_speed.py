"""How fast images become features, against what people write today, and against the model alone.

In one run and on the same JPEG files: (a) the loop `processor(images=image)` -> `model(**inputs).pooler_output` over
single images, (b) transformers' pipeline "image-feature-extraction", (c) the model alone on tensors that are ready, (d)
pixels and then the model, batch by batch, and `geocell.encode` from file to cache. Where all cores compute, (d) is what
any program can reach. The towers are built at random by transformers' own classes, at published sizes.

Torch uses as many threads as OMP_NUM_THREADS says, or as there are cores. On a CPU, seconds are of processor time over
all threads, since other work on the machine would be measured too: rates are those of one core.

Run: python -m benchmarks.encode_speed [TOWER …] [--quick] [--json]; with towers, the other rows of the table stay.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.common import conditions, finish, parse_flags, read_results
from geocell.compute.cores import usable_cores
from geocell.encoders import TowerEncoder
from geocell.encoding import encode
from geocell.images.loading import load_pixels
from geocell.views import table_from_frame

SIZE = (1024, 768)
BATCH = {"cpu": 16, "cuda": 256}


@dataclass(frozen=True)
class Tower:
    """A published size of CLIP's vision tower, and how many images and turns of it a CPU can afford."""

    name: str
    hidden: int
    layers: int
    heads: int
    image_size: int
    patch: int
    images: int
    turns: int


TOWERS = (
    Tower("ViT-B/32@224", 768, 12, 12, 224, 32, images=32, turns=3),
    Tower("ViT-L/14@336", 1024, 24, 16, 336, 14, images=6, turns=3),
)
QUICK = (Tower("ViT-B/32@224", 768, 12, 12, 224, 32, images=2, turns=1),)


@dataclass(frozen=True)
class Amounts:
    """How many images the model alone, the slow loops, and the whole encoding get, which goes over the same files."""

    alone: int
    loops: int
    rows: int


ON_A_GPU = Amounts(alone=1024, loops=128, rows=8192)
"""Batches enough that decoding, copying and computing overlap, and rows enough that processes decode."""


def make_tower(tower: Tower, folder: Path) -> Path:
    """Save a random tower and its processor."""
    from transformers import CLIPImageProcessorPil, CLIPVisionConfig, CLIPVisionModel

    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=tower.hidden,
        intermediate_size=4 * tower.hidden,
        num_hidden_layers=tower.layers,
        num_attention_heads=tower.heads,
        image_size=tower.image_size,
        patch_size=tower.patch,
    )
    CLIPVisionModel(config).save_pretrained(folder)
    side = tower.image_size
    CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side}).save_pretrained(
        folder
    )
    return folder


def make_images(folder: Path, count: int) -> list[Path]:
    """Save JPEG files that compress as photographs do: noise at several scales."""
    random = np.random.default_rng(0)
    paths = []
    for index in range(count):
        picture = np.zeros((SIZE[1], SIZE[0], 3), np.float32)
        for side in (4, 16, 64, 256):
            noise = Image.fromarray(random.integers(0, 256, (side, side, 3), dtype=np.uint8))
            picture += np.asarray(noise.resize(SIZE, Image.Resampling.BICUBIC), np.float32) / 4
        paths.append(folder / f"{index:05d}.jpg")
        Image.fromarray(picture.astype(np.uint8)).save(paths[-1], quality=90)
    return paths


def matmul_flops(device: str, dtype: torch.dtype) -> float:
    """Return the rate of a large matrix product: what the share of peak is a share of."""
    side = 8192 if device == "cuda" else 2048
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    best = min(_seconds(lambda: a @ b, device) for _ in range(6))
    return 2 * side**3 / best


def flops_per_image(encoder: TowerEncoder, image: NDArray[Any]) -> int:
    """Return the floating-point operations of one image, counted operator by operator."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        encoder(np.stack([image]))
    return int(counter.get_total_flops())


def methods(
    tower: Tower, work: Path, paths: list[Path], amounts: Amounts, device: str
) -> list[tuple[str, str, int, Callable[[], Any]]]:
    """Return (method, arithmetic, its number of images, what runs it over them)."""
    import pandas as pd
    from transformers import AutoImageProcessor, CLIPVisionModel, pipeline

    folder, batch = make_tower(tower, work / "tower"), BATCH[device]
    processors: Any = AutoImageProcessor
    processor: Any = processors.from_pretrained(folder, backend="pil")
    models: Any = CLIPVisionModel
    model: Any = models.from_pretrained(folder).eval().to(device)
    pipe: Any = pipeline("image-feature-extraction", model=model, image_processor=processor, device=device, pool=True)
    names = [paths[row % len(paths)].name for row in range(amounts.rows)]
    frame = pd.DataFrame({"image": names, "lat": 1.0, "lon": np.arange(len(names)) / 1e3})
    few = paths[: amounts.loops]
    table = table_from_frame(frame, paths[0].parent)

    def one_by_one() -> NDArray[np.float32]:
        with torch.no_grad():
            inputs = (processor(images=Image.open(path), return_tensors="pt").to(device) for path in few)
            return np.stack([model(**values).pooler_output[0].cpu().numpy() for values in inputs])

    def by_pipeline() -> NDArray[np.float32]:
        return np.asarray(pipe([str(path) for path in few], batch_size=batch), np.float32).reshape(len(few), -1)

    found: list[tuple[str, str, int, Callable[[], Any]]] = [
        ("loop of one-image calls", "float32", len(few), one_by_one),
        ("transformers pipeline", "float32", len(few), by_pipeline),
    ]
    for dtype in ("float32", "bfloat16"):
        encoder = TowerEncoder(str(folder), device=device, dtype=dtype)
        pixels = np.stack([encoder.preprocess(Image.open(path)) for path in paths])
        ready: Any = encoder._normalised(torch.from_numpy(pixels))

        def alone(encoder: TowerEncoder = encoder, ready: torch.Tensor = ready) -> NDArray[np.float32]:
            with torch.inference_mode():
                return np.concatenate(
                    [encoder.forward(part).float().cpu().numpy() for part in torch.split(ready, batch)]
                )

        def in_turn(encoder: TowerEncoder = encoder) -> NDArray[np.float32]:
            parts = []
            with torch.inference_mode():
                for start in range(0, len(paths), batch):
                    made = [load_pixels(path, encoder.preprocess)[0] for path in paths[start : start + batch]]
                    good = [image for image in made if image is not None]
                    parts.append(encoder(np.stack(good)))
            return np.concatenate(parts)

        def ours(encoder: TowerEncoder = encoder) -> NDArray[np.float32]:
            with tempfile.TemporaryDirectory(dir=work) as out:
                return np.asarray(encode(table, encoder, Path(out) / "c", batch_size=batch).features, np.float32)

        found += [
            ("model alone on ready tensors", dtype, len(paths), alone),
            ("pixels, then model", dtype, len(paths), in_turn),
            ("geocell encode", dtype, amounts.rows, ours),
        ]
    return found


def _seconds(run: Callable[[], object], device: str) -> float:
    clock = time.perf_counter if device == "cuda" else time.process_time
    start = clock()
    run()
    if device == "cuda":
        torch.cuda.synchronize()
    return clock() - start


def _cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return the least cosine between rows of two arrays of features."""
    a, b = (x.astype(np.float64) / np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True) for x in (a, b))
    return float((a * b).sum(1).min())


def measure(tower: Tower, device: str, peaks: dict[str, float]) -> list[dict[str, Any]]:
    """Return a row per method: all of them in turn, over and over, so that other work on the machine meets them all."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "images").mkdir()
        amounts = ON_A_GPU if device == "cuda" else Amounts(tower.images, tower.images, tower.images)
        paths = make_images(work / "images", amounts.alone)
        runs = methods(tower, work, paths, amounts, device)
        encoder = TowerEncoder(str(work / "tower"), device=device, dtype="float32")
        flops = flops_per_image(encoder, encoder.preprocess(Image.open(paths[0])))
        features = [run()[: amounts.loops] for *_, run in runs]  # warm
        turns = [[_seconds(run, device) / count for *_, count, run in runs] for _ in range(tower.turns)]
        seconds = np.array(turns)  # of an image
    rows = []
    for column, (method, dtype, count, _) in enumerate(runs):
        rate = 1 / median(seconds[:, column])
        alone = next(i for i, run in enumerate(runs) if run[:2] == ("model alone on ready tensors", dtype))
        rows.append(
            {
                "tower": tower.name,
                "method": method,
                "dtype": dtype,
                "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
                "images_per_s": f"{rate:.3g}",
                "times_the_loop": f"{median(seconds[:, 0] / seconds[:, column]):.3g}",
                "share_of_model_alone": f"{median(seconds[:, alone] / seconds[:, column]):.3g}",
                "gflop_per_image": f"{flops / 1e9:.4g}",
                "share_of_matmul_peak": f"{rate * flops / peaks[dtype]:.3g}",
                "matmul_gflop_per_s": f"{peaks[dtype] / 1e9:.4g}",
                "least_cosine_to_the_loop": f"{_cosine(features[0], features[column]):.6f}",
                "threads": torch.get_num_threads(),
                "images": count,
                "turns": tower.turns,
                "clock": "wall" if device == "cuda" else "processor",
            }
        )
    return rows


def _order(row: Mapping[str, Any]) -> int:
    return [tower.name for tower in TOWERS].index(row["tower"])


def main() -> None:
    """Measure on the CPU, and on the GPU where there is one."""
    every = [tower.name for tower in TOWERS]
    chosen = [name for name in sys.argv[1:] if name in every]
    sys.argv[1:] = [name for name in sys.argv[1:] if name not in every]
    flags = parse_flags(__doc__.split("\n", maxsplit=1)[0] if __doc__ else "")
    towers = QUICK if flags.quick else [tower for tower in TOWERS if tower.name in (chosen or every)]
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", usable_cores())))
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    where = conditions("torch", "transformers", "pillow", "numpy")
    rows: list[dict[str, Any]] = []
    for device in devices:
        peaks = {
            str(dtype).removeprefix("torch."): matmul_flops(device, dtype) for dtype in (torch.float32, torch.bfloat16)
        }
        for tower in towers:
            rows += [{**row, **where} for row in measure(tower, device, peaks)]
    best = {
        f"{row['tower']} {row['device']} {row['dtype']}": float(row["times_the_loop"])
        for row in rows
        if row["method"] == "geocell encode"
    }
    kept = [row for row in read_results("encode_speed") if chosen and row["tower"] not in chosen]
    table = sorted([*rows, *({key: row.get(key, "wall") for key in rows[0]} for row in kept)], key=_order)
    finish("encode_speed", table, {"times_the_loop": best, "gpu_measured": "cuda" in devices}, flags)


if __name__ == "__main__":
    main()
