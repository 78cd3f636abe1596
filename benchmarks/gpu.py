"""What everything with a CUDA path takes on a graphics card, and whether its tests pass there.

Each piece is a process of its own with its own limit of time; what is done is written at once, so that a piece that
fails or hangs costs itself alone. All of them take at most ten minutes. Features and the weights of towers are random.

Run: python -m benchmarks.gpu --out DIR [--device cuda|cpu] [--quick] [--only PIECE …]
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import gpu_pieces as pieces
from benchmarks.common import conditions
from benchmarks.gpu_pieces import Found, Setting

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Goal:
    """What a measured number is held against.

    Attributes:
        most: the greatest that is good; None where there is a least.
        least: the least that is good.
    """

    most: float | None = None
    least: float | None = None

    def reached(self, value: float) -> bool:
        """Return whether a number is good."""
        return (self.most is None or value <= self.most) and (self.least is None or value >= self.least)

    def __str__(self) -> str:
        """Return `<= 20` or `>= 0.45`."""
        return f"<= {self.most:g}" if self.most is not None else f">= {self.least:g}"


GOALS: Mapping[tuple[str, str], Goal] = {
    ("encode", "share_of_gemm"): Goal(least=0.45),
    ("fit", "seconds"): Goal(most=20),
    ("rows", "seconds"): Goal(most=180),
    ("tests", "failed"): Goal(most=0),
}
"""(piece, what) -> its goal, on one card."""


PIECES: Mapping[str, tuple[Callable[[Setting], Found], int]] = {
    "tests": (pieces.tests, 90),
    "encode": (pieces.encode, 150),
    "fit": (pieces.fit, 60),
    "rows": (pieces.rows, 200),
    "score": (pieces.score, 30),
    "decode": (pieces.decode, 60),
    "calibrate": (pieces.calibrate, 30),
    "pretrain": (pieces.pretrain, 60),
}
"""Name -> the piece and the seconds that it may take; what matters most comes first."""
LIMIT = 600


def run_piece(name: str, setting: Setting, limit: float, log: Path) -> tuple[Found, str]:
    """Run a piece as a process; return what it found, and why it found nothing."""
    command = [sys.executable, "-m", "benchmarks.gpu", "--piece", name, "--device", setting.device]
    command += ["--quick"] if setting.quick else []
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired as error:
        parts = (part if isinstance(part, bytes) else str(part or "").encode() for part in (error.stdout, error.stderr))
        log.write_bytes(b"\n".join(parts))
        return {}, f"more than {limit:.0f} s"
    log.write_text(f"{done.stdout}\n{done.stderr}", encoding="utf-8")
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        return {}, lines[-1] if lines else f"exit status {done.returncode}"
    found: Found = json.loads(done.stdout.strip().splitlines()[-1])
    return found, ""


def lines_of(piece: str, found: Found, problem: str, seconds: float, held: bool = True) -> list[dict[str, str]]:
    """Return a row of the table per number, held against its goal where it has one."""
    common = {"piece": piece, "problem": problem, "piece_s": f"{seconds:.1f}"}
    if problem:
        return [{**common, "what": "", "value": "", "goal": "", "reached": "no"}]
    made = []
    for what, value in found.items():
        goal = GOALS.get((piece, what)) if held else None
        reached = "" if goal is None else "yes" if goal.reached(value) else "no"
        made.append({**common, "what": what, "value": f"{value:.4g}", "goal": str(goal or ""), "reached": reached})
    return made


def write(path: Path, lines: Sequence[Mapping[str, str]], about: Mapping[str, str]) -> None:
    """Write the table as it is so far."""
    columns = ["piece", "what", "value", "goal", "reached", "problem", "piece_s", *about]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows([{**line, **about} for line in lines])


def card(device: str) -> str:
    """Return the name of the device, or leave with the reason why there is none."""
    import torch

    if not device.startswith("cuda"):
        return device
    if not torch.cuda.is_available():
        raise SystemExit("benchmarks.gpu needs a CUDA card, and torch sees none: --device cpu --quick tries its logic.")
    return torch.cuda.get_device_name(device)


def main(argv: Sequence[str] | None = None) -> int:
    """Run all pieces, or the one that a process is for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--out", type=Path, help="folder of gpu.csv and of a log per piece")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="sizes for a CPU, to try the logic")
    parser.add_argument("--only", nargs="*", choices=list(PIECES), help="some pieces alone")
    parser.add_argument("--piece", choices=list(PIECES), help=argparse.SUPPRESS)
    values = parser.parse_args(argv)
    setting = Setting(values.device, values.quick)
    if values.piece:
        print(json.dumps(dict(PIECES[values.piece][0](setting))))
        return 0
    if values.out is None:
        parser.error("--out is needed: the folder of the results.")
    about = {
        "device": card(setting.device),
        "quick": str(setting.quick),
        **conditions("torch", "transformers", "numpy"),
    }
    values.out.mkdir(parents=True, exist_ok=True)
    lines: list[dict[str, str]] = []
    begun = time.monotonic()
    for piece in values.only or PIECES:
        start = time.monotonic()
        limit = min(PIECES[piece][1], LIMIT - (start - begun))
        found: Found = {}
        if limit < 1:
            problem = "no time was left"
        else:
            found, problem = run_piece(piece, setting, limit, values.out / f"{piece}.log")
        new = lines_of(piece, found, problem, time.monotonic() - start, held=not setting.quick)
        lines += new
        write(values.out / "gpu.csv", lines, about)
        for line in new:
            print("  ".join(f"{key}={value}" for key, value in line.items() if value), flush=True)
    return 1 if any(line["problem"] for line in lines) else 0


if __name__ == "__main__":
    sys.exit(main())
