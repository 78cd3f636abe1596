"""Seconds of CPU and peak memory of every stage from 10,000 locations to 10 million, and how they grow.

Simulated features of street-view points, resampled with jitter as in `partition_speed`; one view per location. Every
stage is a whole command in a process of its own, start-up included, and its processor time and peak memory are those
that the system counted for this process. Rows are written as they come, so that an interrupted run goes on; a stage
whose inputs are not in the work folder makes them first.

Run: python -m benchmarks.scale [--sizes 10000 …] [--stages import …] [--dim 64] [--work DIR] [--again] [--quick]
[--json]
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import RESULTS, conditions

SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
DIM = 64
CELLS = 500
PIECE = 100_000  # rows of features that are made at a time
NEIGHBOURS_MOST = 100_000  # locations up to which the quadratic baseline is run: a million took over five minutes
PACKAGES = ("geocell-heads", "numpy", "scipy", "torch", "pandas", "pyarrow")
NAME = "scale"


@dataclass(frozen=True)
class Stage:
    """One command of the pipeline.

    Attributes:
        words: what is called after `python -m`, on the folder {f} with {n} locations, of which a cell of a tree has at
            most {most}.
        out: what it writes, below the folder; "" for nothing.
        needs: the stages whose outputs it reads.
        most: locations up to which it is run.
    """

    words: str
    out: str = ""
    needs: tuple[str, ...] = ()
    most: int = 1 << 40

    def command(self, folder: Path, n: int) -> list[str]:
        """Return the words of a run."""
        most = -(-n * 8 // (10 * CELLS))
        return [word.format(f=folder, n=n, most=most) for word in self.words.split()]


_CACHE = "--cache {f}/cache --splits {f}/splits.json --json"
_SPLIT = ("import", "split")
_FIT = f"geocell fit-head {_CACHE} --partition {{f}}/kdtree --epochs 1 --device cpu"
_TREE = (*_SPLIT, "kdtree")
_HEAD = (*_SPLIT, "head")

STAGES: dict[str, Stage] = {
    "data": Stage("benchmarks.scale --make {f} --sizes {n}", "table.parquet"),
    "import": Stage(
        "geocell cache import {f}/features.npy {f}/table.parquet --encoder simulated --out {f}/cache --json",
        "cache",
        ("data",),
    ),
    "split": Stage("geocell split {f}/cache --out {f}/splits.json --json", "splits.json", ("import",)),
    "h3": Stage(f"geocell partition h3 --resolution 3 --min-count 5 {_CACHE} --out {{f}}/h3", "h3", _SPLIT),
    "kmeans": Stage(f"geocell partition kmeans --k {CELLS} {_CACHE} --out {{f}}/kmeans", "kmeans", _SPLIT),
    "kdtree": Stage(f"geocell partition kdtree --max-count {{most}} {_CACHE} --out {{f}}/kdtree", "kdtree", _SPLIT),
    "s2": Stage(f"geocell partition s2 --max-count {{most}} --min-count 5 {_CACHE} --out {{f}}/s2", "s2", _SPLIT),
    "labels": Stage("benchmarks.scale --label {f}", "", _TREE),
    "head": Stage(f"{_FIT} --out {{f}}/head", "head", _TREE),
    "head --stream": Stage(f"{_FIT} --stream 50000 --out {{f}}/streamed", "streamed", _TREE),
    "score": Stage(f"geocell score {{f}}/head {_CACHE} --no-baselines --device cpu", "", _HEAD),
    "score beside 1-NN": Stage(f"geocell score {{f}}/head {_CACHE} --device cpu", "", _HEAD, NEIGHBOURS_MOST),
    "audit": Stage(f"geocell audit {{f}}/kdtree {_CACHE} --split test", "", _TREE),
    "calibrate": Stage(f"geocell calibrate {{f}}/head {_CACHE} --device cpu", "", _HEAD),
    "decode": Stage(f"geocell decode {{f}}/head {_CACHE} --split test --device cpu", "", _HEAD),
}
"""Name of a stage -> what is run, in the order of the pipeline."""

MEASURED = tuple(name for name in STAGES if name != "data")


def make(folder: Path, n: int, dim: int) -> None:
    """Write `features.npy`, random waves over the sphere with noise, and `table.parquet` with ids and degrees."""
    import pyarrow as pa
    from pyarrow import parquet

    from benchmarks.partition_speed import points
    from geocell.geo.geodesy import unit_vectors

    folder.mkdir(parents=True, exist_ok=True)
    latlon = points(n)
    rng = np.random.default_rng(1)
    waves, phases = rng.normal(0, 6, (3, dim)), rng.uniform(0, 2 * np.pi, dim)
    features = np.lib.format.open_memmap(folder / "features.npy", "w+", np.float16, (n, dim))
    schema = pa.schema([("location", pa.string()), ("lat", pa.float64()), ("lon", pa.float64())])
    with parquet.ParquetWriter(folder / ".table", schema) as writer:
        for first in range(0, n, PIECE):
            part = latlon[first : first + PIECE]
            values = np.cos(unit_vectors(part) @ waves + phases) + rng.normal(0, 1, (len(part), dim))
            features[first : first + PIECE] = values
            ids = [f"L{row:09d}" for row in range(first, first + len(part))]
            writer.write_table(pa.table([pa.array(ids), part[:, 0], part[:, 1]], schema))
    features.flush()
    (folder / ".table").replace(folder / "table.parquet")


def label(folder: Path) -> None:
    """Assign the training locations of a cache to the cells of the k-d tree."""
    from geocell.features import FeatureCache
    from geocell.partitioners.base import Partition
    from geocell.splits.splits import Splits

    locations = FeatureCache.open(folder / "cache").locations(in_memory=False)
    train = Splits.load(folder / "splits.json").select(locations, "train")
    partition = Partition.load(folder / "kdtree")
    print(np.bincount(partition.assign(train.latlon), minlength=len(partition)).max())


def measured(command: Sequence[str], log: Path) -> tuple[float, float]:
    """Run a command in a process of its own; return its seconds of CPU and its peak memory in MB.

    Raises:
        RuntimeError: when it fails, with the end of what it said.
    """
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    with log.open("wb") as output:
        found = subprocess.run(
            [sys.executable, "-S", "-c", _COUNT, sys.executable, "-m", *command],
            stdout=subprocess.PIPE,
            stderr=output,
            env=environment,
            check=True,
        )
    status, seconds, peak = json.loads(found.stdout)
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with {status}: {log.read_text()[-500:]}")
    return seconds, peak * 1024 / 1e6


_COUNT = """
import json, os, sys
child = os.fork()
if child == 0:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.execv(sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(child, 0)
print(json.dumps([os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss]))
"""
"""A small process between: the peak memory of a process is at least that of the one that it was forked from."""


@dataclass(frozen=True)
class Run:
    """One run of the benchmark.

    Attributes:
        work: folder of all sizes.
        dim: D.
    """

    work: Path
    dim: int

    def folder(self, n: int) -> Path:
        """Return where the files of a size are."""
        return self.work / f"{n}x{self.dim}"

    def stage(self, name: str, n: int) -> dict[str, Any]:
        """Run a stage, and before it those whose outputs are missing; return its row."""
        stage, folder = STAGES[name], self.folder(n)
        for needed in stage.needs:
            if not (folder / STAGES[needed].out).exists():
                self.stage(needed, n)
        folder.mkdir(parents=True, exist_ok=True)
        out = folder / stage.out
        if stage.out and out.is_dir():
            shutil.rmtree(out)
        elif stage.out:
            out.unlink(missing_ok=True)
        command = stage.command(folder, n)
        if name == "data":
            command += ["--dim", str(self.dim)]
        seconds, peak = measured(command, folder / "log")
        print(f"{name} of {n:,} x {self.dim}: {seconds:.1f} s of CPU, {peak:,.0f} MB", file=sys.stderr)
        return {"stage": name, "locations": n, "dim": self.dim, "cpu_s": f"{seconds:.3g}", "peak_mb": f"{peak:.0f}"}


def read_rows(path: Path) -> dict[tuple[str, int, int], dict[str, Any]]:
    """Return the rows that are there by stage, locations and D."""
    if not path.is_file():
        return {}
    with path.open(newline="", encoding="utf-8") as file:
        return {(row["stage"], int(row["locations"]), int(row["dim"])): row for row in csv.DictReader(file)}


def write_rows(path: Path, rows: Mapping[tuple[str, int, int], Mapping[str, Any]]) -> None:
    """Write all rows, in the order of the stages."""
    order = {name: place for place, name in enumerate(STAGES)}
    ordered = sorted(rows.items(), key=lambda item: (item[0][2] != DIM, order[item[0][0]], item[0][1]))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(ordered[0][1]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for _, row in ordered)


@dataclass(frozen=True)
class Growth:
    """How a stage grows: `start_s + seconds_per_location · n` where its exponent is near 1.

    Attributes:
        start_s: seconds of an empty run.
        exponent: of the rest, None where fewer than two sizes are known.
        largest: the most locations that were measured.
        largest_s: seconds at that.
        largest_mb: peak memory at that.
        mb_per_million: memory of a further million locations, None likewise.
    """

    start_s: float
    exponent: float | None
    largest: int
    largest_s: float
    largest_mb: float
    mb_per_million: float | None

    def seconds(self, n: int) -> float:
        """Return the seconds that the fit gives for n locations, above the largest that was measured."""
        work = max(self.largest_s - self.start_s, 0.0)
        return float(self.start_s + work * (n / self.largest) ** (1.0 if self.exponent is None else self.exponent))

    def megabytes(self, n: int) -> float:
        """Return the peak memory that the fit gives for n locations."""
        return self.largest_mb + (self.mb_per_million or 0.0) * (n - self.largest) / 1e6


def growth(sizes: Sequence[int], seconds: Sequence[float], megabytes: Sequence[float]) -> Growth:
    """Fit the growth of a stage.

    The start is the intercept of the line through the two smallest sizes. The exponent is the slope of log seconds,
    less the start, over log locations from 100,000 on, where a size weighs by the square of the share of its time that
    is not the start: so much less does its logarithm vary. Memory grows along the line through the two largest sizes.

    Args:
        sizes: ascending numbers of locations.
        seconds: of each.
        megabytes: of each.
    """
    n, t = np.asarray(sizes, dtype=np.float64), np.asarray(seconds, dtype=np.float64)
    if len(n) < 2:
        return Growth(0.0, None, int(n[-1]), float(t[-1]), float(megabytes[-1]), None)
    start = max(float(t[0] - n[0] * (t[1] - t[0]) / (n[1] - n[0])), 0.0)
    kept = (n >= 100_000) & (t > start)
    exponent = None
    if kept.sum() > 1:
        x, work = np.log(n[kept]), t[kept] - start
        exponent = _slope(x, np.log(work), (work / t[kept]) ** 2)
    slope = (megabytes[-1] - megabytes[-2]) / (n[-1] - n[-2]) * 1e6
    return Growth(start, exponent, int(n[-1]), float(t[-1]), float(megabytes[-1]), max(float(slope), 0.0))


def _slope(x: NDArray[np.float64], y: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    x, y = x - np.average(x, weights=weight), y - np.average(y, weights=weight)
    return float((weight * x * y).sum() / (weight * x * x).sum())


def growths(rows: Sequence[Mapping[str, Any]]) -> dict[str, Growth]:
    """Return stage -> growth, of rows of one D."""
    found = {}
    for name in MEASURED:
        mine = sorted((row for row in rows if row["stage"] == name), key=lambda row: int(row["locations"]))
        if mine:
            columns = ([int(r["locations"]) for r in mine], [float(r["cpu_s"]) for r in mine])
            found[name] = growth(*columns, [float(r["peak_mb"]) for r in mine])
    return found


def main() -> None:
    """Measure what is not in the table yet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of locations")
    parser.add_argument("--stages", nargs="+", choices=MEASURED, default=MEASURED)
    parser.add_argument("--dim", type=int, default=DIM, help="D of the features")
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "geocell-scale", help="kept files")
    parser.add_argument("--again", action="store_true", help="measure rows that are there too")
    parser.add_argument("--quick", action="store_true", help="under 50 s; writes no file")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--label", type=Path, help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.make is not None:
        make(flags.make, flags.sizes[0], flags.dim)
        return
    if flags.label is not None:
        label(flags.label)
        return
    path = RESULTS / f"{NAME}.csv"
    rows = {} if flags.quick else read_rows(path)
    with tempfile.TemporaryDirectory() as empty:
        run = Run(Path(empty) if flags.quick else flags.work, flags.dim)
        for n in (2_000,) if flags.quick else flags.sizes:
            for name in flags.stages:
                if n > STAGES[name].most or ((name, n, flags.dim) in rows and not flags.again):
                    continue
                rows[name, n, flags.dim] = {**run.stage(name, n), **conditions(*PACKAGES)}
                if not flags.quick:
                    write_rows(path, rows)
    found = growths([row for row in rows.values() if int(row["dim"]) == flags.dim])
    summary = {name: {"exponent": g.exponent, "start_s": g.start_s} for name, g in found.items()}
    if flags.json:
        print(json.dumps(summary, indent=1))
    else:
        for row in rows.values():
            print("  ".join(f"{key}={value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
