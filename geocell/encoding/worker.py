"""Worker processes: they read references, write pixels into shared memory and answer with problems.

A worker is started as a program rather than by `multiprocessing`, so that a script that calls `encode` needs no
`if __name__ == "__main__"`. It ends with its parent process, even while decoding.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import pickle
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import warnings
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from geocell.files import TooManyOpenError
from geocell.images.loading import Loader

_PROGRAM = "import sys; sys.path[:] = sys.argv[1:]; from geocell.encoding.worker import main; main()"
READY = "ready"
"""Answer of a process that is ready to decode."""


class WorkerProcess:
    """A worker process, seen from its parent."""

    def __init__(self, loader: Loader, memory: int, size: int) -> None:
        """Start it.

        Args:
            loader: loads the pixels of references.
            memory: descriptor of the file behind the shared slots.
            size: bytes of it.
        """
        self._process = subprocess.Popen(  # noqa: S603 - this very interpreter
            [sys.executable, "-c", _PROGRAM, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # warnings of C libraries about images whose problems are recorded anyway
            pass_fds=(memory,),
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        self._setup = {"loader": pickle.dumps(loader), "memory": memory, "bytes": size}

    def greet(self) -> str:
        """Wait until it can decode and return READY, or why it can't; raises as `ask` does."""
        return self.ask(self._setup)

    def ask(self, job: object) -> str:
        """Send a job and return its problem.

        Raises:
            EOFError, OSError: when the process dies.
            TooManyOpenError: when it could not open an image for the number of open files.
        """
        jobs, answers = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stdout)
        _send(jobs, job)
        answer: str | TooManyOpenError = pickle.load(answers)  # noqa: S301 - our own worker
        if isinstance(answer, TooManyOpenError):
            raise answer
        return answer

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()

    def wait(self) -> int | None:
        """Return its exit status; None while it is blocked in the kernel, where it cannot write pixels."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(1)
        return None

    def close(self) -> None:
        """Kill it and close its pipes."""
        self.kill()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                cast("IO[bytes]", stream).close()
        self.wait()


def shared_file(size: int) -> IO[bytes]:
    """Return a nameless file of `size` bytes, in memory where there is room; it is freed with its last process."""
    memory = Path("/dev/shm")  # noqa: S108 - never a name in it
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 2 * size
    file = tempfile.TemporaryFile(dir=memory if roomy else None)  # noqa: SIM115 - closed with the pool
    file.truncate(size)
    return file


def main() -> None:
    """Serve jobs `(slot, reference)` from standard input until it closes."""
    warnings.simplefilter("ignore")  # problems are answers here
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # which are for the process that started this one
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # library output must not mix with the answers
    jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin.buffer, jobs), daemon=True).start()
    setup = jobs.get()
    try:
        loader = pickle.loads(setup["loader"])  # noqa: S301 - made by the process that started this one
    except Exception as error:
        _send(answers, f"{type(error).__name__}: {error}")
        return
    memory = mmap.mmap(setup["memory"], setup["bytes"])
    slots = np.frombuffer(memory, dtype=loader.dtype).reshape(-1, *loader.shape)
    _send(answers, READY)
    while True:
        slot, reference = jobs.get()
        try:
            pixels, problem = loader(reference)
        except TooManyOpenError as error:
            _send(answers, error)
            continue
        if pixels is not None:
            slots[slot] = pixels
        _send(answers, problem)


def _read(stream: IO[bytes], jobs: queue.SimpleQueue[Any]) -> None:
    """Queue jobs; exit at once when the parent is gone, even while an image hangs."""
    try:
        while True:
            jobs.put(pickle.load(stream))  # noqa: S301 - as above
    finally:  # at the end of the stream, and after half of a job, which a parent that is killed may leave
        os._exit(0)


def _send(stream: IO[bytes], value: object) -> None:
    pickle.dump(value, stream)
    stream.flush()
