"""Peak memory of everything that reads the table of views: encode without its images, open, split, partition.

A table of two views per location with paths, ids, degrees and a column of text. Every stage is a process of its own,
whose peak memory (resident set) the system counted. A stage on a small table is run beside it: what a million rows take
is the difference by the rows. Encoding writes shards of eight numbers per view and decodes no image. What stands in the
table under another label is kept, so that two states of the code can be compared: with PYTHONPATH=OTHER python
benchmarks/rows_memory.py, OTHER's package is measured.

Run: python -m benchmarks.rows_memory [--label TEXT] [--rows N …] [--stages NAME …] [--quick] [--json]
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import RESULTS, conditions

NAME = "rows_memory"
SIZES, QUICK_SIZES, SMALL = (1_000_000, 5_000_000), (100_000,), 10_000
DIM, PIECE = 8, 100_000
KEYS = ("state", "stage", "rows")


def make_table(path: Path, rows: int) -> None:
    """Write a Parquet or CSV table of `rows` views, two per location, in pieces."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv
    from pyarrow import parquet

    names = ["image", "location_id", "lat", "lon", "country"]
    schema = pa.schema([(name, pa.float64() if name in ("lat", "lon") else pa.string()) for name in names])
    rng = np.random.default_rng(0)
    writer: Any = parquet.ParquetWriter if path.suffix == ".parquet" else arrow_csv.CSVWriter
    with writer(path, schema) as file:
        for first in range(0, rows, PIECE):
            number = np.arange(first, min(first + PIECE, rows))
            places = number // 2
            lat, lon = np.round(rng.uniform(-60, 70, PIECE), 5), np.round(rng.uniform(-180, 180, PIECE), 5)
            images = [f"s3://photographs/{n % 1000:03d}/{n:012d}.jpg" for n in number.tolist()]
            ids = [f"place-{p:010d}" for p in places.tolist()]
            countries = [("DE", "FR", "BR", "JP")[p % 4] for p in places.tolist()]
            file.write_table(
                pa.table([images, ids, lat[places - first // 2], lon[places - first // 2], countries], schema)
            )


def encode(table: str, out: str) -> None:
    """Do what encoding does but its images: read, check, plan, write shards, finish."""
    from geocell import views as reading
    from geocell.encoders.info import EncoderInfo
    from geocell.encoding.engine import create_or_resume, finish_cache
    from geocell.features import write_shard
    from geocell.files import as_place

    folder = as_place(out)
    views = getattr(reading, "open_views", reading.read_views)(table)
    info = EncoderInfo("none", "1", "pooler_output", DIM, 336, "none")
    manifest, todo = create_or_resume(folder, views, info, 65_536, False)
    for index in todo:
        first, last = manifest.shard_range(index)
        write_shard(folder, index, np.ones((last - first, DIM), np.float16), {})
    finish_cache(folder, False)


def open_cache(cache: str) -> None:
    """Open a cache."""
    from geocell.features import FeatureCache

    FeatureCache.open(cache)


def command(*words: str) -> None:
    """Run a command of geocell in this process."""
    from geocell.cli.app import main

    sys.argv = ["geocell", *words, "--json"]
    raise SystemExit(main())


STAGES: dict[str, Callable[[Path], Sequence[str]]] = {
    "encode": lambda f: ("encode", f"{f}/table.parquet", f"{f}/cache"),
    "encode a CSV": lambda f: ("encode", f"{f}/table.csv", f"{f}/of-csv"),
    "open": lambda f: ("open_cache", f"{f}/cache"),
    "split": lambda f: ("command", "split", f"{f}/cache", "--out", f"{f}/splits.json"),
    "split --buffer-km": lambda f: ("command", "split", f"{f}/cache", "--out", f"{f}/near.json", "--buffer-km", "0.1"),
    "split TABLE": lambda f: ("command", "split", f"{f}/table.parquet", "--out", f"{f}/of-table.json"),
    "split TABLE, a CSV": lambda f: ("command", "split", f"{f}/table.csv", "--out", f"{f}/of-csv.json"),
    "partition": lambda f: (
        "command",
        "partition",
        "kdtree",
        "--max-count=5000",
        "--cache",
        f"{f}/cache",
        "--out",
        f"{f}/kdtree",
    ),
    "partition --table": lambda f: (
        *("command", "partition", "kdtree", "--max-count=5000", "--table", f"{f}/table.parquet"),
        *("--out", f"{f}/of-table"),
    ),
    "partition --splits": lambda f: (
        *("command", "partition", "kdtree", "--max-count=5000", "--cache", f"{f}/cache", "--out", f"{f}/of-train"),
        *("--splits", f"{f}/splits.json"),
    ),
}
"""Name of a stage -> the function of this file that runs in its process, and its arguments, in a work folder."""


def peak_mb(words: Sequence[str]) -> tuple[float, float]:
    """Return the peak memory in MB and the seconds of processor time of one process that runs a stage."""
    process = subprocess.Popen([sys.executable, __file__, "--run", *words], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(words)} failed.")
    return usage.ru_maxrss * 1024 / 1e6, usage.ru_utime + usage.ru_stime


def measure(rows: int, stages: Sequence[str], work: Path) -> Iterator[tuple[str, float, float]]:
    """Yield stages with their peak MB and seconds of processor time on a table of `rows` views."""
    folder = work / str(rows)
    folder.mkdir()
    for suffix in ("parquet", "csv"):
        if suffix == "parquet" or any(stage.endswith("CSV") for stage in stages):
            make_table(folder / f"table.{suffix}", rows)
    for name in stages:
        yield name, *peak_mb(STAGES[name](folder))


def main() -> None:
    """Measure, and write the rows beside those of other states."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--run", nargs=argparse.REMAINDER, help="a stage: what a process of its own does")
    parser.add_argument("--label", default="row groups", help="which state of the code is measured")
    parser.add_argument("--rows", type=int, nargs="+", help="sizes of the tables")
    parser.add_argument("--stages", nargs="+", choices=list(STAGES), default=list(STAGES))
    parser.add_argument("--quick", action="store_true", help="100,000 rows; writes no file")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    flags = parser.parse_args()
    if flags.run:
        globals()[flags.run[0]](*flags.run[1:])
        return
    where = conditions("numpy", "pandas", "pyarrow")
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as name:
        small = {stage: peak for stage, peak, _ in measure(SMALL, flags.stages, Path(name))}
        for rows in flags.rows or (QUICK_SIZES if flags.quick else SIZES):
            for stage, peak, seconds in measure(rows, flags.stages, Path(name)):
                each = (peak - small[stage]) * 1e6 / (rows - SMALL)
                values = {"peak_mb": f"{peak:.0f}", "mb_per_million": f"{each:.0f}", "cpu_s": f"{seconds:.1f}"}
                found.append({"state": flags.label, "stage": stage, "rows": str(rows), **values, **where})
                print("  ".join(f"{k}={v}" for k, v in found[-1].items() if k not in where), file=sys.stderr)
                if not flags.quick:
                    _write(found)
    if flags.json:
        print(json.dumps({f"{row['stage']}, {row['rows']} rows": float(row["mb_per_million"]) for row in found}))


def _write(found: Sequence[dict[str, Any]]) -> None:
    path = RESULTS / f"{NAME}.csv"
    kept: list[dict[str, Any]] = []
    if path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            kept = list(csv.DictReader(file))
    new = {tuple(row[key] for key in KEYS) for row in found}
    rows = [row for row in kept if tuple(row[key] for key in KEYS) not in new] + list(found)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
