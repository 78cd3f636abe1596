"""The process that reads: one target after another input, within the limits of `fuzz.guard`."""

from __future__ import annotations

import os
import shutil
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple

from fuzz import guard
from fuzz.inputs import Input, make_input, valid_files, write_finding
from fuzz.targets import TARGETS

_SIGNED = {"now": False}


class Progress(NamedTuple):
    """Numbers that both processes see: `multiprocessing` values.

    Attributes:
        number: of the input that is being read.
        done: inputs that were read.
        accepted: those that were read without an error.
        findings: faults among them, repeated ones too.
    """

    number: Any
    done: Any
    accepted: Any
    findings: Any


class Sandbox:
    """A folder with the files of a target, into which one input after another is put."""

    def __init__(self, folder: Path, target: str) -> None:
        """Fill the folder `in` of a folder."""
        self.target = TARGETS[target]
        self.folder, self.out = folder / "in", folder / "out"
        self.accepted = 0
        self._valid = valid_files(target)
        self._outside = guard.Outside(folder)
        self._fill()

    def _fill(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        for name, content in self._valid.items():
            put(self.folder / name, content)

    def read(self, given: Input) -> guard.Fault | None:
        """Read an input, and return what was wrong."""
        for name, content in given.files.items():
            put(self.folder / name, content)
        self.out.mkdir(exist_ok=True)
        before = _names(self.folder)
        _SIGNED["now"] = given.signed
        fault: guard.Fault | None = None
        guard.limit_input()
        try:
            with self._outside.watched():
                self.target.read(self.folder, self.out)
            self.accepted += 1
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever it is, it is judged
            fault = guard.fault_of(error)
        if self._outside.seen:
            fault = guard.Fault("outside", "; ".join(self._outside.seen[:5]), self._outside.seen[0][:80])
        if _names(self.folder) != before:
            self._fill()
        else:
            for name in given.files:
                put(self.folder / name, self._valid[name])
        if _names(self.out):
            shutil.rmtree(self.out)
        return fault


def _names(folder: Path) -> set[str]:
    return {entry.name for entry in os.scandir(folder)}


def put(path: Path, content: bytes | None) -> None:
    """Give a file another content, in a new inode: the old one may still be mapped into memory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)


def work(target: str, seed: int, first: int, seconds: float, folder: Path, findings: Path, progress: Progress) -> None:
    """Read the inputs of a target from a number on until the time is over; write findings as they come."""
    seen: set[str] = set()
    try:
        sandbox = _enter(folder, target)
        end = monotonic() + seconds
        for given in _numbered(target, seed, first, progress):
            fault = sandbox.read(given)
            progress.done.value += 1
            progress.accepted.value = sandbox.accepted
            if fault is not None:
                progress.findings.value += 1
                if fault.signature not in seen:
                    seen.add(fault.signature)
                    write_finding(findings, given, fault)
            if monotonic() > end:
                break
    except BaseException:  # of the harness itself, which must not pass for the end of the time
        (folder / "failed.txt").write_text(traceback.format_exc())
        sys.exit(1)


def _numbered(target: str, seed: int, first: int, progress: Progress) -> Iterator[Input]:
    number = first
    while True:
        progress.number.value = number
        yield make_input(target, seed, number)
        number += 1


def replay(inputs: Iterable[Input], folder: Path, findings: Path) -> None:
    """Read given inputs of one target; exit with 1 when one has a fault, which is written into `findings`."""
    faults = 0
    for given in inputs:
        fault = _enter(folder, given.target).read(given)
        if fault is not None:
            faults += 1
            write_finding(findings, given, fault)
    sys.exit(int(faults > 0))


def _enter(folder: Path, target: str) -> Sandbox:
    """Enter the folder, silence other libraries, and set the limits."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    os.environ["TMPDIR"] = str(folder)
    import tempfile

    tempfile.tempdir = str(folder)
    _let_cells_be_signed()
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    _import_for(target, folder)
    guard.limit_process((folder / "stack.txt").open("w"))
    return Sandbox(folder, target)


def _import_for(target: str, folder: Path) -> None:
    """Read the valid files once without limits, so that what is imported and started then is no finding."""
    inside = folder / "first"
    for name, content in valid_files(target).items():
        put(inside / name, content)
    (folder / "out").mkdir(exist_ok=True)
    TARGETS[target].read(inside, folder / "out")
    shutil.rmtree(folder / "out")
    shutil.rmtree(inside)


def _let_cells_be_signed() -> None:
    """Let signed inputs pass the comparison with the hash in partition.json, as if their author had written it."""
    from geocell.partitioners import base

    checked = vars(base)["require_hash"]

    def unless_signed(folder: Path, found: str, written: str) -> None:
        if not _SIGNED["now"]:
            checked(folder, found, written)

    setattr(base, "require_hash", unless_signed)  # noqa: B010 - a name that the module does not export
