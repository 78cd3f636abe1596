"""An encoder on a CPU that computes the pieces of a batch side by side, each on one core."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocell.compute.cores import usable_cores
from geocell.encoders.info import EncoderInfo
from geocell.encoders.protocol import Encoder
from geocell.images.transforms import Transform

PIECE = 8
"""Images per piece: activations of many more leave the caches of a core."""


class SpreadEncoder:
    """The same features as the encoder that it wraps, up to rounding.

    Torch spreads every layer over all cores and waits for the slowest after each, which on a busy machine takes many
    times as long as the computation. Here the cores meet once per batch.
    """

    def __init__(self, encoder: Encoder) -> None:
        """Wrap an encoder whose device is the CPU."""
        self._encoder = encoder
        self._cores = usable_cores()

    @property
    def info(self) -> EncoderInfo:
        """Which encoder this is."""
        return self._encoder.info

    @property
    def preprocess(self) -> Transform:
        """Transform of one image to bytes."""
        return self._encoder.preprocess

    def __call__(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return the (B, D) features of (B, H, W, 3) bytes."""
        from geocell.compute.threads import over_cores

        pieces = [pixels[first : first + PIECE] for first in range(0, len(pixels), PIECE)]
        return np.concatenate(over_cores(self._encoder, pieces, self._cores))
