"""Two towers of the package index as one model of images and texts: EfficientNet-Lite0 × MiniLM."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import as_file, files

import numpy as np
from numpy.typing import NDArray

from geocell.encoders.info import EncoderInfo
from geocell.imagetext.minilm import MiniLM
from geocell.imagetext.projection import Float32, Projection

FILE = "lite0_minilm.safetensors"


class JoinedTowers:
    """EfficientNet-Lite0 × MiniLM: weights of two packages (extra `towers`), joined by one matrix.

    The matrix is a ridge regression of class names on the classifier of EfficientNet-Lite0; see
    `geocell/imagetext/data/make_lite0_minilm.py`. It knows what ImageNet knows: streets from gardens, and countries
    only weakly.
    """

    def __init__(self, info: EncoderInfo, device: str = "auto") -> None:
        """Load the text tower; images are encoded by EfficientNet-Lite0.

        Args:
            info: EfficientNet-Lite0, the encoder of the features.
            device: where texts are embedded.

        Raises:
            ImportError: when the package of the text tower is not installed.
        """
        self._info = info
        self._text = MiniLM(device)
        self._projection = joined_projection()

    @property
    def info(self) -> EncoderInfo:
        """EfficientNet-Lite0."""
        return self._info

    @property
    def text_identity(self) -> str:
        """The package of the text tower, with its version."""
        return self._text.identity

    @property
    def projection(self) -> Projection:
        """The matrix and the scale of the package."""
        return self._projection

    @property
    def logit_scale(self) -> float:
        """The factor of the cosines."""
        return self._projection.scale

    def text(self, texts: Sequence[str]) -> Float32:
        """Return the (n, 384) embeddings of n texts; see `ImageTextModel.text`."""
        return self._text(texts)

    def project(self, pooled: NDArray[np.floating]) -> Float32:
        """Return the (N, 384) embeddings of (N, 1280) features."""
        return self._projection(pooled)


def joined_projection() -> Projection:
    """Return the projection of features of EfficientNet-Lite0 to the space of MiniLM."""
    from safetensors import safe_open

    with as_file(files("geocell.imagetext.data").joinpath(FILE)) as path, safe_open(path, framework="numpy") as file:
        scale = float(file.metadata()["scale"])
        return Projection(file.get_tensor("projection").astype(np.float32), scale)
