"""An engine that does pieces of work as other processes would: start, pieces and results go through pickle."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import cloudpickle

from geocell.compute.engines import Engine, work_on


def packed(value: Any) -> bytes:
    """Return what is sent to another process."""
    content: bytes = cloudpickle.dumps(value)
    return content


def unpacked(content: bytes) -> Any:
    """Return what another process receives."""
    return cloudpickle.loads(content)


def sent(value: Any) -> Any:
    """Return what comes of a value on the way to another process."""
    return unpacked(packed(value))


class Elsewhere(Engine):
    """Notes how many pieces there were."""

    def __init__(self) -> None:
        self.pieces = 0

    def results(self, start: Callable[[], Callable[[Any], Any]], pieces: Iterable[Any]) -> Iterator[Any]:
        """Yield the results, in order."""
        function = sent(start)()
        for piece in pieces:
            self.pieces += 1
            yield sent(function(sent(piece)))


@contextmanager
def elsewhere() -> Iterator[Elsewhere]:
    """Do pieces of work elsewhere until the block ends."""
    engine = Elsewhere()
    with work_on(engine):
        yield engine
