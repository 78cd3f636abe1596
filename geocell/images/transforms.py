"""Image transforms: one upright RGB image is resized and cropped in bytes; normalisation happens on the device.

Worker processes run transforms, so they are picklable, import no torch and return bytes, a quarter of the size of
floats. Pillow resizes to bytes anyway, so normalising later changes only the last bit of a float.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

Transform = Callable[["Image.Image"], NDArray[Any]]
"""One upright RGB image -> an array whose shape and dtype are the same for every image; picklable.

With a `draft_side` (see `PillowTransform`) it may receive a large JPEG at a half, a quarter or an eighth of its size.
"""
_DRAFT_GAP = 2


@dataclass(frozen=True)
class PillowTransform:
    """Resize, then crop the centre, by Pillow alone.

    Attributes:
        size: length of the short side in pixels, the aspect ratio kept; or (height, width).
        crop: (height, width) of the centre that is kept; None keeps all of it.
        resample: Pillow's number of the filter.
        long_side: how the length of the long side is rounded.
        centre: how the margin of the crop is rounded; `round` is to even, as torchvision does.
        draft: whether JPEG files are decoded at a fraction of their size where they are large; see `draft_side`.
    """

    size: int | tuple[int, int]
    crop: tuple[int, int] | None
    resample: int
    long_side: Literal["floor", "round"] = "floor"
    centre: Literal["floor", "round"] = "floor"
    draft: bool = False

    @property
    def draft_side(self) -> int | None:
        """Minimum length of both sides of an image that is decoded at a fraction of its size.

        Twice the resized length, Pillow's own choice for thumbnails; None decodes at full size.
        """
        if not self.draft:
            return None
        return _DRAFT_GAP * (self.size if isinstance(self.size, int) else max(self.size))

    def __call__(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return (H, W, 3) bytes."""
        resized = image.resize(self._resized(image.width, image.height), self.resample)
        if self.crop is not None:
            height, width = self.crop
            left, top = (resized.width - width) / 2, (resized.height - height) / 2
            left, top = (round(left), round(top)) if self.centre == "round" else (int(left // 1), int(top // 1))
            resized = resized.crop((left, top, left + width, top + height))
        return np.asarray(resized)

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        if not isinstance(self.size, int):
            return self.size[1], self.size[0]
        if self.long_side == "round":
            scale = self.size / min(width, height)
            return max(self.size, round(width * scale)), max(self.size, round(height * scale))
        if width <= height:
            return self.size, int(self.size * height / width)
        return int(self.size * width / height), self.size


@dataclass(frozen=True)
class ProcessorTransform:
    """The steps of a transformers image processor before it scales and normalises.

    Attributes:
        processor: the image processor.
    """

    processor: Any

    def __call__(self, image: Image.Image) -> NDArray[Any]:
        """Return (H, W, 3) pixels."""
        pixels = self.processor(images=image, do_rescale=False, do_normalize=False)["pixel_values"][0]
        return np.ascontiguousarray(np.moveaxis(np.asarray(pixels), 0, -1))


@dataclass(frozen=True)
class Normalisation:
    """Normalisation of a pixel value x on the device: `(x * scale - mean) / std`, per channel, in float32.

    Attributes:
        scale: factor of the byte.
        mean: of each channel, after scaling.
        std: of each channel, after scaling.
    """

    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]


def transform_of(processor: Any) -> Transform:  # noqa: ANN401 - a class of transformers
    """Return the transform of a transformers image processor.

    It is a `PillowTransform` where that gives the processor's bytes on probe images, and the processor otherwise.
    """
    whole = ProcessorTransform(processor)
    light = pillow_transform(processor)
    return light if light is not None and all(_same_bytes(light, whole, probe) for probe in _probes()) else whole


def pillow_transform(processor: Any) -> PillowTransform | None:  # noqa: ANN401 - a class of transformers
    """Return the Pillow transform of an image processor's settings; None when Pillow alone cannot do it."""
    settings = processor.to_dict()
    size = settings.get("size") or {}
    short_side = size.get("shortest_edge")
    crop = settings.get("crop_size") or {}
    if not settings.get("do_resize") or (short_side is None and "height" not in size) or settings.get("do_pad"):
        return None
    return PillowTransform(
        size=int(short_side) if short_side else (int(size["height"]), int(size["width"])),
        crop=(int(crop["height"]), int(crop["width"])) if settings.get("do_center_crop") else None,
        resample=int(settings.get("resample") or 0),
    )


def normalisation_of(processor: Any) -> Normalisation:  # noqa: ANN401 - a class of transformers
    """Return how a transformers image processor scales and normalises."""
    settings = processor.to_dict()
    scale = float(settings["rescale_factor"]) if settings.get("do_rescale") else 1.0
    if not settings.get("do_normalize"):
        return Normalisation(scale, (0.0,) * 3, (1.0,) * 3)
    return Normalisation(scale, tuple(map(float, settings["image_mean"])), tuple(map(float, settings["image_std"])))


def _probes() -> list[Image.Image]:
    """Return a wide, a tall and a small image with sides of no common divisor."""
    from PIL import Image

    random = np.random.default_rng(0)
    shapes = ((397, 613), (541, 389), (83, 101))
    return [Image.fromarray(random.integers(0, 256, (*shape, 3), dtype=np.uint8)) for shape in shapes]


def _same_bytes(light: Transform, whole: Transform, image: Image.Image) -> bool:
    try:
        ours, theirs = light(image), whole(image)
    except (ValueError, TypeError, KeyError):  # the processor itself is used then
        return False
    return ours.dtype == theirs.dtype and np.array_equal(ours, theirs)
