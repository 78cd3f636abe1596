"""A process that has imported everything, and forks a child for each command: no run of it pays for imports.

A child runs `geocell.cli.main` in a session of its own. It may be told to send itself a signal right before one of its
operations on files, so that a kill falls on the same instant in every run; `Commands` is the other end.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[1]
_LEFT_OUT = ("geocell.demo", "geocell.quickstart", "geocell.exporting", "geocell.__main__")
_HEAVY = (
    "cyclopts.completion", "cyclopts.completion.detect", "cyclopts.completion.install", "encodings.utf_8_sig", "h3",
    "huggingface_hub.hf_api", "matplotlib.backends.backend_agg", "matplotlib.pyplot",
    "pandas.core.arrays.arrow.extension_types", "pyarrow.pandas_compat", "pyarrow.parquet", "scipy.optimize",
    "scipy.spatial", "scipy.stats", "sklearn.cluster", "tests.encoding.tiny", "torch.distributed",
    "torch.nn.parallel.distributed", "transformers.models.clip.image_processing_pil_clip",
    "transformers.models.clip.modeling_clip", "transformers.models.clip.tokenization_clip",
)  # fmt: skip
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate"}


class Trap:
    """Counts the operations of this process that change files below a folder, and sends a signal before one of them."""

    def __init__(self, root: str, at: int, number: int, group: bool, reads: bool = False) -> None:
        """Count from 1; at 0 is none of them. With `reads`, files that are opened are counted instead."""
        self.count, self._root, self._at, self._number, self._group = 0, root, at, number, group
        self._pid, self._reads = os.getpid(), reads

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take an audit event (https://docs.python.org/3/library/audit_events.html)."""
        if self._reads:
            changes = event == "open"
        elif event == "open":
            changes = isinstance(arguments[2], int) and bool(arguments[2] & _WRITES)
        elif event == "ctypes.dlsym":  # the exchange of two names by renameat2(2)
            changes = arguments[1] == "renameat2"
        else:
            changes = event in _CHANGES
        if not changes or os.getpid() != self._pid or not self._inside(event, arguments[0]):
            return
        self.count += 1
        if self.count == self._at:
            if self._number == signal.SIGKILL and self._group:
                os.killpg(0, self._number)
            os.kill(self._pid, self._number)

    def _inside(self, event: str, path: object) -> bool:
        if event == "ctypes.dlsym":
            return True
        if not isinstance(path, str | bytes | os.PathLike):
            return False
        name = os.fsdecode(path)
        return name.startswith(self._root) or not name.startswith("/")


def _import_everything() -> None:
    import geocell

    for module in pkgutil.walk_packages(geocell.__path__, "geocell."):
        if not module.name.startswith(_LEFT_OUT):
            with suppress(ImportError):
                importlib.import_module(module.name)
    for name in _HEAVY:
        with suppress(ImportError):
            importlib.import_module(name)
    import torch

    torch.set_num_threads(1)  # a pool of threads would not survive the fork
    gc.collect()
    gc.freeze()  # a collection in a child must not copy every page


