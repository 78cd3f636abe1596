"""Read mutated files by every reader of the library: `python -m fuzz`.

What counts as a finding: an exception that is none of the library's own clean errors, a message that is not one line of
at most 1,000 characters, more than 10 seconds, more than 2 GB, the end of the process, and anything written or called
outside of the folder that is read.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from pathlib import Path

DEFAULT_MINUTES = 60.0


def main() -> int:
    """Run, and return 1 where there is a finding, 2 where the harness itself failed."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")  # before numpy: each process has one core
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # whose failures are seen where they happen
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from fuzz.inputs import read_finding
    from fuzz.runner import Result, replay, run
    from fuzz.targets import TARGETS
    from geocell.compute.cores import usable_cores

    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=DEFAULT_MINUTES, help="of the whole run (60)")
    parser.add_argument("--targets", default="", help="names separated by commas, a* for those that begin so; all")
    parser.add_argument("--seed", type=int, default=0, help="of all inputs (0)")
    parser.add_argument(
        "--jobs", type=int, default=min(2, usable_cores()), help="processes (2, or the cores there are)"
    )
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"), help="folder that findings go into")
    parser.add_argument("--replay", type=Path, nargs="+", help="files of findings to read once more")
    parser.add_argument("--csv", type=Path, help="file for one row per target, with the conditions")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    flags = parser.parse_args()
    findings = flags.findings.absolute()
    if flags.replay:
        clean = replay([read_finding(path) for path in flags.replay], findings)
        print(f"no finding in {len(flags.replay)} files" if clean else f"there are findings, see {flags.findings}")
        return int(not clean)
    names = _chosen(flags.targets, list(TARGETS))
    progress = sys.stderr if flags.json else sys.stdout

    def tell(result: Result) -> None:
        found = f"{len(result.findings)} findings ({result.faults:,} inputs)" if result.faults else "0 findings"
        if result.failed:
            print(f"{result.target} could not be tried:\n{result.failed}", file=sys.stderr)
        counts = f"{result.inputs:9,} inputs  {result.accepted:9,} accepted  {result.rate:8,.0f}/s"
        print(f"{result.target:26} {counts}  {found}", file=progress, flush=True)

    results = sorted(run(names, 60 * flags.minutes, flags.seed, flags.jobs, findings, tell), key=lambda r: r.target)
    inputs, found = sum(r.inputs for r in results), sum(len(r.findings) for r in results)
    rows = [
        {
            "target": r.target, "inputs": r.inputs, "accepted": r.accepted, "inputs_per_s": round(r.rate, 1),
            "findings": len(r.findings), "seconds": round(r.seconds, 1), "seed": flags.seed, "jobs": flags.jobs,
            **_conditions(),
        }
        for r in results
    ]  # fmt: skip
    if flags.csv:
        with flags.csv.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    if flags.json:
        print(json.dumps({"inputs": inputs, "findings": found, "targets": rows}, indent=1))
    else:
        print(f"{inputs:,} inputs, {found} findings{f' in {flags.findings}' if found else ''}")
    return 2 if any(r.failed for r in results) else int(found > 0)


def _chosen(text: str, known: list[str]) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    chosen = [k for name in names for k in known if k == name or (name.endswith("*") and k.startswith(name[:-1]))]
    if names and not chosen:
        raise SystemExit(f"--targets must be among {', '.join(known)}, got {text}.")
    return list(dict.fromkeys(chosen)) or known


def _conditions() -> dict[str, str]:
    from benchmarks.common import conditions

    return conditions("numpy", "pyarrow", "pillow", "safetensors", "pandas", "shapely")


if __name__ == "__main__":
    sys.exit(main())
