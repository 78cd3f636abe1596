"""Large pieces of work in parallel threads, one CPU core each."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import count
from typing import TypeVar

import torch

A = TypeVar("A")
B = TypeVar("B")

_MOST = 16
"""Threads at most: dispatching an operation holds the GIL for a few hundredths of the time that it takes."""


def over_cores(function: Callable[[A], B], pieces: Sequence[A], threads: int) -> list[B]:
    """Return the results of a function for every piece, in order, computed in threads with one core each.

    A piece is a few dozen operations. Pieces in parallel synchronise once, at the end. Operations that torch spreads
    over all cores one after the other synchronise after each, and wait for the slowest core every time: on a machine
    with other load that takes many times as long.

    Args:
        function: takes a piece; torch and numpy release the GIL while they compute.
        pieces: the inputs, ideally a few per thread: a thread that is free takes the next.
        threads: number of threads, the calling one included.
    """
    before, threads = torch.get_num_threads(), min(threads, _MOST)
    if min(threads, len(pieces)) <= 1:
        return [function(piece) for piece in pieces]
    results: dict[int, B] = {}
    following = count()

    def work() -> None:
        while (number := next(following)) < len(pieces):
            results[number] = function(pieces[number])

    others = [_workers(threads - 1, os.getpid()).submit(work) for _ in range(min(threads, len(pieces)) - 1)]
    torch.set_num_threads(1)
    try:
        work()
    finally:
        torch.set_num_threads(before)
    for other in others:
        if not other.cancel():  # one that has not started yet has nothing left to do
            other.result()
    return [results[number] for number in range(len(pieces))]


@cache
def _workers(threads: int, pid: int) -> ThreadPoolExecutor:  # noqa: ARG001 - threads do not survive a fork
    """Return a pool of threads in which torch uses one core each."""
    started, before = threading.Barrier(threads + 1), torch.get_num_threads()

    def start() -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()  # the first such call copies the process-wide number into the thread
        started.wait()

    pool = ThreadPoolExecutor(threads, "geocell", initializer=start)
    for _ in range(threads):
        pool.submit(int)  # a thread starts with its first task
    started.wait()
    torch.set_num_threads(before)
    return pool
