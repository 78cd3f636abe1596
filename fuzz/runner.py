"""The process that watches: it shares the time over targets, and notices what ends or stops a reading process."""

from __future__ import annotations

import multiprocessing
import shutil
import signal
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from fuzz import worker
from fuzz.guard import MAX_SECONDS, Fault
from fuzz.inputs import Input, make_input, write_finding

_POLL = 0.2
_STUCK = 60.0
"""Seconds without another input after which a process that takes no processor time counts as hanging."""
_START = 120.0
"""Seconds in which a process must begin."""


@dataclass
class Result:
    """What became of a target.

    Attributes:
        target: its name.
        inputs: how many were read.
        accepted: how many of them without an error.
        seconds: how long that took.
        faults: how many of them had one, repeated ones too.
        findings: the files of those that differ in kind or place.
        failed: why the harness itself could not go on, "" where it could.
    """

    target: str
    inputs: int = 0
    accepted: int = 0
    seconds: float = 0.0
    faults: int = 0
    findings: list[str] = field(default_factory=list)
    failed: str = ""

    @property
    def rate(self) -> float:
        """Inputs per second."""
        return self.inputs / self.seconds if self.seconds else 0.0


def run(
    targets: Sequence[str], seconds: float, seed: int, jobs: int, findings: Path, tell: Callable[[Result], None]
) -> list[Result]:
    """Read mutated inputs of targets for some time in all.

    Args:
        targets: their names.
        seconds: wall-clock time of the whole run.
        seed: of all inputs.
        jobs: processes that read at a time.
        findings: folder that findings are written into.
        tell: is called with the result of every target as it ends.
    """
    context = _context()
    waiting = list(targets)
    running: list[_Slice] = []
    done: list[Result] = []
    _start_server(context)
    end = monotonic() + seconds
    with tempfile.TemporaryDirectory(dir=_fast_folder(), prefix="fuzz-") as folder:
        while waiting or running:
            while waiting and len(running) < jobs:
                share = (end - monotonic()) * jobs / (len(waiting) + len(running))
                running.append(_Slice(context, waiting.pop(0), share, seed, Path(folder), findings))
            for one in list(running):
                if one.is_over(_POLL / len(running)):
                    running.remove(one)
                    done.append(one.result)
                    tell(one.result)
    return done


def replay(inputs: Sequence[Input], findings: Path) -> bool:
    """Read given inputs, each in a process of its own, and return whether none has a fault."""
    context = _context()
    clean = True
    for given in inputs:
        with tempfile.TemporaryDirectory(dir=_fast_folder(), prefix="fuzz-") as folder:
            process = context.Process(target=worker.replay, args=([given], Path(folder) / "a", findings))
            process.start()
            process.join(_START + _STUCK)
            fault = _end(process, Path(folder) / "a")
            if fault is not None:
                write_finding(findings, given, fault)
            clean = clean and process.exitcode == 0
    return clean


def _context() -> Any:  # noqa: ANN401 - a context of multiprocessing
    """Return how processes are started: forked from one that imported all, and ran nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fuzz.preload"])
    return context


def _start_server(context: Any) -> None:  # noqa: ANN401 - a context of multiprocessing
    """Wait until a first process ended: then all is imported, and others start at once."""
    first = context.Process(target=multiprocessing.current_process)
    first.start()
    first.join()


def _fast_folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a folder of its own is made in it


class _Slice:
    """One target's share of the time; where its process ends early, another one goes on after that input."""

    def __init__(self, context: Any, target: str, seconds: float, seed: int, folder: Path, findings: Path) -> None:  # noqa: ANN401
        self.result = Result(target)
        self._context, self._seed, self._findings = context, seed, findings
        self._folder = folder / target
        self._begin, self._end = monotonic(), monotonic() + max(seconds, 1.0)
        self._before = self._now() if findings.is_dir() else {}
        self._start(0)

    def _now(self) -> dict[str, int]:
        files = self._findings.glob(f"{self.result.target}-??????????.json")
        return {path.name: path.stat().st_mtime_ns for path in files}

    def _start(self, first: int) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._progress = worker.Progress(*(self._context.Value("q", 0, lock=False) for _ in range(4)))
        self._progress.number.value = first
        arguments = (
            self.result.target, self._seed, first, self._end - monotonic(), self._folder, self._findings, self._progress
        )  # fmt: skip
        self._process = self._context.Process(target=worker.work, args=arguments)
        self._process.start()
        self._last, self._since = -1, monotonic()

    def is_over(self, seconds: float) -> bool:
        """Wait a little, and return whether the target had its time."""
        self._process.join(seconds)
        if self._process.is_alive():
            if self._progress.done.value != self._last:
                self._last, self._since = self._progress.done.value, monotonic()
            if monotonic() - self._since < (_START if self._last == 0 else _STUCK):
                return False
        number = self._progress.number.value
        fault = _end(self._process, self._folder)
        if (self._folder / "failed.txt").is_file():
            self.result.failed = (self._folder / "failed.txt").read_text(errors="replace")
        self.result.inputs += self._progress.done.value
        self.result.accepted += self._progress.accepted.value
        self.result.faults += self._progress.findings.value
        if fault is not None:
            self.result.inputs, self.result.faults = self.result.inputs + 1, self.result.faults + 1
            write_finding(self._findings, make_input(self.result.target, self._seed, number), fault)
            if monotonic() < self._end:
                self._start(number + 1)
                return False
        self.result.seconds = monotonic() - self._begin
        self.result.findings = sorted(name for name, time in self._now().items() if self._before.get(name) != time)
        shutil.rmtree(self._folder, ignore_errors=True)
        return True


def _end(process: Any, folder: Path) -> Fault | None:  # noqa: ANN401 - of a context
    """Return why a process ended or is ended now, None where it ended by itself."""
    if process.is_alive():
        process.terminate()  # its stack is written first
        process.join(5)
        process.kill()
        process.join()
        stack, where = _stack(folder)
        return Fault("hang", f"no answer in {_STUCK:g} seconds\n{stack[-4000:]}", where or "waiting")
    if process.exitcode in {0, 1}:
        return None
    stack, where = _stack(folder)
    where = where or f"exit {process.exitcode}"
    if -process.exitcode == signal.SIGXCPU:
        return Fault("hang", f"more than {MAX_SECONDS} seconds of processor time\n{stack[-4000:]}", where)
    return Fault("crash", f"the process ended with {process.exitcode}\n{stack[-4000:]}", where)


def _stack(folder: Path) -> tuple[str, str]:
    """Return the stack that a process left, and its innermost line of the package, "" where there is none."""
    path = folder / "stack.txt"
    stack = path.read_text(errors="replace") if path.is_file() else ""
    frames = [line.strip() for line in stack.splitlines() if "/geocell/" in line]
    return stack, frames[0].rpartition("/geocell/")[2] if frames else ""
