"""Opening image files of unknown origin: raster formats alone, and memory bounded before anything is decoded."""

from __future__ import annotations

import io
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "AVIF": (".avif",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}
"""Formats that are decoded, and the suffixes of their files.

Pillow has more formats, some of which start programs (EPS runs Ghostscript on its content). It opens MPO, which begins
with a JPEG, as one."""
_PLUGINS = {"WEBP": "WebP"}  # modules of Pillow that are not called like their format
IMAGE_SUFFIXES = frozenset(chain.from_iterable(FORMATS.values()))
"""Suffixes, in lower case, by which image files are found in folders and shards."""
MAX_MEGAPIXELS = 144
"""Largest image that is decoded, in 10^6 pixels (a panorama of 16384 x 8192 has 134).

It bounds the memory of each decoding thread to about 8 bytes a pixel, 1.2 GB: four for the decoded image and four for
its rotated or converted copy. Formats whose decoders need more are allowed proportionally fewer pixels.
"""
_BYTES = 8
_MORE_BYTES = {"WEBP": 16, "AVIF": 16}
"""Format -> peak bytes per pixel where that is more than 8; WebP's decoder keeps four copies of its canvas."""
_PROGRESSIVE_JPEG_BYTES = 12  # all coefficients are kept until the last scan: 2 bytes for each of up to 4 channels
_TILE_TAGS = (322, 323)  # TileWidth and TileLength of TIFF


class RefusedImageError(ValueError):
    """An image is not decoded; the message is the reason, in one line."""


def open_image(file: Path | str | io.BytesIO) -> Image.Image:
    """Open an image file without decoding its pixels.

    Raises:
        FileNotFoundError: when there is no such file.
        OSError: when it is no image of `FORMATS` (Pillow's `UnidentifiedImageError`), or cannot be read.
        RefusedImageError: when it has too many pixels.
    """
    from PIL import Image

    _refuse_large_webp(file)
    try:
        image = Image.open(file, formats=_formats())
    except Image.DecompressionBombError as error:
        raise RefusedImageError(f"too large: more than {MAX_MEGAPIXELS} megapixels") from error
    try:
        require_decodable(image)
    except RefusedImageError:
        image.close()
        raise
    return image


@lru_cache
def _formats() -> tuple[str, ...]:
    """Return those of `FORMATS` that this Pillow knows: asking it for another one is an error."""
    from PIL import Image

    for name in FORMATS:  # Image.init() would import the forty others
        with suppress(ImportError):
            import_module(f"PIL.{_PLUGINS.get(name, name.capitalize())}ImagePlugin")
    return tuple(name for name in FORMATS if name in Image.OPEN)


def require_decodable(image: Image.Image) -> None:
    """Refuse an opened image whose decoding takes more memory than `MAX_MEGAPIXELS` allows.

    Raises:
        RefusedImageError: when it does.
    """
    width, height = image.size
    tags = getattr(image, "tag_v2", None)
    if tags is not None:
        width, height = (max(side, _whole(tags.get(tag))) for side, tag in zip(image.size, _TILE_TAGS, strict=True))
    progressive = image.format in {"JPEG", "MPO"} and image.info.get("progressive")
    _require_pixels(width, height, "progressive JPEG" if progressive else image.format or "")


def _require_pixels(width: int, height: int, kind: str) -> None:
    cost = _PROGRESSIVE_JPEG_BYTES if kind == "progressive JPEG" else _MORE_BYTES.get(kind, _BYTES)
    limit = MAX_MEGAPIXELS * _BYTES / cost
    if width * height > limit * 1e6:
        of_kind = f" of a {kind}" if cost != _BYTES else ""
        raise RefusedImageError(f"too large: {width} x {height} pixels, more than {limit:g} megapixels{of_kind}")


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _refuse_large_webp(file: Path | str | io.BytesIO) -> None:
    """Refuse a WebP by its header: Pillow allocates two canvases as it opens one, before the size can be asked for."""
    if isinstance(file, io.BytesIO):
        head = file.getbuffer()[:30].tobytes()
    else:
        with Path(file).open("rb") as opened:
            head = opened.read(30)
    if head[:4] != b"RIFF" or head[8:12] != b"WEBP" or len(head) < 30:
        return
    if head[12:16] == b"VP8X":
        width, height = (1 + int.from_bytes(head[start : start + 3], "little") for start in (24, 27))
    elif head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width, height = (int.from_bytes(head[start : start + 2], "little") & 0x3FFF for start in (26, 28))
    _require_pixels(width, height, "WEBP")
