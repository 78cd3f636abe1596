"""SIGTERM and SIGHUP end a command as Ctrl-C does: what is finished is kept, and temporary files are removed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from geocell.compute.ranks import process_count

_ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))

_received: list[int] = []
_raised: list[int] = []


def note_signal(number: int) -> None:
    """Note which signal the KeyboardInterrupt is of that is about to be raised."""
    _received.append(number)


@contextmanager
def interrupted_by_signals() -> Iterator[None]:
    """Make SIGTERM and SIGHUP raise KeyboardInterrupt in the block, as SIGINT does; a second one ends the process.

    One that is ignored (nohup) or handled already stays so. Nothing is changed outside of the main thread, and in a
    process of torchrun, which ends its processes by SIGTERM because another one failed.
    """
    _received.clear()
    if threading.current_thread() is not threading.main_thread() or process_count() > 1:
        yield
        return

    def interrupt(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        note_signal(number)
        _raised.append(number)
        raise KeyboardInterrupt

    heeded = [number for number in _ENDING if signal.getsignal(number) is signal.SIG_DFL]
    for number in heeded:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        _raised.clear()
        for number in heeded:
            signal.signal(number, signal.SIG_DFL)


def raise_lost_interrupt() -> None:
    """Raise KeyboardInterrupt once more when `interrupted_by_signals` did; called where another error was caught.

    C code of other libraries may put an error of its own in its place: torch, where it asks for the length of a value.
    """
    if _raised:
        raise KeyboardInterrupt


def interrupted_status() -> int:
    """Return the exit status of a command that ended by KeyboardInterrupt: 128 and the signal, 130 for Ctrl-C."""
    return 128 + (_received[0] if _received else signal.SIGINT)
