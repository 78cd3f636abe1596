"""Where work that comes in pieces is done: in this process, or on the machines of an engine such as `ray_cluster`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

A = TypeVar("A")
B = TypeVar("B")

ROWS = 1 << 19
"""Rows of an array that are one piece of work: 8 MB of coordinates."""


class Engine(Protocol):
    """Does pieces of work elsewhere."""

    def results(self, start: Callable[[], Callable[[A], B]], pieces: Iterable[A]) -> Iterator[B]:
        """Yield what a function returns for every piece, in their order.

        Args:
            start: returns the function; called once by each of those that work, so it must be picklable, as pieces and
                results must be.
            pieces: the work; taken as it is needed.
        """
        ...


_engine: ContextVar[Engine | None] = ContextVar("geocell engine", default=None)


@contextmanager
def work_on(engine: Engine) -> Iterator[None]:
    """Let an engine do what comes in pieces until the block ends, as far as this thread asks for it."""
    token = _engine.set(engine)
    try:
        yield
    finally:
        _engine.reset(token)


@contextmanager
def work_here() -> Iterator[None]:
    """Do everything in this process until the block ends, as far as this thread asks for it."""
    token = _engine.set(None)
    try:
        yield
    finally:
        _engine.reset(token)


def is_here() -> bool:
    """Return whether pieces are worked at in this process."""
    return _engine.get() is None


def results(start: Callable[[], Callable[[A], B]], pieces: Iterable[A]) -> Iterator[B]:
    """Yield what a function returns for every piece, in their order; see `Engine.results`. One piece is done here."""
    engine = _engine.get()
    if engine is None or (isinstance(pieces, Sized) and len(pieces) <= 1):
        return map(start(), pieces)
    return engine.results(start, pieces)


def over_rows(function: Callable[[NDArray[Any]], Any], rows: NDArray[Any]) -> Any:  # noqa: ANN401 - of the function
    """Return a function of the (P, …) rows of an array, each of which has a result of its own.

    Args:
        function: returns a (P, …) array for the rows, or a named tuple of such arrays; picklable.
        rows: the array, which is one piece in this process, and elsewhere pieces of `ROWS`.
    """
    if is_here() or len(rows) <= ROWS:
        return function(rows)
    pieces = (rows[first : first + ROWS] for first in range(0, len(rows), ROWS))
    found = list(results(partial(_same, function), pieces))
    if isinstance(found[0], tuple):
        return type(found[0])(*(np.concatenate(parts) for parts in zip(*found, strict=True)))
    return np.concatenate(found)


def _same(function: Callable[[A], B]) -> Callable[[A], B]:
    return function
