"""Run the quickstart and write what the documentation shows of it: its output, its map, and a sheet of street scenes.

Run: python -m benchmarks.quickstart, in the root of the repository. A finished or interrupted run in `quickstart/` is
resumed; one from nothing also writes the processor time of its stages into results/quickstart.csv. Afterwards
`python -m benchmarks.readme` copies the output into the README.
"""

from __future__ import annotations

import csv
import resource
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.common import Flags, conditions, finish
from geocell.quickstart.pipeline import run

ROOT = Path(__file__).resolve().parents[1]
COLUMNS, ROWS = 5, 2
TILE = (320, 240)
"""Width and height of a scene on the sheet, in pixels."""

STAGES = {"start": False, "draw": True, "encode": True, "fit and score": False, "map and answer": False}
"""Stages of a run, each but the first beginning with a line that it says, and whether all cores work at it."""

_MAP_WIDTH = 1344
_MAP_COLOURS = 256


def colourfulness(path: Path) -> float:
    """Return how colourful an image is (Hasler and Süsstrunk 2003, "Measuring colourfulness in natural images")."""
    with Image.open(path) as image:
        red, green, blue = np.asarray(image.convert("RGB").reduce(4), dtype=np.float64).transpose(2, 0, 1)
    red_green, yellow_blue = red - green, (red + green) / 2 - blue
    spread = np.hypot(red_green.std(), yellow_blue.std())
    return float(spread + 0.3 * np.hypot(red_green.mean(), yellow_blue.mean()))


def choose_scenes(world: Path, n: int) -> list[Path]:
    """Return one image each of n countries, spread over the alphabet of their codes: the most colourful one.

    Raises:
        ValueError: when the world has fewer countries.
    """
    with (world / "metadata.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    countries = sorted({row["country"] for row in rows})
    if len(countries) < n:
        raise ValueError(f"the sheet needs scenes of {n} countries, got {len(countries)}: draw more locations.")
    chosen = [countries[i * len(countries) // n] for i in range(n)]
    images = {code: [world / row["file_name"] for row in rows if row["country"] == code] for code in chosen}
    return [max(images[code], key=lambda path: (colourfulness(path), path.name)) for code in chosen]


def scene_sheet(images: Sequence[Path], columns: int = COLUMNS) -> Image.Image:
    """Return scenes side by side, every slot filled.

    Raises:
        ValueError: when the last row would have empty slots.
    """
    if not images or len(images) % columns:
        raise ValueError(f"a sheet of {columns} columns must be full, got {len(images)} scenes.")
    width, height = TILE
    sheet = Image.new("RGB", (width * columns, height * (len(images) // columns)))
    for slot, path in enumerate(images):
        with Image.open(path) as image:
            tall = round(image.width * height / width)
            top = (image.height - tall) // 2
            tile = image.convert("RGB").crop((0, top, image.width, top + tall)).resize(TILE, Image.Resampling.LANCZOS)
        sheet.paste(tile, (slot % columns * width, slot // columns * height))
    return sheet


def page_map(picture: Path) -> Image.Image:
    """Return the map at the width of a page, in the 256 colours that keep rare ones (points) as they are."""
    with Image.open(picture) as image:
        size = (_MAP_WIDTH, round(image.height * _MAP_WIDTH / image.width))
        return (
            image.convert("RGB")
            .resize(size, Image.Resampling.LANCZOS)
            .quantize(_MAP_COLOURS, Image.Quantize.MAXCOVERAGE, kmeans=3)
        )


def processor_s() -> float:
    """Return the seconds of processor time of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def stage_rows(ends: Sequence[float], cores: int) -> list[dict[str, str]]:
    """Return one row per stage: its processor time, and how long that takes where nothing else runs.

    Args:
        ends: processor time of the process at the end of each stage.
        cores: that share the stages in which all work.
    """
    rows = []
    for (stage, shared), begin, end in zip(STAGES.items(), (0.0, *ends[:-1]), ends, strict=True):
        seconds = end - begin
        rows.append(
            {
                "stage": stage,
                "shared": "yes" if shared else "no",
                "processor_s": f"{seconds:.1f}",
                "idle_s": f"{seconds / (cores if shared else 1):.1f}",
            }
        )
    return rows


def main() -> None:
    """Run and write."""
    folder, ends = Path("quickstart"), list[float]()

    def say(text: str) -> None:
        ends.append(processor_s())
        print(text, file=sys.stderr)

    new = not folder.exists()
    result = run(folder, say=say)
    ends.append(processor_s())
    if new:
        where = conditions("torch", "pillow")
        finish("quickstart", [row | where for row in stage_rows(ends, int(where["cores"]))], {}, Flags(False, False))
    docs = ROOT / "docs"
    (docs / "quickstart.txt").write_text(result.text() + "\n", encoding="utf-8")
    page_map(result.picture).save(docs / "images" / "quickstart.png", optimize=True)
    sheet = scene_sheet(choose_scenes(result.folder / "world", COLUMNS * ROWS))
    sheet.save(docs / "images" / "scenes.jpg", quality=88, optimize=True)


if __name__ == "__main__":
    main()
