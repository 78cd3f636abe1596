"""The protocol of encoders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from geocell.encoders.info import EncoderInfo
from geocell.images.transforms import Transform


@runtime_checkable
class Encoder(Protocol):
    """A frozen encoder, as `encode` needs it: any object with these three members."""

    @property
    def info(self) -> EncoderInfo:
        """Identity of the encoder."""
        ...

    @property
    def preprocess(self) -> Transform:
        """Transform of one upright RGB image to the pixels that batches are stacked from.

        Sent to worker processes: a picklable callable without a reference to the model. Its results have one shape
        and dtype.
        """
        ...

    def __call__(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return the (B, D) features of B stacked results of `preprocess`."""
        ...


def starter(encoder: Encoder) -> Callable[[NDArray[Any]], Callable[[], NDArray[np.float32]]]:
    """Return a function that starts a batch: the encoder's own `start`, which may return early, or its call.

    `start` is not used when a subclass overrides `__call__` below it.
    """
    owners = [name for cls in type(encoder).__mro__ for name in ("start", "__call__") if name in vars(cls)]
    if owners[0] == "start":
        start: Callable[[NDArray[Any]], Callable[[], NDArray[np.float32]]] = encoder.start  # type: ignore[attr-defined]
        return start

    def call(pixels: NDArray[Any]) -> Callable[[], NDArray[np.float32]]:
        features = encoder(pixels)
        return lambda: features

    return call
