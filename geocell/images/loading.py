"""Loading one image: from the bytes of its file to the pixels of an encoder, or to the reason why there are none.

Worker processes run this: it imports Pillow and numpy, and nothing heavier.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.files import require_open_files
from geocell.images.opening import RefusedImageError, open_image, require_decodable
from geocell.images.sources import ImageSource

if TYPE_CHECKING:
    from PIL import Image

    from geocell.images.transforms import Transform

MAX_ASPECT = 40
"""Images narrower than 1 : 40 are refused: resized by their short side, they would become enormous."""
_ANIMATIONS = frozenset({"GIF", "PNG", "WEBP", "AVIF"})  # several pages or pictures of other formats are no animation


@dataclass(frozen=True)
class Loader:
    """Loads the pixels of a reference; picklable, so that worker processes can do it.

    Attributes:
        source: reads the bytes of an image by its reference.
        transform: one upright RGB image -> pixels of the encoder.
        shape: of the pixels of every image.
        dtype: of the same.
    """

    source: ImageSource
    transform: Transform
    shape: tuple[int, ...]
    dtype: str

    @classmethod
    def from_probe(cls, source: ImageSource, transform: Transform) -> Loader:
        """Return a loader whose shape and dtype are those of a transformed blank image."""
        from PIL import Image

        probe = transform(Image.new("RGB", (64, 64)))
        return cls(source, transform, probe.shape, probe.dtype.str)

    def __call__(self, reference: str) -> tuple[NDArray[Any] | None, str]:
        """Return the pixels of an image and an empty problem, or None and why it has none.

        Raises:
            TooManyOpenError: when it could not be opened for the number of open files.
        """
        try:
            data = self.source.read(reference)
        except FileNotFoundError:
            return None, "no such file"
        except OSError as error:  # the source's own message
            require_open_files(error, reference)
            return None, str(error)
        except Exception as error:  # a custom source may raise anything; it concerns this image alone
            require_open_files(error, reference)
            return None, _one_line(error)
        pixels, problem = load_pixels(io.BytesIO(data), self.transform)
        if pixels is not None and (pixels.shape != self.shape or pixels.dtype.str != self.dtype):
            return (
                None,
                f"the encoder's transform gave {pixels.dtype.str} {pixels.shape}, not {self.dtype} {self.shape}",
            )
        return pixels, problem


def load_pixels(image: Path | str | io.BytesIO | Image.Image, transform: Transform) -> tuple[NDArray[Any] | None, str]:
    """Return the pixels of an image and an empty problem, or None and why it has none.

    Raises:
        TooManyOpenError: when it could not be opened for the number of open files.
    """
    from PIL import Image, ImageOps

    try:
        with nullcontext(image) if isinstance(image, Image.Image) else open_image(image) as opened:
            problem = _refusal(opened)
            if problem:
                return None, problem
            upright: Image.Image = opened
            if opened is image:  # the caller's: not changed
                require_decodable(opened)
                upright = ImageOps.exif_transpose(opened)
            else:
                side: int | None = getattr(transform, "draft_side", None)
                if side is not None:
                    opened.draft(None, (side, side))  # a JPEG's smallest fraction with these sides; else nothing
                ImageOps.exif_transpose(opened, in_place=True)  # a copy would take half as long as decoding
            return transform(_to_rgb(upright)), ""
    except Exception as error:
        return None, problem_of(error, image if isinstance(image, Path | str) else "an image")


def problem_of(error: Exception, image: Path | str) -> str:
    """Return why an image could not be opened or decoded, in one line: the same wherever its file lies.

    Raises:
        TooManyOpenError: when it could not be opened for the number of open files.
    """
    from PIL import UnidentifiedImageError

    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, RefusedImageError):
        return str(error)
    if isinstance(error, UnidentifiedImageError):  # Pillow's text has a path, or the address of an object
        return "cannot identify image file"
    require_open_files(error, image)
    return _one_line(error)


@contextmanager
def pillow_silenced() -> Iterator[None]:
    """Silence the warnings of Pillow in all threads: an image is read all the same, or its row says why not."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


def _refusal(image: Image.Image) -> str:
    """Return why an image that opens is not decoded, or nothing."""
    if max(image.size) > MAX_ASPECT * min(image.size):
        return f"too narrow: {image.width} x {image.height} pixels"
    if image.format in _ANIMATIONS and getattr(image, "is_animated", False):
        return f"animated: {getattr(image, 'n_frames', 2)} frames"
    return ""


def _to_rgb(image: Image.Image) -> Image.Image:
    """Return an RGB image; 16-bit grey is scaled, where Pillow's own conversion clips it to white."""
    from PIL import Image

    if image.mode == "RGB":
        return image  # where Pillow's conversion makes a copy
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in {"I", "F"}:
        raise ValueError(f"pixels of mode {image.mode} have no known range")
    return image.convert("RGB")


def _one_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{type(error).__name__}: {error.strerror}"  # without the path, which is in the row already
    text = f"{type(error).__name__}: {error}".split("\n", maxsplit=1)[0]
    return re.sub(r" <[^>]+ at 0x[0-9a-f]+>", "", text)  # addresses differ from run to run, and bytes must not
