"""Workers end with their parent: by the kernel's signal alone, and by the sentinel alone."""

import multiprocessing
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from geocell.compute.parent_process import end_with_parent

pytestmark = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for processes by pidfd_open (Linux)")

DEADLINE = 120.0
"""Seconds after which a process that should have ended counts as one that never will."""

SCRIPT = """
import multiprocessing, os, sys, threading
from geocell.compute import parent_process

if sys.argv[1] == "sentinel":
    parent_process._signal_at_parent_death = lambda: None
if sys.argv[1] == "signal":
    parent_process._exit_after_parent = lambda: None

def work(ready):
    parent_process.end_with_parent()
    ready.send(os.getpid())
    threading.Event().wait()

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    context.Process(target=work, args=(theirs,)).start()
    print(ours.recv(), flush=True)
    threading.Event().wait()
"""


def ended(pidfd: int) -> bool:
    """Wait until a process has ended, whosever child it is."""
    return bool(select.select([pidfd], [], [], DEADLINE)[0])


@pytest.mark.parametrize("how", ["signal", "sentinel", "both"])
def test_a_worker_ends_with_its_killed_parent(tmp_path: Path, how: str) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, tmp_path / "script.py", how], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout is not None
        worker = os.pidfd_open(int(parent.stdout.readline()))
        try:
            assert not select.select([worker], [], [], 0)[0]
            parent.send_signal(signal.SIGKILL)
            assert ended(worker)
        finally:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(worker, signal.SIGKILL)
            os.close(worker)


def test_a_process_without_such_a_parent_goes_on() -> None:
    assert multiprocessing.parent_process() is None
    end_with_parent()
