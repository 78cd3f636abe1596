"""What ONNX Runtime saves on a CPU: EfficientNet-Lite0 as torch runs it and as an exported graph, side by side.

From pixels to features, on one core, which is what the process is bound to. Time is that of the processor, and rounds
alternate, so that other work on the machine does not count, and what it does to the caches counts for both.

Run: python -m benchmarks.export_speed [--quick] [--json]
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.common import conditions, finish, parse_flags
from geocell.encoders import EfficientNetLite0
from geocell.encoders.onnx_encoder import OnnxEncoder
from geocell.exporting.export import export_model
from geocell.heads.fit_config import FitConfig
from geocell.heads.head import Head
from geocell.heads.module import new_module
from geocell.partitioners import KMeansPartitioner

ROUNDS = 9
BATCHES = (1, 32)


def untrained_head(encoder: EfficientNetLite0) -> Head:
    """Return a head of 1,000 cells, whose weights are all 0: how fast it is does not depend on them."""
    random = np.random.default_rng(0)
    latlon = np.stack((random.uniform(35, 65, 3000), random.uniform(-10, 30, 3000)), axis=1)
    cells = KMeansPartitioner(k=1000, seed=0).fit(latlon, "random places")
    config = FitConfig()
    return Head(new_module(encoder.info.dim, len(cells), config), cells, encoder.info, config)


def seconds(encode: Callable[[NDArray[Any]], NDArray[np.float32]], pixels: NDArray[np.uint8]) -> float:
    """Return how long the processor works on a batch."""
    start = time.process_time()
    encode(pixels)
    return time.process_time() - start


def main() -> None:
    """Measure, print, write the CSV."""
    flags = parse_flags(str(__doc__).split("\n", maxsplit=1)[0])
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    torch.set_num_threads(1)
    encoder = EfficientNetLite0(device="cpu")
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        done = export_model(untrained_head(encoder), Path(folder) / "graph", with_encoder=True)
        exported = OnnxEncoder(done.folder)
        for batch in BATCHES:
            pixels = np.random.default_rng(0).integers(0, 256, (batch, 224, 224, 3), dtype=np.uint8)
            difference = float(np.abs(encoder(pixels) - exported(pixels)).max())
            pairs = [(seconds(encoder, pixels), seconds(exported, pixels)) for _ in range(3 if flags.quick else ROUNDS)]
            rows.append(
                {
                    "encoder": encoder.info.name,
                    "batch": batch,
                    "torch_images_per_s": round(batch / median(a for a, _ in pairs), 1),
                    "onnxruntime_images_per_s": round(batch / median(b for _, b in pairs), 1),
                    "ratio": round(median(a / b for a, b in pairs), 2),
                    "ratio_low": round(min(a / b for a, b in pairs), 2),
                    "ratio_high": round(max(a / b for a, b in pairs), 2),
                    "largest_difference": f"{difference:.1e}",
                    "rounds": len(pairs),
                    **conditions("torch", "onnxruntime"),
                }
            )
    finish("export_speed", rows, {f"batch {row['batch']}": row["ratio"] for row in rows}, flags)


if __name__ == "__main__":
    main()
