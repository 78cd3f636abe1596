"""What ends a process that reads is seen by the one that watches, and named with its input."""

import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from fuzz.inputs import Input, read_finding
from fuzz.runner import _end, replay, run

STACK = 'Current thread:\n  File "/a/geocell/partitioners/cells.py", line 3 in read_cells\n  File "/a/fuzz/worker.py"\n'


@dataclass
class Ended:
    """A process, as far as it is asked."""

    exitcode: int | None
    killed: bool = False

    def is_alive(self) -> bool:
        return self.exitcode is None

    def kill(self) -> None:
        self.killed = True

    def join(self) -> None:
        self.exitcode = -signal.SIGKILL


@pytest.mark.parametrize(
    ("exitcode", "kind"),
    [(-signal.SIGSEGV, "crash"), (-signal.SIGXCPU, "hang"), (-signal.SIGABRT, "crash"), (3, "crash")],
)
def test_an_end_is_a_finding_with_the_place_where_it_was(tmp_path: Path, exitcode: int, kind: str) -> None:
    (tmp_path / "stack.txt").write_text(STACK)
    fault = _end(Ended(exitcode), tmp_path)
    assert fault is not None
    assert (fault.kind, fault.where) == (kind, 'partitioners/cells.py", line 3 in read_cells')


def test_the_usual_end_is_none_and_one_that_waits_is_killed(tmp_path: Path) -> None:
    assert _end(Ended(0), tmp_path) is None
    waits = Ended(None)
    fault = _end(waits, tmp_path)
    assert fault is not None
    assert (fault.kind, waits.killed) == ("hang", True)


LIMITED = """
import sys
from fuzz import guard
guard.MAX_SECONDS = 0
log = open(sys.argv[1], "w")
guard.limit_process(log)
try:
    bytearray(3 << 30)
except MemoryError:
    print("bounded", flush=True)
def spins():
    while True:
        pass
guard.limit_input()
spins()
"""


@pytest.mark.slow
def test_a_process_is_bounded_in_memory_and_time(tmp_path: Path) -> None:
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "stack.txt")]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False)
    assert ended.stdout == "bounded\n"
    assert ended.returncode == -signal.SIGXCPU
    assert "in spins" in (tmp_path / "stack.txt").read_text()


@pytest.mark.slow
def test_a_run_reads_inputs_and_replay_reads_one_again(tmp_path: Path) -> None:
    (result,) = run(["splits"], 2, 0, 1, tmp_path / "findings", lambda _: None)
    assert result.inputs > 10
    assert (result.findings, result.failed) == ([], "")
    assert replay([Input("splits", 0, 0, {}), Input("splits", 0, 1, {"splits.json": b"{"})], tmp_path / "findings")
    refused = Input("recipe-boxes", 0, 1, {"recipe.toml": None})
    assert replay([refused], tmp_path / "findings")  # a file that lacks is refused by a sentence
    assert not (tmp_path / "findings").exists() or not [read_finding(p) for p in (tmp_path / "findings").iterdir()]
