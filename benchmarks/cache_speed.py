"""How fast a feature cache of 316,000 views with 1,024 features opens, is read, and gives single rows.

Files are in the page cache. The mapped shards are read beside reading the same files over and over into one small
buffer, which keeps nothing; loading into one array beside reading them into fresh memory (`np.fromfile`), which is what
it has to do; and the means that a head sees beside those of features that were loaded first.

Run: python -m benchmarks.cache_speed [--quick] [--json]
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.common import conditions, finish, parse_flags
from geocell.encoders.info import EncoderInfo
from geocell.features import FeatureCache, begin, shard_path, write_shard
from geocell.features import finish as finish_cache
from geocell.features.mapped import MappedFeatures
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


def read_mapped(cache: FeatureCache) -> int:
    """Map every shard and read each of its numbers once, as 64-bit integers."""
    features = MappedFeatures(cache.folder, cache.manifest)
    return max(int(features.shard(index).view(np.uint64).max()) for index in range(cache.manifest.n_shards))


def loaded_means(cache: FeatureCache) -> object:
    """Return the means of locations whose features are loaded into one array before."""
    features = FeatureCache(cache.folder, cache.manifest, cache.good).features
    return replace(cache.locations(), features=features).mean_features()


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
            "read mapped shards": lambda: read_mapped(cache),
            "means of locations": lambda: cache.locations().mean_features(),
            "means of locations, loaded first": lambda: loaded_means(cache),
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
    compared = {
        "load": "np.fromfile of the files",
        "read mapped shards": "read the files into 1 MiB",
        "means of locations": "means of locations, loaded first",
    }
    times_as_fast = {
        what: median(theirs / ours for ours, theirs in zip(seconds[what], seconds[beside], strict=True))
        for what, beside in compared.items()
    }
    where = conditions("numpy")
    table = [
        {
            "what": what,
            "rows": rows,
            "dim": DIM,
            "seconds": f"{median(times):.3g}",
            "gb_per_s": f"{n_bytes[what] / median(times) / 1e9:.3g}" if what in n_bytes else "",
            "beside": compared.get(what, ""),
            "times_as_fast": f"{times_as_fast[what]:.3g}" if what in compared else "",
            "turns": TURNS,
            **where,
        }
        for what, times in seconds.items()
    ]
    summary = {"open_s": median(seconds["open"]), "times_as_fast": times_as_fast}
    finish("cache_speed", table, summary, flags)


if __name__ == "__main__":
    main()
