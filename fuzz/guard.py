"""What a reader may do: raise one clean sentence, stay within time and memory, and write nowhere but where it was told.

The limits are those of the process that reads, so that a crash, a hang and too much memory end that process alone.
"""

from __future__ import annotations

import dis
import faulthandler
import os
import resource
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import geocell
from geocell.files.text import LONGEST_MESSAGE, printable

PACKAGE = str(Path(geocell.__file__).parent)
MAX_SECONDS = 10
"""Processor time of one input."""
MAX_BYTES = 2 << 30
"""Memory of one process beside what importing took."""
_OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "unable to allocate", "malloc of size")
_RAISES = {dis.opmap["RAISE_VARARGS"], dis.opmap["RERAISE"]}
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
_EVENTS = {
    "os.mkdir": 0, "os.remove": 0, "os.rename": 1, "os.rmdir": 0, "os.symlink": 1, "os.link": 1, "os.truncate": 0,
    "os.chmod": 0, "os.chown": 0, "os.system": 0, "os.exec": 0, "os.posix_spawn": 0, "subprocess.Popen": 0,
    "socket.connect": 1, "socket.getaddrinfo": 0,
}  # fmt: skip
"""Audit event -> which of its arguments says what is written or called."""


@dataclass(frozen=True)
class Fault:
    """What a reader did that it must not do.

    Attributes:
        kind: `exception`, `message`, `memory`, `outside`, `hang` or `crash`.
        text: what exactly.
        where: module and line of the package, or what is known of it.
    """

    kind: str
    text: str
    where: str

    @property
    def signature(self) -> str:
        """Kind and place: what is counted as one finding."""
        return f"{self.kind} {self.where}"


def fault_of(error: BaseException) -> Fault | None:
    """Return what is wrong with an exception that left a public function; None for a clean error."""
    where = f"{type(error).__name__} {_place(error)}"
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    shown = f"{type(error).__module__}.{type(error).__qualname__}: {text[:2000]}"
    chain = _chain(error)
    if any(_is_out_of_memory(one) for one in chain):
        return Fault("memory", shown, where)
    if not _is_own(error):
        return Fault("exception", f"{shown}\n{''.join(traceback.format_exception(error))[-4000:]}", where)
    if not text or len(text) > LONGEST_MESSAGE or printable(text) != text or "Traceback" in text:
        return Fault("message", f"{len(text)} characters: {shown}", where)
    return None


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__ or error.__context__
    return found


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, Exception) and any(text in str(error).lower() for text in _OUT_OF_MEMORY)


def _is_own(error: BaseException) -> bool:
    """Return whether an exception is of a builtin class or of this package, and was raised by a line of this package.

    A ValueError that numpy or the interpreter raises below a line of the package is not: nobody wrote its sentence.
    """
    kind = type(error)
    if isinstance(error, OSError) and error.errno is not None and kind.__module__ == "builtins":
        return True  # the operating system's: the disk is full, say
    ours = kind.__module__.startswith("geocell.")
    builtin = kind in {ValueError, ImportError, ModuleNotFoundError}
    if not (ours or builtin or (kind.__module__ == "builtins" and issubclass(kind, OSError))):
        return False
    last = _last(error.__traceback__)
    return last is not None and _in_package(last) and last.tb_frame.f_code.co_code[last.tb_lasti] in _RAISES


def _last(found: TracebackType | None) -> TracebackType | None:
    while found is not None and found.tb_next is not None:
        found = found.tb_next
    return found


def _in_package(found: TracebackType) -> bool:
    return found.tb_frame.f_code.co_filename.startswith(PACKAGE)


def _place(error: BaseException) -> str:
    """Return module and line of the last frame of the package, or of the last one."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename.startswith(PACKAGE)] or list(frames[-1:])
    return f"{Path(own[-1].filename).parent.name}/{Path(own[-1].filename).name}:{own[-1].name}" if own else "?"


class Outside:
    """Notes what is written, started or called outside of a folder while it is watched."""

    def __init__(self, folder: Path) -> None:
        """Watch a folder, until the end of the process."""
        self._folder = os.path.realpath(folder)
        self._watching = False
        self.seen: list[str] = []
        sys.addaudithook(self._note)

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Note what happens in the block."""
        self.seen.clear()
        self._watching = True
        try:
            yield
        finally:
            self._watching = False

    def _note(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._watching:
            return
        if event == "open":
            path, mode, flags = arguments
            writing = isinstance(flags, int) and flags & _WRITING
            if writing and isinstance(path, str | bytes | os.PathLike) and not self._inside(path):
                self.seen.append(f"opened {os.fsdecode(path)!r} with mode {mode!r}")
        elif event in _EVENTS:
            what = arguments[_EVENTS[event]]
            if not isinstance(what, str | bytes | os.PathLike) or not self._inside(what):
                self.seen.append(f"{event} {what!r}")

    def _inside(self, path: str | bytes | os.PathLike[Any]) -> bool:
        text = os.fsdecode(path)
        return text == os.devnull or os.path.abspath(text).startswith(self._folder)  # noqa: PTH100 - "\0" is allowed here


def limit_process(log: IO[str]) -> None:
    """Bound the memory of this process, and let a crash or the end of its time say where it was.

    Args:
        log: file for the stack of the process when it ends so.
    """
    warnings.simplefilter("ignore")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_DATA, (_data_bytes() + MAX_BYTES, resource.RLIM_INFINITY))
    faulthandler.enable(log)
    for ending in (signal.SIGXCPU, signal.SIGTERM):
        faulthandler.register(ending, log, chain=True)


def limit_input() -> None:
    """Give the next input its processor time; the system ends the process that takes more (SIGXCPU)."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    limit = int(used.ru_utime + used.ru_stime) + 1 + MAX_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))


def _data_bytes() -> int:
    """Return the private writable memory of this process (`VmData` of proc(5))."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmData:"):
            return int(line.split()[1]) * 1024
    return 0
