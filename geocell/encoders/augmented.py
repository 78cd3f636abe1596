"""Test-time augmentation: the mean feature of several variants of an image, flips and crops."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from geocell.encoders.info import EncoderInfo
from geocell.encoders.protocol import Encoder, starter
from geocell.images.transforms import Transform

if TYPE_CHECKING:
    from PIL import Image

Augmentation = Literal["none", "flip", "crop5"]
_BY = ", mean of "
_CROP = 7 / 8  # side of a crop as a share of the short side: 224 of 256 pixels, as five-crop evaluation has always had


def check_augmentation(augment: str) -> None:
    """Refuse an unknown augmentation.

    Raises:
        ValueError: when `augment` is none of none, flip and crop5.
    """
    if augment not in get_args(Augmentation):
        raise ValueError(f"augment must be one of {', '.join(get_args(Augmentation))}, got {augment!r}.")


def split_pooling(pooling: str) -> tuple[str, str]:
    """Return the pooling and the augmentation of a recorded pooling.

    >>> split_pooling("cls, mean of flip"), split_pooling("pooler_output")
    (('cls', 'flip'), ('pooler_output', 'none'))
    """
    base, _, augment = pooling.partition(_BY)
    return base, augment or "none"


def averaged_pooling(pooling: str, augment: str) -> str:
    """Return the pooling that is recorded for an augmented encoder; see `split_pooling`."""
    return f"{pooling}{_BY}{augment}"


def flip(image: Image.Image) -> list[Image.Image]:
    """Return an image and its mirror image."""
    from PIL import Image as PILImage

    return [image, image.transpose(PILImage.Transpose.FLIP_LEFT_RIGHT)]


def crop5(image: Image.Image) -> list[Image.Image]:
    """Return five squares of an image, of 7/8 of its short side: the corners, then the centre."""
    side = max(1, round(_CROP * min(image.size)))
    right, bottom = image.width - side, image.height - side
    corners = [(0, 0), (right, 0), (0, bottom), (right, bottom), (right // 2, bottom // 2)]
    return [image.crop((left, top, left + side, top + side)) for left, top in corners]


_VARIANTS: dict[str, Callable[[Image.Image], list[Image.Image]]] = {"flip": flip, "crop5": crop5}


@dataclass(frozen=True)
class _Transform:
    """Pixels of every variant of an image."""

    inner: Transform
    augment: str

    @property
    def draft_side(self) -> int | None:
        """The side that the transform of one variant asks for, of the whole image."""
        side: int | None = getattr(self.inner, "draft_side", None)
        return math.ceil(side / _CROP) if side is not None and self.augment == "crop5" else side

    def __call__(self, image: Image.Image) -> NDArray[Any]:
        return np.stack([self.inner(variant) for variant in _VARIANTS[self.augment](image)])


class AveragedEncoder:
    """An encoder that returns the mean feature of several variants of an image; recorded in its pooling.

    Attributes:
        preprocess: picklable transform of one image to the pixels of every variant.
    """

    def __init__(self, encoder: Encoder, augment: str) -> None:
        """Wrap an encoder.

        Args:
            encoder: encodes each variant.
            augment: `flip`, an image and its mirror image; or `crop5`, its corners and centre.

        Raises:
            ValueError: for another augmentation.
        """
        check_augmentation(augment)
        if augment == "none":
            raise ValueError(
                "an average needs several variants of an image: augment must be flip or crop5, got 'none'."
            )
        self._encoder = encoder
        self.preprocess: Transform = _Transform(encoder.preprocess, augment)
        self._info = replace(encoder.info, pooling=averaged_pooling(encoder.info.pooling, augment))

    @property
    def info(self) -> EncoderInfo:
        """Which encoder this is: the inner one, its pooling averaged."""
        return self._info

    def __call__(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return the (B, D) mean features of (B, variants, …) pixels."""
        return self.start(pixels)()

    def start(self, pixels: NDArray[Any]) -> Callable[[], NDArray[np.float32]]:
        """Start a batch and return a function that waits for its features; see `starter`."""
        batch, variants = pixels.shape[:2]
        features = starter(self._encoder)(np.ascontiguousarray(pixels.reshape(batch * variants, *pixels.shape[2:])))
        return lambda: np.asarray(features().reshape(batch, variants, -1).mean(axis=1), dtype=np.float32)
