"""Sweeps that are killed: no process outlives them, and the next run takes over without a flag."""

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from geocell.files import folder_lock
from geocell.heads.head import Head
from geocell.sweeps import workers
from geocell.sweeps.results import SweepResult
from geocell.training.fit import fit_head
from tests.sweeps.sweep_worlds import ONE, run, weights

linux = pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for processes by pidfd_open (Linux)")

DEADLINE = 240.0
"""Seconds after which what is waited for counts as something that never happens."""

# A file, since the processes of the pool run it too: what it changes, it changes for them.
SCRIPT = """
import os, sys, threading
from pathlib import Path
import safetensors.torch
from geocell.cli import main
from geocell.compute import parent_process

world, out, events, how = Path(sys.argv[1]), *map(Path, sys.argv[2:4]), sys.argv[4]
save_file = safetensors.torch.save_file

def save_or_hang(tensors, path):
    if "seed1" in str(path):  # the fits of seed 0 end, so that there is something to keep
        (events / str(os.getpid())).touch()
        threading.Event().wait()
    save_file(tensors, path)

safetensors.torch.save_file = save_or_hang
if how == "portable":
    parent_process._signal_at_parent_death = lambda: None

if __name__ == "__main__":
    of_world = ["--cache", world / "cache", "--splits", world / "splits.json", "--out", out]
    sys.exit(main(["sweep", *map(str, [world / "sweep.toml", *of_world]), "--jobs", "2", "--device", "cpu"]))
"""


def of_session(session: int) -> list[int]:
    """Return the processes of a session that have not ended."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, *_, sid = (folder / "stat").read_text().rpartition(") ")[2].split()[:4]
            if int(sid) == session and state != "Z":
                found.append(int(folder.name))
    return found


def killed_sweep(world: Path, folder: Path, number: signal.Signals, how: str) -> tuple[list[int], int, str]:
    """Run a sweep, and kill it while both of its processes write a head.

    Returns:
        The pidfds of all its processes, its exit status and its standard error.
    """
    (folder / "script.py").write_text(SCRIPT)
    (folder / "events").mkdir()
    command = [sys.executable, folder / "script.py", world, folder / "out", folder / "events", how]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with (
        (folder / "stderr").open("w+") as stderr,
        subprocess.Popen(command, env=environment, start_new_session=True, stderr=stderr) as parent,
    ):
        began = time.monotonic()
        while len(list((folder / "events").iterdir())) < 2:
            assert parent.poll() is None
            assert time.monotonic() - began < DEADLINE
            time.sleep(0.02)
        handles = [os.pidfd_open(pid) for pid in of_session(parent.pid)]
        assert len(handles) > 2
        if number == signal.SIGINT:
            os.killpg(parent.pid, number)  # as a terminal does
        else:
            parent.send_signal(number)
        status = parent.wait(DEADLINE)
        return handles, status, (folder / "stderr").read_text()


@linux
@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "how"),
    [
        (signal.SIGKILL, "linux"),
        (signal.SIGKILL, "portable"),
        (signal.SIGTERM, "linux"),
        (signal.SIGHUP, "linux"),
        (signal.SIGINT, "linux"),
    ],
)
def test_a_killed_sweep_leaves_no_process_and_is_taken_over(
    world: Path, done: SweepResult, tmp_path: Path, number: signal.Signals, how: str
) -> None:
    with ExitStack() as stack:
        handles, status, stderr = killed_sweep(world, tmp_path, number, how)
        for handle in handles:
            stack.callback(os.close, handle)
            stack.callback(kill, handle)
            assert select.select([handle], [], [], DEADLINE)[0], "a process outlived its sweep"
    assert status == (-number if number == signal.SIGKILL else 128 + number)
    assert "Traceback" not in stderr
    out = tmp_path / "out"
    assert set(weights(out)) == {"coarse-ce-seed0", "fine-ce-seed0"}
    assert list(out.rglob(".*")) != []
    result = run(world, out)
    assert result.failed == {}
    assert weights(out) == weights(done.out)
    assert list(tmp_path.rglob(".*")) == []  # neither locks nor what the killed processes wrote


def kill(handle: int) -> None:
    with suppress(ProcessLookupError):
        signal.pidfd_send_signal(handle, signal.SIGKILL)


def test_a_head_that_appears_meanwhile_is_no_failure(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def twice(*args: object, **kwargs: object) -> Head:
        head = fit_head(*args, **kwargs)  # type: ignore[arg-type]
        head.save(tmp_path / "out" / "heads" / "coarse-ce-seed0")  # as a process of a killed sweep would
        return head

    monkeypatch.setattr(workers, "fit_head", twice)
    (world / "one.toml").write_text('[sweep]\npartitions = ["coarse"]\n[fit]\nepochs = 1\n[configs.ce]\n')
    result = run(world, tmp_path / "out", recipe="one.toml")
    assert result.failed == {}
    assert result.finished["coarse-ce-seed0"]["split"] == "test"


def test_two_sweeps_do_not_share_a_folder(world: Path, tmp_path: Path) -> None:
    with (
        folder_lock(tmp_path / "out"),
        pytest.raises(FileExistsError, match=r"another process is writing .*out: wait .* or name another --out"),
    ):
        run(world, tmp_path / "out", ONE)
    assert not (tmp_path / "out").exists()
