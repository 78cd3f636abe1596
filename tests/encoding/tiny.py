"""An encoder of a few lines that needs no torch, and images that are broken in every way."""

import os
import signal
import struct
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from geocell.encoders.info import EncoderInfo
from geocell.images.transforms import PillowTransform, Transform

SMALL = PillowTransform((16, 16), None, Image.Resampling.BILINEAR)


@dataclass(frozen=True)
class TinyEncoder:
    """Eight sums over the pixels of a 16 x 16 image, the same whatever the batch."""

    preprocess: Transform = SMALL
    pause: float = 0.0
    dtype: str = "float32"

    @property
    def info(self) -> EncoderInfo:
        return EncoderInfo("tiny", "1", "pooler_output", 8, 16, "none", self.dtype, "tiny")

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        time.sleep(self.pause)
        return pixels.reshape(len(pixels), 8, -1).astype(np.float64).mean(2).astype(np.float32)


@dataclass(frozen=True)
class Trapped:
    """A transform with traps: an image of one of these widths hangs, kills its process, or has another shape."""

    inner: PillowTransform = SMALL
    hangs: int = 101
    kills: int = 102
    misshapes: int = 103

    def __call__(self, image: Image.Image) -> np.ndarray:
        if image.width == self.hangs:
            time.sleep(3600)
        if image.width == self.kills:
            os._exit(9)
        pixels = self.inner(image)
        return pixels[:-1] if image.width == self.misshapes else pixels


def noise(width: int = 40, height: int = 30, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def _cut(path: Path, kind: str) -> None:
    noise(64, 64).save(path, format=kind)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _animated(path: Path, kind: str) -> None:
    noise().save(path, format=kind, save_all=True, append_images=[noise(seed=1)])


def _bomb(path: Path) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0")) + chunk(b"IEND", b"")
    )


BROKEN: dict[str, Callable[[Path], object]] = {
    "truncated": lambda p: _cut(p, "JPEG"),
    "broken data stream|truncated": lambda p: _cut(p, "PNG"),
    "cannot identify image file": lambda p: p.write_bytes(b""),
    "cannot identify ": lambda p: p.write_text("<html>404</html>"),
    "animated: 2 frames": lambda p: _animated(p, "GIF"),
    "animated: 2 frames ": lambda p: _animated(p, "WEBP"),
    "too large: more than": _bomb,
    "too narrow: 900 x 10": lambda p: noise(900, 10).save(p, "PNG"),
    "Is a directory": lambda p: p.mkdir(),
    "no such file": lambda p: p.with_suffix(".gone").symlink_to("nowhere"),
    "mode F has no known range|mode F have": lambda p: Image.fromarray(np.zeros((9, 9), np.float32)).save(p, "TIFF"),
    "took longer than": os.mkfifo,  # opening it waits for a writer that never comes
    "took longer than ": lambda p: noise(101).save(p, "PNG"),
    "died": lambda p: noise(102).save(p, "PNG"),
    "gave |u1": lambda p: noise(103).save(p, "PNG"),
}
"""What is wrong -> how to make such a file; the keys are what their status must say, one of the alternatives."""


def _turned(path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    noise().save(path, "JPEG", exif=exif)


ODD: list[Callable[[Path], object]] = [
    lambda p: noise().convert("CMYK").save(p, "JPEG"),
    lambda p: Image.fromarray(np.full((20, 20), 40_000, np.uint16)).save(p, "PNG"),
    _turned,
    lambda p: noise().convert("P").save(p, "GIF"),
    lambda p: noise().convert("LA").save(p, "PNG"),
    lambda p: noise().save(p, "MPO", save_all=True, append_images=[noise(seed=1)]),
    lambda p: noise().save(p, "TIFF", save_all=True, append_images=[noise(seed=1)]),
    lambda p: noise().save(p, "WEBP"),
]
"""Unusual images that are no worse than others."""


@dataclass(frozen=True)
class SelfKilling(TinyEncoder):
    """A TinyEncoder whose process dies in its third batch, once: `marker` remembers."""

    marker: str = ""
    calls: list[int] = field(default_factory=list)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        self.calls.append(len(pixels))
        if len(self.calls) == 3 and not Path(self.marker).exists():
            Path(self.marker).write_text("1")
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(pixels)
