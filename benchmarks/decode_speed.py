"""What decoding large JPEG files at a fraction of their size saves, and what it changes: backend pil beside pil-draft.

Photographs as large as cameras make them are mosaics of the shared ones, which are not scaled, so that the finest
detail is that of a camera. From the bytes of a file to an encoder's pixels, on one core. Features are those of
EfficientNet-Lite0; how far they move is set beside how far they move when the file is saved again.

Run: python -m benchmarks.decode_speed [--quick] [--json]
"""

from __future__ import annotations

import io
import time
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.common import conditions, finish, parse_flags, shared_data
from geocell.encoders import EfficientNetLite0
from geocell.images.loading import load_pixels
from geocell.images.transforms import PillowTransform

SIZES = ((1024, 768), (2048, 1536), (4000, 3000))
QUALITY, AGAIN = 90, 75


@dataclass(frozen=True)
class Input:
    """What an encoder makes of a photograph."""

    name: str
    transform: PillowTransform


def inputs() -> list[Input]:
    """Return the inputs of CLIP at 224 and 336 pixels, and that of EfficientNet-Lite0."""
    clips = [
        Input(f"CLIP@{side}", PillowTransform(side, (side, side), Image.Resampling.BICUBIC)) for side in (224, 336)
    ]
    lite0: Any = EfficientNetLite0(device="cpu").preprocess
    return [*clips, Input("EfficientNet-Lite0", lite0)]


def make_photographs(size: tuple[int, int], count: int) -> list[bytes]:
    """Return JPEG files of mosaics of the shared photographs."""
    tiles = [Image.open(path).convert("RGB") for path in sorted((shared_data() / "photos").glob("*.jpg"))]
    random = np.random.default_rng(0)
    files = []
    for _ in range(count):
        mosaic = Image.new("RGB", size)
        y = 0
        while y < size[1]:
            x, height = 0, 480
            while x < size[0]:
                tile = tiles[random.integers(len(tiles))]
                mosaic.paste(tile, (x, y))
                x, height = x + tile.width, min(height, tile.height)
            y += height
        files.append(saved(mosaic, QUALITY))
    return files


def saved(image: Image.Image, quality: int) -> bytes:
    """Return an image as a JPEG file."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def pixels(file: bytes, transform: PillowTransform) -> NDArray[np.uint8]:
    """Return what the encoder gets."""
    found, problem = load_pixels(io.BytesIO(file), transform)
    if found is None:
        raise ValueError(problem)
    return found


def cosines(encoder: EfficientNetLite0, a: NDArray[np.uint8], b: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the cosine between the features of each of two batches of images."""
    x, y = encoder(a).astype(np.float64), encoder(b).astype(np.float64)
    return np.asarray((x * y).sum(1) / np.linalg.norm(x, axis=1) / np.linalg.norm(y, axis=1))


def measure(size: tuple[int, int], count: int, turns: int) -> list[dict[str, Any]]:
    """Return a row per input: both backends in turn over every photograph, over and over."""
    files, encoder = make_photographs(size, count), EfficientNetLite0(device="cpu")
    again = [saved(Image.open(io.BytesIO(file)), AGAIN) for file in files]
    rows = []
    for kind in inputs():
        backends = (kind.transform, replace(kind.transform, draft=True))
        seconds: list[list[float]] = [[], []]
        made: list[list[NDArray[np.uint8]]] = [[], []]
        for turn in range(turns):
            for file in files:
                for which, transform in enumerate(backends):
                    start = time.perf_counter()
                    found = pixels(file, transform)
                    seconds[which].append(time.perf_counter() - start)
                    if turn == 0:
                        made[which].append(found)
        whole, draft = (np.stack(part) for part in made)
        ratios = np.array(seconds[0]) / np.array(seconds[1])
        row: dict[str, Any] = {
            "width": size[0], "height": size[1], "input": kind.name,
            "pil_ms": f"{1e3 * median(seconds[0]):.3g}", "draft_ms": f"{1e3 * median(seconds[1]):.3g}",
            "times_as_fast": f"{median(ratios):.3g}",
            "mean_pixel_difference": f"{np.abs(whole.astype(int) - draft).mean():.3g}",
            "least_cosine": "", "least_cosine_saved_again": "",
        }  # fmt: skip
        if kind.name == "EfficientNet-Lite0":
            others = np.stack([pixels(file, kind.transform) for file in again])
            row["least_cosine"] = f"{cosines(encoder, whole, draft).min():.5f}"
            row["least_cosine_saved_again"] = f"{cosines(encoder, whole, others).min():.5f}"
        rows.append({**row, "photographs": count, "turns": turns, "quality": QUALITY, "quality_again": AGAIN})
    return rows


def main() -> None:
    """Measure every size of photograph."""
    flags = parse_flags(__doc__.split("\n", maxsplit=1)[0] if __doc__ else "")
    count, turns = (2, 2) if flags.quick else (12, 5)
    where = conditions("pillow", "numpy", "torch")
    rows = [{**row, **where} for size in SIZES for row in measure(size, count, turns)]
    faster = {f"{row['width']} x {row['height']} {row['input']}": float(row["times_as_fast"]) for row in rows}
    finish("decode_speed", rows, {"times_as_fast": faster}, flags)


if __name__ == "__main__":
    main()
