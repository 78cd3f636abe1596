"""Features of the images that are asked about, and on the way their EXIF positions and thumbnails."""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from geocell.encoding.decode_pool import THREADS, Batch, DecodePool
from geocell.encoding.engine import IMAGE_TIMEOUT
from geocell.files import require_open_files
from geocell.images.loading import Loader, load_pixels, pillow_silenced
from geocell.prediction.inputs import Asked, View
from geocell.views.exif import read_exif_position

if TYPE_CHECKING:
    from PIL import Image

    from geocell.encoders import Encoder

BATCH_SIZE = 32
THUMBNAIL_PX = 168
"""Longest side of a thumbnail: twice the size at which a page shows it, for screens of high density."""
MOST_THUMBNAILS = 120
"""Views of one run that get a thumbnail."""
THUMBNAILS_PER_LOCATION = 4
_MOST_BYTES = 12_000  # of a thumbnail


@dataclass(frozen=True)
class _ViewSource:
    """The source of views that know their own: a view is its own reference."""

    at_once: int = 4 * THREADS

    def read(self, reference: str) -> bytes:
        raise NotImplementedError  # pragma: no cover - `_ViewLoader` asks the view


class _Transform:
    """The encoder's transform for one view, which leaves the upright image behind."""

    def __init__(self, transform: Any) -> None:  # noqa: ANN401 - a Transform, with a draft or without
        self._transform, self.draft_side = transform, getattr(transform, "draft_side", None)
        self.upright: Image.Image | None = None

    def __call__(self, image: Image.Image) -> NDArray[Any]:
        self.upright = image
        return np.asarray(self._transform(image))


@dataclass(frozen=True)
class _ViewLoader(Loader):
    """Loads views, in threads of this process."""

    def __call__(self, view: Any) -> tuple[NDArray[Any] | None, str]:  # noqa: ANN401 - a View in the place of a text
        """Return the pixels of a view and an empty problem, or None and why it has none."""
        transform = _Transform(self.transform)
        if view.image is not None:
            image, view.image = view.image, None
            result = load_pixels(image, transform)
        else:
            try:
                file = view.read()
            except FileNotFoundError:
                return None, "no such file"
            except OSError as error:  # the source's own sentence
                require_open_files(error, view.name)
                return None, str(error)
            if view.truth is None and view.exif:
                lat, lon, _, problem = read_exif_position(file)
                view.truth = None if problem else (lat, lon)
                file.seek(0)
            result = load_pixels(file, transform)
        if transform.upright is not None and view.wants_thumbnail:
            view.thumbnail = make_thumbnail(transform.upright)
        return result


def make_thumbnail(image: Image.Image) -> bytes:
    """Return a small JPEG file of an upright RGB image, without its metadata; b"" where even the smallest is large."""
    small = image.copy()
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    small.info = {}
    for quality in (72, 50, 30):
        file = io.BytesIO()
        small.save(file, "JPEG", quality=quality, optimize=True)
        if file.tell() <= _MOST_BYTES:
            return file.getvalue()
    return b""


def encode_asked(
    asked: Iterable[Asked], encoder: Encoder, *, thumbnails: int = MOST_THUMBNAILS, exif: bool = True
) -> Iterator[tuple[Asked, NDArray[np.float32]]]:
    """Yield every location with the (V', D) features of its readable views; `problem` of the others says why not.

    Some dozens of images are in memory at once, however many there are.

    Args:
        asked: the locations.
        encoder: the encoder.
        thumbnails: how many views get a thumbnail.
        exif: whether positions in EXIF data are read, as the truth.
    """
    waiting: deque[Asked] = deque()
    done: deque[NDArray[np.float32] | None] = deque()  # of each view that is encoded; None without features
    probe = Loader.from_probe(_ViewSource(), encoder.preprocess)
    loader = _ViewLoader(probe.source, probe.transform, probe.shape, probe.dtype)
    with (
        pillow_silenced(),
        DecodePool(loader, workers=0, batch_size=BATCH_SIZE, image_timeout=IMAGE_TIMEOUT) as pool,
    ):
        for batch, pixels in pool.batches(_batches(asked, waiting, thumbnails, exif)):
            features = iter(encoder(pixels)) if len(pixels) else iter(())
            for row, view in enumerate(cast("Sequence[View]", batch.references)):
                view.problem = batch.problems.get(row, "")
                done.append(None if view.problem else next(features))
            while waiting and len(done) >= len(waiting[0].views):
                place = waiting.popleft()
                rows = [row for row in (done.popleft() for _ in place.views) if row is not None]
                yield place, np.stack(rows) if rows else np.empty((0, encoder.info.dim), np.float32)


def _batches(asked: Iterable[Asked], waiting: deque[Asked], thumbnails: int, exif: bool) -> Iterator[Batch]:
    """Yield the views of locations in batches, and note which locations they are."""
    views: list[View] = []
    for place in asked:
        waiting.append(place)
        for number, view in enumerate(place.views):
            view.wants_thumbnail = thumbnails > 0 and number < THUMBNAILS_PER_LOCATION
            thumbnails -= view.wants_thumbnail
            view.exif = exif
            views.append(view)
            if len(views) == BATCH_SIZE:
                yield _batch(views)
                views = []
    if views:
        yield _batch(views)


def _batch(views: list[View]) -> Batch:
    problems = {row: view.problem for row, view in enumerate(views) if view.problem}
    return Batch(0, 0, cast("Sequence[str]", views), problems)
