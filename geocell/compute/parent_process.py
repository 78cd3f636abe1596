"""Worker processes that end with the process that started them, however that one ended."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_with_parent() -> None:
    """End this process as soon as the process that started it has ended, even by SIGKILL.

    To be called first thing in a worker process of `multiprocessing`; in any other process it does nothing. On Linux
    the kernel sends SIGKILL (prctl(2), PR_SET_PDEATHSIG). Everywhere a thread waits for the sentinel of the parent, a
    pipe whose other end closes with it; so a parent that ended before this call is noticed too.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    _signal_at_parent_death()
    threading.Thread(target=_exit_after_parent, name="end-with-parent", daemon=True).start()


def _signal_at_parent_death() -> None:
    """Have the kernel end this process with its parent, where it can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def _exit_after_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # at once: nobody is left who waits for a result


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Block SIGINT while worker processes start, which inherit the mask.

    Ctrl-C in a terminal reaches every process of the group, and only this one should react: it terminates the others.
    A signal that arrives meanwhile is delivered afterwards.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # which unblocks the signal when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
