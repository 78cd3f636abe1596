"""Whether an exported graph answers as the library does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocell.decoders.base import LocationData, PreparedDecoder
from geocell.encoders import Encoder
from geocell.encoders.manifest import Manifest
from geocell.encoders.onnx_encoder import normalised
from geocell.exporting.graph import Runner
from geocell.features.locations import Locations
from geocell.files import FORMAT
from geocell.geo.geodesy import distance_km
from geocell.heads.head import Head
from geocell.images.loading import load_pixels, pillow_silenced
from geocell.prediction.inputs import asked_inputs

MOST_PHOTOS = 256
MOST_ROWS = 4096
_RANDOM_ROWS = 256
_RANDOM_IMAGES = 8
_BATCH = 32


@dataclass(frozen=True)
class Parity:
    """How an exported graph differs from the library on the same rows.

    Attributes:
        source: what the rows are: photographs, features of a cache, or random numbers.
        rows: how many.
        skipped: photographs that could not be read.
        largest_difference: of a probability.
        top1: share of rows with the same most probable cell.
        top5: share of rows with the same set of five most probable cells.
        decoder: how both were decoded.
        decoded_within_1_km: share of rows whose two points lie within 1 km.
        decoded_max_km: the farthest that two points of one row are apart.
        runtime: what ran the graph.
    """

    source: str
    rows: int
    skipped: int
    largest_difference: float
    top1: float
    top5: float
    decoder: str
    decoded_within_1_km: float
    decoded_max_km: float
    runtime: str

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"format": FORMAT, **asdict(self)}


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows that both sides answer.

    Attributes:
        source: what they are.
        inputs: (B, …) batches of the graph's input.
        features: (B, D) features of the same rows, as the library makes them.
        skipped: photographs that could not be read.
    """

    source: str
    inputs: list[NDArray[np.float32]]
    features: NDArray[np.float32]
    skipped: int = 0


def feature_rows(features: NDArray[Any], source: str) -> Rows:
    """Return rows of features, for a graph that reads them."""
    stored = features[:MOST_ROWS].astype(np.float16).astype(np.float32)  # as caches keep them
    return Rows(source, [stored[i : i + _BATCH] for i in range(0, len(stored), _BATCH)], stored)


def random_features(dim: int) -> Rows:
    """Return rows of (B, D) standard normal numbers."""
    drawn = np.random.default_rng(0).standard_normal((_RANDOM_ROWS, dim))
    return feature_rows(drawn, "random features")


def photo_rows(photos: str | Path | None, encoder: Encoder, manifest: Manifest) -> Rows:
    """Return rows of photographs, the first `MOST_PHOTOS`; of random pixels where there are none.

    Args:
        photos: a folder or a table of images, or one image.
        encoder: the library's own.
        manifest: of the graph, which says how it reads pixels.

    Raises:
        FileNotFoundError: when it is not there.
        ValueError: when no photograph can be read.
    """
    inputs, features, skipped = [], [], 0
    for batch, broken in _pixels(photos, encoder):
        skipped += broken
        if len(batch):
            encoded = encoder(batch)
            features.append(encoded)
            inputs.append(normalised(manifest, batch) if manifest.with_encoder else _stored(encoded))
    if not features:
        raise ValueError(f"--photos must have at least one readable image, got none of {skipped} in {photos}.")
    source = "random pixels" if photos is None else f"photographs of {Path(photos).name}"
    return Rows(source, inputs, np.concatenate(features), skipped)


def _stored(features: NDArray[np.float32]) -> NDArray[np.float32]:
    return features.astype(np.float16).astype(np.float32)


def _pixels(photos: str | Path | None, encoder: Encoder) -> Iterator[tuple[NDArray[Any], int]]:
    """Yield batches of pixels, and how many of each could not be read."""
    from PIL import Image

    if photos is None:
        drawn = np.random.default_rng(0).integers(0, 256, (_RANDOM_IMAGES, 384, 512, 3), dtype=np.uint8)
        yield np.stack([encoder.preprocess(Image.fromarray(image)) for image in drawn]), 0
        return
    views = [view for _, view in zip(range(MOST_PHOTOS), _views(photos), strict=False)]
    with pillow_silenced():
        for start in range(0, len(views), _BATCH):
            read = []
            for view in views[start : start + _BATCH]:
                try:
                    read.append(load_pixels(view.read(), encoder.preprocess)[0])
                except OSError:
                    read.append(None)
            good = [pixels for pixels in read if pixels is not None]
            yield np.stack(good) if good else np.empty((0,)), len(read) - len(good)


def _views(photos: str | Path) -> Iterator[Any]:
    for asked in asked_inputs([photos]):
        yield from asked.views


def measure(head: Head, rows: Rows, run: Runner, decode: PreparedDecoder, runtime: str) -> Parity:
    """Return how a graph differs from the library.

    Args:
        head: the head that was exported.
        rows: what both answer.
        run: the graph.
        decode: the decoder, which needs nothing but probabilities.
        runtime: `onnx` or `pt2`.
    """
    places = np.zeros((len(rows.features), 2))
    locations = Locations.from_arrays(rows.features, places, encoder=head.encoder)
    got = np.concatenate([run(batch) for batch in rows.inputs])
    largest, first, five, km = 0.0, 0, 0, [np.empty(0)]
    for part, expected, points in head.answer_chunks(locations, decode, "cpu"):
        ours = got[part]
        largest = max(largest, float(np.abs(ours - expected).max()))
        first += int((ours.argmax(1) == expected.argmax(1)).sum())
        five += int((_top(ours) == _top(expected)).all(axis=1).sum())
        km.append(distance_km(decode(ours, LocationData()), points))
    apart, n = np.concatenate(km), len(locations)
    package = "onnxruntime" if runtime == "onnx" else "torch"
    return Parity(
        rows.source,
        n,
        rows.skipped,
        largest,
        first / n,
        five / n,
        decode.decoder.spec,
        float((apart <= 1).mean()),
        float(apart.max()),
        f"{package} {version(package)}",
    )


def _top(probabilities: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the (P, 5) most probable cells of each row in order of their number."""
    return np.sort(np.argsort(-probabilities, axis=1, kind="stable")[:, :5], axis=1)
