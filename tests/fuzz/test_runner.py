"""What ends a process that reads is seen by the one that watches, and named with its input."""

import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from fuzz.runner import _end

STACK = 'Current thread:\n  File "/a/geocell/partitioners/cells.py", line 3 in read_cells\n  File "/a/fuzz/worker.py"\n'


@dataclass
class Ended:
    """A process, as far as it is asked."""

    exitcode: int | None
    killed: bool = False

    def is_alive(self) -> bool:
        return self.exitcode is None

    def terminate(self) -> None:
        self.killed = True

    def kill(self) -> None:
        self.killed = True

    def join(self, _timeout: float | None = None) -> None:
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


ROOT = Path(__file__).parents[2]


def fuzz(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "fuzz", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


@pytest.mark.slow
def test_a_run_reads_inputs_and_tells_how_many(tmp_path: Path) -> None:
    ended = fuzz("--minutes", "0.1", "--targets", "recipe-boxes", "--json", "--findings", str(tmp_path / "findings"))
    found = json.loads(ended.stdout)
    assert (ended.returncode, found["findings"]) == (0, 0)
    assert found["inputs"] == found["targets"][0]["inputs"] > 0
    assert not (tmp_path / "findings").exists()


@pytest.mark.slow
def test_what_was_mended_stays_mended(tmp_path: Path) -> None:
    corpus = [str(path) for path in sorted((ROOT / "fuzz" / "corpus").glob("*.json"))]
    assert corpus
    ended = fuzz("--replay", *corpus, "--findings", str(tmp_path))
    assert ended.returncode == 0, [path.read_text()[:500] for path in tmp_path.iterdir()]
