"""What every benchmark shares: its flags, the conditions it ran under, its CSV, and the shared data folder."""

from __future__ import annotations

import argparse
import csv
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from geocell.compute.cores import usable_cores

RESULTS = Path(__file__).parent / "results"
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@dataclass(frozen=True)
class Flags:
    """Flags of a benchmark.

    Attributes:
        quick: under 50 s, writes no file.
        json: one object on standard output.
        again: the table is made of kept distances, and nothing is fitted.
    """

    quick: bool
    json: bool
    again: bool = False


def parse_flags(description: str, *, keeps: bool = False) -> Flags:
    """Read --quick, --json and, of a benchmark that keeps its distances, --again."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--quick", action="store_true", help="under 50 s; writes no file")
    parser.add_argument("--json", action="store_true", help="print one JSON object with the ratios")
    if keeps:
        parser.add_argument("--again", action="store_true", help="make the table of the kept distances; fits nothing")
    values = parser.parse_args()
    return Flags(values.quick, values.json, keeps and values.again)


def shared_data() -> Path:
    """Return the shared data folder beside the checkout, or leave with the reason."""
    if not SHARED.is_dir():
        raise SystemExit("this benchmark needs the shared data folder beside the checkout, and it is not there.")
    return SHARED


def conditions(*packages: str) -> dict[str, str]:
    """Return the machine and the versions that a measurement depends on."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _cpuinfo() if line.startswith("model name")), platform.machine()
    )
    return {
        "cpu": model,
        "cores": str(usable_cores()),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def write_results(name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write results/NAME.csv."""
    with (RESULTS / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def finish(name: str, rows: Sequence[Mapping[str, Any]], summary: Mapping[str, Any], flags: Flags) -> None:
    """Write results/NAME.csv unless quick, and print the rows, or the summary as JSON."""
    if not flags.quick:
        write_results(name, rows)
    if flags.json:
        print(json.dumps(summary, indent=1))
    else:
        for row in rows:
            print("  ".join(f"{key}={value}" for key, value in row.items()))


def read_results(name: str) -> list[dict[str, str]]:
    """Return the rows of results/NAME.csv."""
    with (RESULTS / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