def _run(order: Mapping[str, Any]) -> int:
    """Run a command in a child of the server, and return its exit status."""
    os.setsid()
    for descriptor, name, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, order["stdout"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
        (2, order["stderr"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    ):
        opened = os.open(name, flags, 0o666)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    if order["user"]:
        os.setgroups([])
        os.setgid(order["user"])
        os.setuid(order["user"])
    import tempfile

    tempfile.tempdir = None
    trap = Trap(order["below"], order["at"], order["signal"], order["group"], order["reads"])
    sys.addaudithook(trap)
    from geocell.cli import main

    try:
        return main(order["words"])
    finally:
        if order["count"]:
            Path(order["count"]).write_text(str(trap.count), encoding="utf-8")


def _leave(status: int) -> None:
    """End this process as the interpreter does, but for freeing all that the server imported, which takes seconds."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def serve() -> None:
    """Read orders from standard input, one JSON object a line, and answer each by one; returns at its end."""
    _import_everything()
    print(json.dumps({"ready": os.getpid()}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            pid, status = os.waitpid(order["wait"], os.WNOHANG if order["poll"] else 0)
            answer = {"pid": pid, "status": os.waitstatus_to_exitcode(status) if pid else None}
        else:
            pid = os.fork()
            if pid == 0:
                _leave(_run(order))
            answer = {"pid": pid}
        print(json.dumps(answer), flush=True)


@dataclass(frozen=True)
class Ended:
    """A command that has ended.

    Attributes:
        status: its exit status; less the number of the signal that killed it.
        stdout: what it printed.
        stderr: what it said.
    """

    status: int
    stdout: str
    stderr: str


class Commands:
    """Runs commands in children of a server."""

    def __init__(self, scratch: Path, environment: Mapping[str, str]) -> None:
        """Start the server.

        Args:
            scratch: folder for what commands print.
            environment: of the server and its children, beside that of this process.
        """
        self._scratch, self._outputs = scratch, dict[int, tuple[Path, Path]]()
        self._started = 0
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "agg"}
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "benchmarks.kill_server"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, **threads, "PYTHONPATH": str(ROOT), **environment},
        )  # fmt: skip
        self._read()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """End the server."""
        self._process.communicate()

    def start(  # noqa: PLR0913 - keywords with defaults
        self,
        words: Sequence[str],
        folder: Path,
        *,
        at: int = 0,
        number: int = signal.SIGKILL,
        group: bool = True,
        count: Path | None = None,
        user: int = 0,
        read: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> int:
        """Start a command, and return its process, which leads a session.

        Args:
            words: its arguments.
            folder: where it runs; changes of files below are counted.
            at: the signal `number` is sent before this one of them, from 1; 0 is never.
            number: the signal.
            group: whether SIGKILL takes all processes of the session that are there.
            count: file for the number of changes, written when the command has ended.
            user: user to run as, 0 for this one.
            read: count files that are opened below this folder, instead of changes.
            environment: more variables.
        """
        self._started += 1
        outputs = (self._scratch / f"{self._started % 8}.out", self._scratch / f"{self._started % 8}.err")
        pid = self._ask(
            {
                "words": list(words), "folder": str(folder), "at": at, "signal": int(number), "group": group,
                "count": str(count or ""), "user": user, "reads": read is not None, "below": str(read or folder),
                "stdout": str(outputs[0]), "stderr": str(outputs[1]), "environment": dict(environment or {}),
            }
        )["pid"]  # fmt: skip
        self._outputs[pid] = outputs
        return int(pid)

    def wait(self, pid: int) -> Ended:
        """Wait for a command."""
        answer = self._ask({"wait": pid, "poll": False})
        return self._ended(pid, answer["status"])

    def ended(self, pid: int) -> Ended | None:
        """Return how a command ended, None while it runs."""
        answer = self._ask({"wait": pid, "poll": True})
        return None if answer["status"] is None else self._ended(pid, answer["status"])

    def run(self, words: Sequence[str], folder: Path, **how: Any) -> Ended:  # noqa: ANN401 - those of start
        """Start a command and wait for it; see `start`."""
        return self.wait(self.start(words, folder, **how))

    def _ended(self, pid: int, status: int) -> Ended:
        stdout, stderr = (path.read_text(encoding="utf-8", errors="replace") for path in self._outputs.pop(pid))
        return Ended(status, stdout, stderr)

    def _ask(self, order: Mapping[str, Any]) -> dict[str, Any]:
        if self._process.stdin is None:
            raise RuntimeError("the server has no standard input.")
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return self._read()

    def _read(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line:
            raise RuntimeError("the server of the kill harness ended: see what it said above.")
        value: dict[str, Any] = json.loads(line)
        return value


def processes_of(session: int) -> list[int]:
    """Return the processes of a session that have not ended."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            state, *_, sid = (folder / "stat").read_text(encoding="utf-8").rpartition(") ")[2].split()[:4]
            if int(sid) == session and state != "Z":
                found.append(int(folder.name))
    return found


if __name__ == "__main__":
    serve()
