"""From the bytes of an image file to the pixels of CLIP: transformers' Pillow processor, geocell, and hf-processors-rs.

Processor time of one thread, all methods in turn on every file. geocell gives bytes that are normalised in batches on
the device; the time of that is in its own, for a batch of 32. hf-processors-rs is measured where it is installed.

Run: python -m benchmarks.pixels_speed [--quick] [--json]
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.common import conditions, finish, parse_flags
from benchmarks.decode_speed import make_photographs
from geocell.images.loading import load_pixels
from geocell.images.transforms import normalisation_of, transform_of

Pixels = NDArray[Any]
SIZES = ((1024, 768), (2048, 1536))
BATCH = 32
TRANSFORMERS, OURS, RUST = "transformers, on Pillow", "geocell", "hf-processors-rs"


def normalised(pixels: Pixels, normalisation: Any) -> NDArray[np.float32]:  # noqa: ANN401 - of geocell
    """Return (B, 3, H, W) of (B, H, W, 3) bytes, as encoders normalise."""
    lines = torch.from_numpy(pixels).flatten(2).to(torch.float32) * normalisation.scale
    mean, std = (torch.tensor(values).repeat(pixels.shape[2]) for values in (normalisation.mean, normalisation.std))
    lines = lines.sub_(mean).div_(std)
    return np.asarray(lines.view(pixels.shape).permute(0, 3, 1, 2).numpy())


def methods() -> dict[str, Callable[[bytes], Pixels]]:
    """Return what makes pixels of the bytes of a file, by name."""
    from transformers import CLIPImageProcessorPil

    processor: Any = CLIPImageProcessorPil()
    transform, normalisation = transform_of(processor), normalisation_of(processor)

    def by_transformers(file: bytes) -> Pixels:
        image = Image.open(io.BytesIO(file))
        return np.asarray(processor(image, return_tensors="np")["pixel_values"][0])

    def ours(file: bytes) -> Pixels:
        pixels, problem = load_pixels(io.BytesIO(file), transform)
        if pixels is None:
            raise ValueError(problem)
        whole: Pixels = normalised(pixels[None].copy(), normalisation)[0]
        return whole

    found: dict[str, Callable[[bytes], Pixels]] = {TRANSFORMERS: by_transformers, OURS: ours}
    try:
        import hf_processors_rs  # type: ignore[import-not-found]
    except ImportError:
        return found
    rust: Any = hf_processors_rs.ImageProcessor.from_dict(
        processor.to_dict(), backend="pil", processor_type="CLIPImageProcessor"
    )
    found[RUST] = lambda file: np.asarray(rust([file], num_threads=1)[0])
    return found


def kinds() -> dict[str, bytes]:
    """Return a file of each kind that needs more than resizing."""
    random = np.random.default_rng(0)
    picture = Image.fromarray(random.integers(0, 256, (9, 13, 3), dtype=np.uint8)).resize((397, 251))
    turned = Image.Exif()
    turned[0x0112] = 6
    made = {
        "RGB JPEG": (picture, "JPEG", {}),
        "grey JPEG": (picture.convert("L"), "JPEG", {}),
        "CMYK JPEG": (picture.convert("CMYK"), "JPEG", {}),
        "JPEG turned by EXIF": (picture, "JPEG", {"exif": turned}),
        "RGB PNG": (picture, "PNG", {}),
        "palette PNG": (picture.quantize(32), "PNG", {}),
        "PNG with alpha": (picture.convert("RGBA"), "PNG", {}),
        "16-bit grey PNG": (Image.fromarray(random.integers(0, 65536, (97, 61), dtype=np.uint16)), "PNG", {}),
        "WebP": (picture, "WEBP", {}),
        "TIFF": (picture, "TIFF", {}),
    }
    files = {}
    for kind, (image, name, options) in made.items():
        file = io.BytesIO()
        image.save(file, name, **options)
        files[kind] = file.getvalue()
    return files


def equal(a: Callable[[bytes], Pixels], b: Callable[[bytes], Pixels], file: bytes) -> str:
    """Return how two methods agree on a file: bits, the greatest difference, or why there are no pixels."""
    try:
        one, two = a(file), b(file)
    except Exception as error:
        return type(error).__name__
    if one.shape != two.shape:
        return "another shape"
    return "equal" if np.array_equal(one, two) else f"{np.abs(one - two).max():.2g}"


def main() -> None:
    """Measure every size, and compare every kind of file."""
    flags = parse_flags((__doc__ or "").split("\n", maxsplit=1)[0])
    torch.set_num_threads(1)
    count, turns = (2, 1) if flags.quick else (12, 5)
    chosen, rows = methods(), []
    where = conditions("pillow", "transformers", "torch")
    try:
        where["hf-processors-rs"] = version("hf-processors-rs")
    except PackageNotFoundError:
        where["hf-processors-rs"] = "0.1.0" if RUST in chosen else ""
    for size in SIZES:
        files = make_photographs(size, count)
        seconds: dict[str, list[float]] = {name: [] for name in chosen}
        for _ in range(turns):
            for file in files:
                for name, method in chosen.items():
                    start = time.process_time()
                    method(file)
                    seconds[name].append(time.process_time() - start)
        for name, method in chosen.items():
            ratio = median(np.array(seconds[name]) / np.array(seconds[TRANSFORMERS]))
            found = {equal(method, chosen[TRANSFORMERS], file) for file in files}
            of_all = "equal" if found == {"equal"} else max(found - {"equal"})
            rows.append(
                _row(f"{size[0]} x {size[1]}", name, f"{1e3 * median(seconds[name]):.3g}", f"{ratio:.2f}", of_all)
            )
    for kind, file in kinds().items():
        rows += [_row(kind, name, "", "", equal(chosen[name], chosen[TRANSFORMERS], file)) for name in list(chosen)[1:]]
    summary = {f"{row['file']}, {row['method']}": row["of_transformers"] for row in rows if row["ms"]}
    finish("pixels_speed", [{**row, "files": count, "turns": turns, **where} for row in rows], summary, flags)


def _row(file: str, method: str, ms: str, ratio: str, pixels: str) -> dict[str, str]:
    return {"file": file, "method": method, "ms": ms, "of_transformers": ratio, "pixels": pixels}


if __name__ == "__main__":
    main()
