"""The whole of inference as one object: images in, places out."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Union, overload

import numpy as np
from numpy.typing import NDArray

from geocell.decoders.table import AnyDecoder
from geocell.encoders import Encoder, encoder_for
from geocell.features.locations import Locations
from geocell.heads.head import Head, load_head
from geocell.prediction.predictions import Predictions, predict_locations, require_answer
from geocell.prediction.records import Prediction

if TYPE_CHECKING:
    from PIL import Image

ImageLike: TypeAlias = Union[str, Path, "Image.Image", NDArray[Any]]
"""One image: a path, an http(s) URL, a Pillow image, or an array (H, W, 3) or (H, W) of bytes."""

_AT_ONCE = 256  # images that are open at the same time


@dataclass(frozen=True, eq=False, repr=False)
class Geolocator:
    """A head and its encoder.

    Attributes:
        head: the head.
        encoder: the encoder that its features come from; another is refused.
        device: where the head computes.
    """

    head: Head
    encoder: Encoder
    device: str = "auto"

    def __post_init__(self) -> None:
        """Check that the two belong together."""
        self.head.encoder.require_same(self.encoder.info, "the head", "the encoder")

    def __repr__(self) -> str:
        """Return the head."""
        return f"<Geolocator of {self.head!r}>"

    @classmethod
    def load(
        cls,
        name: str | Path,
        *,
        encoder: str | None = None,
        device: str = "auto",
        partitioner: str | None = None,
    ) -> Geolocator:
        """Load a head, and its encoder at the revision that the head records.

        Args:
            name: folder of the head, or `user/repo@revision` on the Hub.
            encoder: where to load the encoder from, when not from where the head's features were made.
            device: cpu, cuda, mps, or auto for the fastest there is.
            partitioner: `module:attribute` of the partitioner, for a head on cells of a custom kind.

        Raises:
            FileNotFoundError: when head or encoder are not there.
            PermissionError: when the head's repository is gated.
            ConnectionError: when the Hub cannot be reached, or fails.
            ValueError: when the head is damaged, or the encoder is another one.
        """
        head = load_head(name, partitioner)
        return cls(head, encoder_for(head.encoder, device, encoder), device)

    @overload
    def locate(  # type: ignore[overload-overlap]  # a path is text, and text is a sequence of texts
        self, images: ImageLike, *, top_k: int = 5, decode: AnyDecoder = "centroid"
    ) -> Prediction: ...
    @overload
    def locate(
        self,
        images: Iterable[ImageLike],
        *,
        one_location: Literal[True],
        top_k: int = 5,
        decode: AnyDecoder = "centroid",
    ) -> Prediction: ...
    @overload
    def locate(
        self, images: Iterable[ImageLike | Iterable[ImageLike]], *, top_k: int = 5, decode: AnyDecoder = "centroid"
    ) -> Predictions: ...
    def locate(
        self,
        images: ImageLike | Iterable[ImageLike | Iterable[ImageLike]],
        *,
        one_location: bool = False,
        top_k: int = 5,
        decode: AnyDecoder = "centroid",
    ) -> Prediction | Predictions:
        """Answer where images were taken.

        Features are rounded as a feature cache keeps them, so that an image gets the answer that was scored.

        Args:
            images: one image; or a list with one item per location, an image or a list of its views. A generator or
                any other iterable does for a list, and of its images some hundreds are in memory at once.
            one_location: the images of the list are views of one location.
            top_k: K, how many cells to name.
            decode: the decoder: a name such as `within:200`, or an object.

        Returns:
            One prediction for one image or one location, else one per location.

        Raises:
            ValueError: for no image, one that cannot be read, a bad `top_k`, or a decoder that is unknown or not for
                this head.
        """
        from geocell.encoding import encode_images

        require_answer(top_k, decode, self.head)
        one = one_location or _is_image(images)
        names: list[list[str]] = []
        left = _opened_views([images] if one else _items(images), names)
        parts = []
        while part := list(islice(left, _AT_ONCE)):
            parts.append(encode_images(part, self.encoder))
        if not names:
            raise ValueError("locate needs at least one image, got none.")
        features = np.concatenate(parts).astype(np.float16)
        offsets = np.cumsum([0, *map(len, names)]).astype(np.int64)
        ids = np.array([", ".join(of_place) for of_place in names], dtype=object)
        unknown = np.full((len(names), 2), np.nan)
        locations = Locations(ids, unknown, features, np.arange(len(features)), offsets, self.encoder.info, {})
        answers = predict_locations(self.head, locations, top_k=top_k, decode=decode, device=self.device)
        return answers[0] if one else answers


def _is_image(value: object) -> bool:
    """Return whether this is one image, or an array that was meant as one; else it may be a list of them."""
    from PIL import Image

    if isinstance(value, np.ndarray):
        return value.dtype.kind not in "OU" and value.ndim <= 3
    return isinstance(value, str | os.PathLike | Image.Image)


def _items(value: object) -> Iterable[Any]:
    """Return what can be gone through, if it may be a list of images."""
    if isinstance(value, bytes | bytearray | memoryview | Mapping) or not isinstance(value, Iterable):
        raise ValueError(  # noqa: TRY004 - every image that is none is one kind of error
            f"an image must be a path, an address, a Pillow image or an array, got {type(value).__name__}: pass one of "
            "these, or a list of them."
        )
    return value


def _opened_views(places: Iterable[Any], names: list[list[str]]) -> Iterator[Path | str | Image.Image]:
    """Yield the views of locations as the encoding stage takes them, and put their names into a list per location."""
    count = 0
    for place in places:
        names.append([])
        for view in [place] if _is_image(place) else _items(place):
            if not _is_image(view):
                _items(view)  # says what is neither an image nor a list
                raise ValueError(
                    f"a location must be an image or a list of images, got a {type(view).__name__} inside its list: "
                    "pass one list per location."
                )
            names[-1].append(str(view) if isinstance(view, str | os.PathLike) else f"image {count}")
            yield _opened(view, count)
            count += 1
        if not names[-1]:
            raise ValueError("a location must be an image or a list of images, got an empty list: leave it out.")


def _opened(view: ImageLike, index: int) -> Path | str | Image.Image:
    """Return an image as the encoding stage takes it."""
    from PIL import Image

    if isinstance(view, np.ndarray):
        if view.dtype != np.uint8 or not (view.ndim == 2 or (view.ndim == 3 and view.shape[2] == 3)):
            raise ValueError(
                f"an array must be an image of bytes, uint8 (H, W, 3) or (H, W), got {view.dtype} {view.shape} as view "
                f"{index}: scale and transpose it."
            )
        return Image.fromarray(view)
    return _fetched(view) if isinstance(view, str) and is_address(view) else view


def is_address(view: str) -> bool:
    """Return whether a text is the http(s) address of an image, not a path."""
    return view.startswith(("http://", "https://"))


def _fetched(url: str) -> Image.Image:
    """Return an image of the web."""
    from geocell.images.opening import RefusedImageError, open_image
    from geocell.images.sources import FileImages

    try:
        return open_image(io.BytesIO(FileImages().read(url)))
    except (OSError, RefusedImageError) as error:
        raise ValueError(f"{url} must be a readable image, got {error}: check the address.") from error
