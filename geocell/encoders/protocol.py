"""What the feature stage needs of an encoder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from geocell.encoders.info import EncoderInfo
from geocell.images.transforms import Transform


@runtime_checkable
class Encoder(Protocol):
    """What `encode` needs of a frozen encoder; any object with these three will do."""

    @property
    def info(self) -> EncoderInfo:
        """Which encoder this is."""
        ...

    @property
    def preprocess(self) -> Transform:
        """What makes one upright RGB image the pixels that a batch is stacked from.

        It is sent to other processes: a picklable callable that does not carry the model. Its results have one shape
        and dtype.
        """
        ...

    def __call__(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return the (B, D) features of B stacked results of `preprocess`."""
        ...


def starter(encoder: Encoder) -> Callable[[NDArray[Any]], Callable[[], NDArray[np.float32]]]:
    """Return what begins a batch: the encoder's own `start`, which may return before it is done, or its call.

    The `start` of a class whose `__call__` was overridden further down is not what that call computes.
    """
    owners = [name for cls in type(encoder).__mro__ for name in ("start", "__call__") if name in vars(cls)]
    if owners[0] == "start":
        start: Callable[[NDArray[Any]], Callable[[], NDArray[np.float32]]] = encoder.start  # type: ignore[attr-defined]
        return start

    def call(pixels: NDArray[Any]) -> Callable[[], NDArray[np.float32]]:
        features = encoder(pixels)
        return lambda: features

    return call
