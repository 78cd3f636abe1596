"""Commands that are killed, interrupted, out of room or run twice at once: what is lost, left and locked.

Run: python -m benchmarks.kills [--only encode,fit-head] [--scenarios SIGKILL] [--kills 20] [--quick] [--json]

A whole run of a command is the reference. Then it is started again and again, and killed: before an operation on files
that is drawn among all of them, or after a time that is drawn up to the reference's. At once, results must be as before
or whole, and readable; after one more run of the command every file must have the reference's bytes, and nothing else
may be there. With --only or --scenarios the other rows of the table stay as they are.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS, Flags, conditions, finish, read_results, write_results
from benchmarks.kill_cases import CASES, Case
from benchmarks.kill_lab import Lab, Outcome, laboratory
from benchmarks.kill_scenarios import SCENARIOS, can_mount

SEED = 20_261_130
CHECKS = ("sentence", "processes", "old result", "next run", "locks", "leftovers", "same bytes")
_RUNS = {
    "SIGKILL": 20, "SIGINT": 6, "SIGTERM": 6, "disk full": 36, "read-only disk": 0, "other user": 0, "two at once": 4,
    "replaced while read": 4,
}  # fmt: skip
"""Scenario -> runs of each command; 0 is one of each state in which it is started."""
_DISKS = ("disk full", "read-only disk")


def run_case(lab: Lab, case: Case, scenario: str, runs: int) -> tuple[dict[str, Any], list[str]]:
    """Run a command in a scenario; return its row of the table and what was found.

    Kills that come too late are drawn again, twice as often as asked for at most.
    """
    began, made, failed, found = time.monotonic(), 0, Counter[str](), list[str]()
    runs = runs or len(case.variants)
    tries = 2 * runs if scenario == "SIGKILL" else runs
    for number in range(tries):
        if made == runs:
            break
        outcome = SCENARIOS[scenario](lab, case, number, SEED)
        if outcome is None:
            continue
        made += scenario != "SIGKILL" or outcome.ended.status == -9
        failed.update(name for name, passed in outcome.checks.items() if not passed)
        found += [f"{scenario}, {case.name}, {number}: {text}" for text in outcome.findings]
        for text in outcome.findings:
            print(f"{scenario}, {case.name}, {number}: {text}", file=sys.stderr)
    row: dict[str, Any] = {"scenario": scenario, "command": case.name, "states": len(case.variants), "runs": made}
    row |= {name.replace(" ", "_"): failed[name] for name in CHECKS}
    row |= {"findings": len(found), "seconds": f"{time.monotonic() - began:.0f}", "seed": SEED}
    return row, found


def _merged(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return rows with those of the table that were not measured now, in the order of scenarios and commands."""
    old = read_results("kills") if (RESULTS / "kills.csv").is_file() else []
    by_key = {(row["scenario"], row["command"]): row for row in [*old, *rows]}
    order = [(scenario, case.name) for scenario in SCENARIOS for case in CASES]
    return [by_key[key] for key in order if key in by_key]


def main() -> int:
    """Run the scenarios; the exit status is 1 when there is a finding."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="commands, separated by commas")
    parser.add_argument("--scenarios", default="", help=f"some of: {', '.join(SCENARIOS)}")
    parser.add_argument("--kills", type=int, help="runs of each command in each scenario")
    parser.add_argument("--quick", action="store_true", help="one kill of three commands; writes no file")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    values = parser.parse_args()
    names = [name for name in values.only.split(",") if name] or (
        ["partition", "split", "cache import"] if values.quick else [case.name for case in CASES]
    )
    cases = [case for case in CASES if case.name in names]
    scenarios = [name for name in values.scenarios.split(",") if name] or (
        ["SIGKILL"] if values.quick else list(SCENARIOS)
    )
    unknown = ({*names} - {case.name for case in CASES}) | ({*scenarios} - SCENARIOS.keys())
    if unknown:
        parser.error(f"no such command or scenario: {', '.join(sorted(unknown))}")
    rows, found = [], list[str]()
    folder = Path(tempfile.mkdtemp(prefix="geocell-kills-"))
    try:
        with laboratory(folder) as lab:
            for scenario in scenarios:
                if scenario in _DISKS and not can_mount():
                    print(f"{scenario}: left out, since this user may not mount a disk in memory", file=sys.stderr)
                    continue
                for case in cases:
                    if scenario == "replaced while read" and case.replacement is None:
                        continue
                    runs = values.kills or (1 if values.quick else _RUNS[scenario])
                    row, findings = run_case(lab, case, scenario, runs)
                    print(f"{scenario}, {case.name}: {row['runs']} runs, {row['findings']} findings", file=sys.stderr)
                    rows.append({**row, **conditions("torch", "filelock")})
                    found += findings
                    if not values.quick:  # a run of all takes long
                        write_results("kills", _merged(rows))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    summary = {"runs": sum(int(row["runs"]) for row in rows), "findings": found}
    finish("kills", rows if values.quick else _merged(rows), summary, Flags(values.quick, values.json))
    return int(bool(found))


__all__ = ["CASES", "Outcome", "main", "run_case"]

if __name__ == "__main__":
    sys.exit(main())
