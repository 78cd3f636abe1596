"""Worker processes."""

import mmap
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from geocell.encoding.worker import _PROGRAM, READY, WorkerProcess, shared_file
from geocell.images.loading import Loader
from geocell.images.sources import FileImages
from tests.encoding.tiny import SMALL, Trapped, noise


def _wait_gone(pid: int) -> None:
    while True:
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except OSError:
            return
        if state == "Z":
            return
        threading.Event().wait(0.02)


def test_workers_end_with_a_process_that_is_killed(tmp_path: Path) -> None:
    """Even one that hangs in an image: its end of the pipe closes."""
    os.mkfifo(tmp_path / "0.png")
    script = (
        "import sys\n"
        "from geocell.images.loading import Loader\n"
        "from geocell.images.sources import FileImages\n"
        "from geocell.encoding.decode_pool import Batch, DecodePool\n"
        "from tests.encoding.tiny import SMALL\n"
        "loader = Loader.from_probe(FileImages(sys.argv[1]), SMALL)\n"
        "pool = DecodePool(loader, workers=1, batch_size=1, image_timeout=1e9)\n"
        "pool._dispatch(Batch(0, 0, ['0.png'], {}, 1))\n"
        "while not (pool._lanes[0].job and pool._lanes[0].process): pass\n"
        "print(pool._lanes[0].process._process.pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    reader = os.open(tmp_path / "0.png", os.O_RDWR)  # the worker has opened the pipe now, and waits for its bytes
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    _wait_gone(worker)
    os.close(reader)


def test_a_worker_ends_with_a_parent_that_is_killed_as_it_sends() -> None:
    command = [sys.executable, "-c", _PROGRAM, *sys.path]
    half = pickle.dumps({"loader": b"half of it"})[:-4]
    assert subprocess.run(command, input=half, stdout=subprocess.PIPE, timeout=60, check=True).stdout == b""


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[tuple[WorkerProcess, np.ndarray]]:
    """A process that is ready, and its two slots."""
    noise(seed=1).save(tmp_path / "a.png")
    loader = Loader.from_probe(FileImages(str(tmp_path)), Trapped())
    size = 2 * int(np.prod(loader.shape))
    with shared_file(size) as file:
        process = WorkerProcess(loader, file.fileno(), size)
        assert process.greet() == READY
        memory = mmap.mmap(file.fileno(), size)
        yield process, np.frombuffer(memory, loader.dtype).reshape(2, *loader.shape)
        process.close()


def test_pixels_come_through_shared_memory_and_problems_as_answers(
    worker: tuple[WorkerProcess, np.ndarray], tmp_path: Path
) -> None:
    process, slots = worker
    assert process.ask((1, "a.png")) == ""
    np.testing.assert_array_equal(slots[1], SMALL(noise(seed=1)))
    assert not slots[0].any()
    assert process.ask((0, "gone.png")) == "no such file"
    assert not slots[0].any()
    (tmp_path / "b.png").write_bytes(b"")
    assert process.ask((0, "b.png")).startswith("cannot identify image file")
    assert process.ask((0, "a.png")) == ""
    np.testing.assert_array_equal(slots[0], slots[1])


def test_a_process_that_dies_in_an_image_is_an_error_of_that_job(
    worker: tuple[WorkerProcess, np.ndarray], tmp_path: Path
) -> None:
    process, _ = worker
    noise(Trapped.kills).save(tmp_path / "b.png")
    with pytest.raises((EOFError, OSError)):
        process.ask((0, "b.png"))
    assert process.wait() == 9


def test_a_closed_process_is_gone(worker: tuple[WorkerProcess, np.ndarray]) -> None:
    process, _ = worker
    process.close()
    assert process.wait() == -signal.SIGKILL
    with pytest.raises((EOFError, OSError, ValueError)):
        process.ask((0, "a.png"))


def test_shared_memory_has_its_size_and_no_name() -> None:
    with shared_file(12_345) as file:
        found = os.fstat(file.fileno())
        assert (found.st_size, found.st_nlink) == (12_345, 0)
