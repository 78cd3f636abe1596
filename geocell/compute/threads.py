"""Work shared out over the cores of a CPU in large pieces."""

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
"""Threads at most: calling an operation holds the interpreter for a few hundredths of the time that it takes."""


def over_cores(function: Callable[[A], B], pieces: Sequence[A], threads: int) -> list[B]:
    """Return what a function makes of every piece, in order, computed in threads that have one core each.

    A piece is a few dozen operations. Whole pieces side by side meet once, at the end. One operation after the other,
    each spread over all cores by torch, they would meet after every one, and wait for the slowest core each time: on a
    machine with other work that takes many times as long.

    Args:
        function: of a piece; torch and numpy let go of the interpreter while they compute.
        pieces: what to work on, best a few per thread: whoever is free takes the next.
        threads: how many, this one among them.
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
        if not other.cancel():  # a thread that has not woken up by now has nothing left to do
            other.result()
    return [results[number] for number in range(len(pieces))]


@cache
def _workers(threads: int, pid: int) -> ThreadPoolExecutor:  # noqa: ARG001 - a forked process has none of the threads
    """Return threads in which torch computes on one core each."""
    started, before = threading.Barrier(threads + 1), torch.get_num_threads()

    def start() -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()  # a thread takes its number from the whole process once, at the first such call
        started.wait()

    pool = ThreadPoolExecutor(threads, "geocell", initializer=start)
    for _ in range(threads):
        pool.submit(int)  # a thread starts with its first task
    started.wait()
    torch.set_num_threads(before)
    return pool
