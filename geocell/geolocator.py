"""The whole of inference as one object: images in, places out."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, Union, cast, overload

import numpy as np
from numpy.typing import NDArray

from geocell.encoders import Encoder, encoder_for
from geocell.head import Head
from geocell.head_files import load_head
from geocell.locations import Locations
from geocell.prediction import Prediction, Predictions, predict_locations, require_answer

if TYPE_CHECKING:
    from PIL import Image

ImageLike: TypeAlias = Union[str, Path, "Image.Image", NDArray[Any]]
"""One image: a path, an http(s) URL, a Pillow image, or an array (H, W, 3) or (H, W) of bytes."""

_AT_ONCE = 256  # images that are open at the same time


@dataclass(frozen=True, eq=False)
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

    @classmethod
    def load(cls, name: str | Path, *, encoder: str | None = None, device: str = "auto") -> Geolocator:
        """Load a head, and its encoder at the revision that the head records.

        Args:
            name: folder of the head, or `user/repo@revision` on the Hub.
            encoder: where to load the encoder from, when not from where the head's features were made.
            device: cpu, cuda, mps, or auto for the fastest there is.

        Raises:
            FileNotFoundError: when head or encoder are not there.
            PermissionError: when the head's repository is gated.
            ConnectionError: when the Hub cannot be reached, or fails.
            ValueError: when the head is damaged, or the encoder is another one.
        """
        head = load_head(name)
        return cls(head, encoder_for(head.encoder, device, encoder), device)

    @overload
    def locate(  # type: ignore[overload-overlap]  # a path is text, and text is a sequence of texts
        self, images: ImageLike, *, top_k: int = 5, decode: str = "centroid"
    ) -> Prediction: ...
    @overload
    def locate(
        self, images: Sequence[ImageLike], *, one_location: Literal[True], top_k: int = 5, decode: str = "centroid"
    ) -> Prediction: ...
    @overload
    def locate(
        self, images: Sequence[ImageLike | Sequence[ImageLike]], *, top_k: int = 5, decode: str = "centroid"
    ) -> Predictions: ...
    def locate(
        self,
        images: ImageLike | Sequence[ImageLike | Sequence[ImageLike]],
        *,
        one_location: bool = False,
        top_k: int = 5,
        decode: str = "centroid",
    ) -> Prediction | Predictions:
        """Answer where images were taken.

        Features are rounded as a feature cache keeps them, so that an image gets the answer that was scored.

        Args:
            images: one image; or a list with one item per location, an image or a list of its views.
            one_location: the images of the list are views of one location.
            top_k: K, how many cells to name.
            decode: name of the decoder.

        Returns:
            One prediction for one image or one location, else one per location.

        Raises:
            ValueError: for no image, one that cannot be read, a bad `top_k`, or a decoder that is unknown or not for
                this head.
        """
        from geocell.encoding import encode_images

        require_answer(top_k, decode, self.head)
        single = not isinstance(images, list | tuple) and not (isinstance(images, np.ndarray) and images.ndim == 4)
        one = single or one_location
        items = cast(list[ImageLike], [images] if single else images)
        places = [_views(item) for item in ([items] if one_location and not single else items)]
        if not places:
            raise ValueError("locate needs at least one image, got none.")
        views = [view for place in places for view in place]
        left = enumerate(views)
        parts = []
        while part := list(islice(left, _AT_ONCE)):
            parts.append(encode_images([_opened(view, i) for i, view in part], self.encoder))
        features = np.concatenate(parts).astype(np.float16)
        offsets = np.cumsum([0, *map(len, places)]).astype(np.int64)
        names = _names(places)
        ids = np.array([", ".join(islice(names, len(place))) for place in places], dtype=object)
        unknown = np.full((len(places), 2), np.nan)
        locations = Locations(ids, unknown, features, np.arange(len(views)), offsets, self.encoder.info, {})
        answers = predict_locations(self.head, locations, top_k=top_k, decode=decode, device=self.device)
        return answers[0] if one else answers


def _views(place: ImageLike | Sequence[ImageLike]) -> list[ImageLike]:
    """Return the views of one location."""
    if isinstance(place, np.ndarray) and place.ndim == 4:
        return list(place)
    if not isinstance(place, list | tuple):
        return [place]  # type: ignore[list-item]
    if not place or any(isinstance(view, list | tuple) for view in place):
        raise ValueError("a location must be an image or a list of images, got an empty list or lists inside its list.")
    return list(place)


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
    from PIL import Image

    from geocell.image_sources import FileImages

    try:
        return Image.open(io.BytesIO(FileImages().read(url)))
    except OSError as error:
        raise ValueError(f"{url} must be a readable image, got {error}: check the address.") from error


def _names(places: Sequence[Sequence[ImageLike]]) -> Iterator[str]:
    """Yield what a view is called: its path or address, or its place in the list."""
    views = (view for place in places for view in place)
    for i, view in enumerate(views):
        yield str(view) if isinstance(view, str | Path) else f"image {i}"
