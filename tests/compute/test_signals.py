"""Signals that end a command as Ctrl-C does."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from geocell.compute.signals import interrupted_by_signals, interrupted_status, note_signal, raise_lost_interrupt

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="signals of POSIX")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)])
def test_an_ending_signal_is_an_interrupt(number: signal.Signals, status: int) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), interrupted_by_signals():
            signal.raise_signal(number)
        assert interrupted_status() == status
    finally:
        signal.signal(signal.SIGINT, before)
    with interrupted_by_signals():
        assert interrupted_status() == 130  # what came before is forgotten
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_second_one_ends_the_process() -> None:
    script = """
import signal
from geocell.compute.signals import interrupted_by_signals
with interrupted_by_signals():
    try:
        signal.raise_signal(signal.SIGTERM)
    except KeyboardInterrupt:
        signal.raise_signal(signal.SIGTERM)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", script], env=environment, check=False).returncode == -signal.SIGTERM


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupted_by_signals():
            signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_nothing_is_changed_for_torchrun_and_in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []

    def look() -> None:
        with interrupted_by_signals():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    monkeypatch.setenv("WORLD_SIZE", "2")
    look()
    assert found == [signal.SIG_DFL] * 2


def test_the_first_noted_signal_counts() -> None:
    with interrupted_by_signals():
        note_signal(signal.SIGTERM)
        note_signal(signal.SIGINT)
        assert interrupted_status() == 143


def test_an_interrupt_that_another_library_replaced_is_raised_again() -> None:
    raise_lost_interrupt()
    with pytest.raises(KeyboardInterrupt), interrupted_by_signals():
        raise_lost_interrupt()
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            raise_lost_interrupt()
    raise_lost_interrupt()  # what is over is forgotten
