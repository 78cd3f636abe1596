"""Several looks at one image, averaged: flips and crops at encoding time."""

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

Looks = Literal["single", "flip", "crop5"]
_BY = ", mean of "
_CROP = 7 / 8  # side of a crop as a share of the short side: 224 of 256 pixels, as five-crop evaluation has always had


def check_views(views: str) -> None:
    """Refuse looks that are none.

    Raises:
        ValueError: when `views` is none of single, flip and crop5.
    """
    if views not in get_args(Looks):
        raise ValueError(f"views must be one of {', '.join(get_args(Looks))}, got {views!r}.")


def split_pooling(pooling: str) -> tuple[str, str]:
    """Return the pooling and the looks that a recorded pooling means.

    >>> split_pooling("cls, mean of flip"), split_pooling("pooler_output")
    (('cls', 'flip'), ('pooler_output', 'single'))
    """
    base, _, views = pooling.partition(_BY)
    return base, views or "single"


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


_LOOKS: dict[str, Callable[[Image.Image], list[Image.Image]]] = {"flip": flip, "crop5": crop5}


@dataclass(frozen=True)
class _Transform:
    """Pixels of every look at an image."""

    inner: Transform
    views: str

    @property
    def draft_side(self) -> int | None:
        """What the transform of one look asks for, of the whole image."""
        side: int | None = getattr(self.inner, "draft_side", None)
        return math.ceil(side / _CROP) if side is not None and self.views == "crop5" else side

    def __call__(self, image: Image.Image) -> NDArray[Any]:
        return np.stack([self.inner(look) for look in _LOOKS[self.views](image)])


class AveragedEncoder:
    """An encoder that answers the mean of its features over several looks at an image; recorded in its pooling.

    Attributes:
        preprocess: picklable transform of one image to the pixels of every look at it.
    """

    def __init__(self, encoder: Encoder, views: str) -> None:
        """Wrap an encoder.

        Args:
            encoder: what encodes each look.
            views: `flip`, an image and its mirror image; or `crop5`, corners and centre.

        Raises:
            ValueError: for other looks.
        """
        check_views(views)
        if views == "single":
            raise ValueError("an average needs several looks at an image: views must be flip or crop5, got 'single'.")
        self._encoder = encoder
        self.preprocess: Transform = _Transform(encoder.preprocess, views)
        self._info = replace(encoder.info, pooling=f"{encoder.info.pooling}{_BY}{views}")

    @property
    def info(self) -> EncoderInfo:
        """Which encoder this is: the inner one, its pooling averaged."""
        return self._info

    def __call__(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return the (B, D) mean features of (B, looks, …) pixels."""
        return self.start(pixels)()

    def start(self, pixels: NDArray[Any]) -> Callable[[], NDArray[np.float32]]:
        """Begin a batch, and return what waits for its features; see `starter`."""
        batch, looks = pixels.shape[:2]
        features = starter(self._encoder)(np.ascontiguousarray(pixels.reshape(batch * looks, *pixels.shape[2:])))
        return lambda: np.asarray(features().reshape(batch, looks, -1).mean(axis=1), dtype=np.float32)
