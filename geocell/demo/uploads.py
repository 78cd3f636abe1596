"""Uploaded photographs: bounded in number, bytes and pixels, read as images of unknown origin, and gone afterwards."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geocell.images.opening import open_image
from geocell.prediction.encoding import encode_asked
from geocell.prediction.inputs import Asked, View

if TYPE_CHECKING:
    from geocell.encoders import Encoder

MOST_PHOTOGRAPHS = 4
"""Photographs of one location."""
MOST_BYTES = 25 << 20
"""Of one uploaded file."""
MOST_MEGAPIXELS = 64
"""Of one photograph, in 10^6 pixels: decoding takes about 8 bytes a pixel, and everybody on the net may send one."""


@dataclass(frozen=True, eq=False)
class Photograph:
    """What is kept of an uploaded photograph.

    Attributes:
        features: of each encoder of the demo, (D,) float16.
        thumbnail: a small JPEG file of it, without its metadata.
    """

    features: tuple[NDArray[np.float16], ...] = field(repr=False)
    thumbnail: bytes = field(repr=False)


@dataclass(frozen=True)
class UploadedFiles:
    """The image source of uploaded files: a reference is the path of one."""

    at_once: int = 1

    def read(self, reference: str) -> bytes:
        """Return the bytes of a file that is small enough.

        Raises:
            FileNotFoundError: when there is no such file.
            OSError: when it has too many bytes or pixels.
        """
        with Path(reference).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise OSError(f"too large: more than {MOST_BYTES >> 20} MB")
        try:
            with open_image(io.BytesIO(data)) as image:
                width, height = image.size
        except Exception:  # what is no image is refused with its reason when it is decoded
            return data
        if width * height > MOST_MEGAPIXELS * 1e6:
            raise OSError(f"too large: {width} x {height} pixels, more than {MOST_MEGAPIXELS} megapixels")
        return data


def read_photographs(
    paths: Sequence[str | Path], encoders: Sequence[Encoder], room: int = MOST_PHOTOGRAPHS
) -> tuple[list[Photograph], list[str]]:
    """Return photographs by uploaded files, and a sentence for each file that is not among them. All files are removed.

    Positions in EXIF data are not read, and the names of files are not kept.

    Args:
        paths: the files, in their order.
        encoders: what makes the features, one after the other.
        room: how many photographs there is room for.
    """
    files = [Path(path) for path in paths]
    try:
        return _read(files[:room], encoders, _left_out(len(files), room))
    finally:
        for file in files:
            file.unlink(missing_ok=True)


def _left_out(n: int, room: int) -> list[str]:
    if n <= room:
        return []
    return [f"A location has at most {MOST_PHOTOGRAPHS} photographs here: {n - room} of {n} are left out."]


def _read(files: Sequence[Path], encoders: Sequence[Encoder], remarks: list[str]) -> tuple[list[Photograph], list[str]]:
    found: list[list[NDArray[np.float16]]] = [[] for _ in files]
    thumbnails, problems = [b""] * len(files), [""] * len(files)
    for encoder in encoders:
        asked = [
            Asked(str(i), [View(f"photograph {i + 1}", str(file), UploadedFiles())]) for i, file in enumerate(files)
        ]
        for i, (one, features) in enumerate(encode_asked(asked, encoder, exif=False)):
            view = one.views[0]
            thumbnails[i], problems[i] = view.thumbnail or thumbnails[i], view.problem or problems[i]
            found[i] += [row.astype(np.float16) for row in features]
    photographs = [
        Photograph(tuple(features), thumbnail)
        for features, thumbnail, problem in zip(found, thumbnails, problems, strict=True)
        if not problem
    ]
    remarks += [f"Photograph {i + 1} cannot be read: {problem}." for i, problem in enumerate(problems) if problem]
    return photographs, remarks
