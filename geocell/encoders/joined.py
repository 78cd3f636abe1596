"""Several encoders as one, whose features stand side by side: what heads of different encoders are asked with.

The facts of its `EncoderInfo` are those of its parts, joined by " + ", so that a cache or a head that records it says
which encoders to load.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.encoders.info import EncoderInfo
from geocell.encoders.protocol import Encoder, starter
from geocell.images.transforms import Transform

if TYPE_CHECKING:
    from PIL import Image

AND = " + "

_PROBE = 64  # side of the image by which the shapes of pixels are found


def joined_order(infos: Sequence[EncoderInfo]) -> list[int]:
    """Return the order in which encoders stand side by side: by name, revision and pooling, whoever joins them.

    Raises:
        ValueError: for fewer than two, one that is not pinned, one that comes twice, or one that is joined already.
    """
    if len(infos) < 2:
        raise ValueError(f"encoders are joined from two on, got {len(infos)}.")
    for part in infos:
        if not part.is_pinned:
            raise ValueError(
                f"the encoder {part.name} is not pinned to a commit, and is joined only once it is: encode with it, or "
                "use a head of it once."
            )
        facts = (part.name, part.revision, part.pooling, part.processor, part.source)
        if any(AND in fact for fact in facts):
            raise ValueError(f"the encoder {part.name} is joined of several already: join all of them at once.")
    keys = [(part.name, part.revision, part.pooling, part.processor) for part in infos]
    if len(set(keys)) < len(keys):
        raise ValueError(f"different encoders are joined, got {infos[0].name} twice: leave one out.")
    return sorted(range(len(infos)), key=lambda i: keys[i])


def joined_info(infos: Sequence[EncoderInfo]) -> EncoderInfo:
    """Return the description of encoders whose features stand side by side, in their `joined_order`.

    Raises:
        ValueError: see `joined_order`.
    """
    parts = [infos[i] for i in joined_order(infos)]

    def joined(name: str) -> str:
        return AND.join(getattr(part, name) for part in parts)

    return EncoderInfo(
        name=joined("name"),
        revision=joined("revision"),
        pooling=joined("pooling"),
        dim=sum(part.dim for part in parts),
        image_size=max(part.image_size for part in parts),
        processor=joined("processor"),
        dtype=joined("dtype"),
        source=joined("source"),
    )


def split_info(info: EncoderInfo) -> list[EncoderInfo]:
    """Return the descriptions of what was joined, whose `dim` and `image_size` are 0, not known; or the one encoder."""
    names = info.name.split(AND)
    if len(names) == 1:
        return [info]
    facts = {name: getattr(info, name).split(AND) for name in ("revision", "pooling", "processor", "dtype", "source")}
    if info.source == "":
        facts["source"] = [""] * len(names)
    if any(len(values) != len(names) for values in facts.values()):
        raise ValueError(
            f"a joined encoder must have a revision, pooling, processor, dtype and source of each of {info.name}: join "
            "the features again."
        )
    return [
        EncoderInfo(
            name=name,
            revision=facts["revision"][i],
            pooling=facts["pooling"][i],
            dim=0,
            image_size=0,
            processor=facts["processor"][i],
            dtype=facts["dtype"][i],
            source=facts["source"][i],
        )
        for i, name in enumerate(names)
    ]


@dataclass(frozen=True)
class _Transform:
    """The pixels of an image for every encoder, as bytes one after the other: they differ in shape and type."""

    parts: tuple[Transform, ...]

    @property
    def draft_side(self) -> int | None:
        """The side that every part asks for, so that images are decoded as for one alone; None where they differ."""
        sides: set[int | None] = {getattr(part, "draft_side", None) for part in self.parts}
        return sides.pop() if len(sides) == 1 else None

    def __call__(self, image: Image.Image) -> NDArray[Any]:
        found = [np.ascontiguousarray(part(image)) for part in self.parts]
        return np.concatenate([pixels.view(np.uint8).reshape(-1) for pixels in found])


class JoinedEncoder:
    """Encoders whose features stand side by side.

    Attributes:
        preprocess: picklable transform of one image to the pixels of every encoder.
    """

    def __init__(self, encoders: Sequence[Encoder]) -> None:
        """Join encoders.

        Args:
            encoders: from two on; they are put into their `joined_order`.

        Raises:
            ValueError: see `joined_order`.
        """
        from PIL import Image as PILImage

        encoders = [encoders[i] for i in joined_order([encoder.info for encoder in encoders])]
        self._encoders = tuple(encoders)
        self._info = joined_info([encoder.info for encoder in encoders])
        self.preprocess: Transform = _Transform(tuple(encoder.preprocess for encoder in encoders))
        probe = PILImage.new("RGB", (_PROBE, _PROBE))
        self._layout = [
            (pixels.dtype, pixels.shape) for pixels in (np.asarray(encoder.preprocess(probe)) for encoder in encoders)
        ]

    @property
    def info(self) -> EncoderInfo:
        """Which encoders these are."""
        return self._info

    def __call__(self, pixels: NDArray[Any]) -> NDArray[np.float32]:
        """Return the (B, D) features of (B, bytes) pixels."""
        return self.start(pixels)()

    def start(self, pixels: NDArray[Any]) -> Callable[[], NDArray[np.float32]]:
        """Start a batch in every encoder and return a function that waits for its features; see `starter`."""
        waiting, first = [], 0
        for encoder, (dtype, shape) in zip(self._encoders, self._layout, strict=True):
            last = first + dtype.itemsize * int(np.prod(shape))
            part = np.ascontiguousarray(pixels[:, first:last]).view(dtype).reshape(len(pixels), *shape)
            waiting.append(starter(encoder)(part))
            first = last
        return lambda: np.concatenate([np.asarray(features(), dtype=np.float32) for features in waiting], axis=1)
