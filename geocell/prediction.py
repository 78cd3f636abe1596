"""Prediction: from images, or cached features, to the cells and the point that a head answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.decoders import decode as decode_posterior
from geocell.locations import Locations

if TYPE_CHECKING:
    from PIL import Image

    from geocell.encoders import Encoder
    from geocell.head import Head


@dataclass(frozen=True)
class CellGuess:
    """One of the most probable cells.

    Attributes:
        cell: class index.
        name: the cell's name in its partition.
        probability: its probability.
        lat: latitude of its centroid in degrees.
        lon: longitude of its centroid in degrees.
    """

    cell: int
    name: str
    probability: float
    lat: float
    lon: float


@dataclass(frozen=True)
class Prediction:
    """What a head answers for one location.

    Attributes:
        location: its id, or the images it was asked about.
        lat: decoded latitude in degrees.
        lon: decoded longitude in degrees.
        decoder: which decoder turned the posterior into the point.
        cells: the K most probable cells, most probable first.
    """

    location: str
    lat: float
    lon: float
    decoder: str
    cells: tuple[CellGuess, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


def predict(
    head: Head,
    images: Sequence[Path | str | Image.Image],
    encoder: Encoder,
    *,
    one_location: bool = False,
    top_k: int = 5,
    decode: str = "centroid",
) -> list[Prediction]:
    """Answer where images were taken.

    Args:
        head: the head.
        images: paths or Pillow images.
        encoder: the encoder the head was fitted on; another is refused.
        one_location: whether all images are views of one location, or each is a location of its own.
        top_k: K, at most the number of cells.
        decode: name of the decoder.

    Returns:
        One prediction per location.

    Raises:
        ValueError: for another encoder, an unreadable image, or a bad `top_k`.
    """
    from geocell.encoding import encode_images

    head.encoder.require_same(encoder.info, "the head", "the encoder")
    if not images:
        raise ValueError("predict needs at least one image, got none.")
    features = encode_images(images, encoder)
    counts = [len(images)] if one_location else [1] * len(images)
    offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    names = [str(image) if isinstance(image, Path | str) else f"image {i}" for i, image in enumerate(images)]
    ids = [", ".join(names[first:last]) for first, last in pairwise(offsets)]
    unknown = np.full((len(counts), 2), np.nan)
    rows = np.arange(len(images))
    locations = Locations(np.asarray(ids, dtype=object), unknown, features, rows, offsets, encoder.info, {})
    return predict_locations(head, locations, top_k=top_k, decode=decode)


def predict_locations(
    head: Head, locations: Locations, *, top_k: int = 5, decode: str = "centroid"
) -> list[Prediction]:
    """Answer for locations whose features are there; see `predict`."""
    if top_k < 1:
        raise ValueError(f"top_k must be at least 1, got {top_k}.")
    posterior = head.posterior(locations)
    points = decode_posterior(decode, posterior, head.partition.centroids)
    best = np.argsort(-posterior, axis=1, kind="stable")[:, :top_k]
    return [
        Prediction(str(location), float(point[0]), float(point[1]), decode, _guesses(head, row, cells))
        for location, point, row, cells in zip(locations.ids, points, posterior, best, strict=True)
    ]


def _guesses(head: Head, row: NDArray[np.float32], cells: NDArray[np.int64]) -> tuple[CellGuess, ...]:
    partition = head.partition
    return tuple(
        CellGuess(int(c), partition.names[c], float(row[c]), *(float(x) for x in partition.centroids[c])) for c in cells
    )
