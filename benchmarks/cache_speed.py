"""How fast a feature cache of 316,000 views with 1,024 features opens, loads, and gives single rows.

Loading is measured beside reading the same files from the page cache, one after the other: into fresh memory
(`np.fromfile`), which is what loading has to do, and over and over into one small buffer, which keeps nothing.

Run: python -m benchmarks.cache_speed [--quick] [--json]
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.common import conditions, finish, parse_flags
from geocell.encoders.info import EncoderInfo
from geocell.features import FeatureCache, begin, shard_path, write_shard
from geocell.features import finish as finish_cache
from geocell.views import table_from_frame

ROWS, QUICK_ROWS, DIM, TURNS = 316_000, 100_000, 1024, 5
TAKEN = 10_000


def make_cache(folder: Path, rows: int) -> FeatureCache:
    """Write a cache of random features."""
    import pandas as pd

    random = np.random.default_rng(0)
    lat, lon = random.uniform(-60, 70, rows), random.uniform(-180, 180, rows)
    frame = pd.DataFrame({"image": [f"{i}.jpg" for i in range(rows)], "lat": lat, "lon": lon})
    info = EncoderInfo("random", "1", "pooler_output", DIM, 336, "none")
    manifest = begin(folder, table_from_frame(frame), info)
    block = random.normal(size=(manifest.shard_rows, DIM)).astype(np.float16)
    for index in range(manifest.n_shards):
        first, last = manifest.shard_range(index)
        write_shard(folder, index, block[: last - first], {})
    return finish_cache(folder)


def read_files(paths: list[Path], buffer: memoryview) -> None:
    """Read files one after the other into one buffer."""
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass


def main() -> None:
    """Measure in turns, and report medians."""
    flags = parse_flags(__doc__.split("\n", maxsplit=1)[0] if __doc__ else "")
    rows = QUICK_ROWS if flags.quick else ROWS
    with tempfile.TemporaryDirectory() as name:
        cache = make_cache(Path(name) / "cache", rows)
        paths = [shard_path(cache.folder, index) for index in range(cache.manifest.n_shards)]
        buffer = memoryview(bytearray(1 << 20))
        some = np.random.default_rng(1).integers(0, rows, TAKEN)
        runs: dict[str, Callable[[], object]] = {
            "open": lambda: FeatureCache.open(cache.folder),
            "load": lambda: FeatureCache(cache.folder, cache.manifest, cache.good).features,
            "np.fromfile of the files": lambda: [np.fromfile(path, np.uint8) for path in paths],
            "read the files into 1 MiB": lambda: read_files(paths, buffer),
            "take 10,000 random rows": lambda: cache.take(some),
        }
        for run in runs.values():
            run()
        seconds: dict[str, list[float]] = {what: [] for what in runs}
        for _ in range(TURNS):
            for what, run in runs.items():
                start = time.perf_counter()
                run()
                seconds[what].append(time.perf_counter() - start)
    n_bytes = {what: (TAKEN if "random" in what else rows) * DIM * 2 for what in runs if what != "open"}
    fresh = seconds["np.fromfile of the files"]
    share = median(theirs / ours for ours, theirs in zip(seconds["load"], fresh, strict=True))
    where = conditions("numpy")
    table = [
        {
            "what": what,
            "rows": rows,
            "dim": DIM,
            "seconds": f"{median(times):.3g}",
            "gb_per_s": f"{n_bytes[what] / median(times) / 1e9:.3g}" if what in n_bytes else "",
            "share_of_fromfile": f"{share:.3g}" if what == "load" else "",
            "turns": TURNS,
            **where,
        }
        for what, times in seconds.items()
    ]
    summary = {"open_s": median(seconds["open"]), "load_share_of_fromfile": share}
    finish("cache_speed", table, summary, flags)


if __name__ == "__main__":
    main()
