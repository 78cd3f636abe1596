"""Locations that a report shows one by one: the worst answers and random ones, with small copies of their images."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.images.loading import load_pixels, pillow_silenced
from geocell.images.references import is_url
from geocell.prediction.encoding import THUMBNAIL_PX, make_thumbnail
from geocell.reporting.about import short

if TYPE_CHECKING:
    from PIL import Image

    from geocell.features import FeatureCache
    from geocell.features.locations import Locations
    from geocell.geo.geodesy import Floats
    from geocell.images.sources import ImageSource

N_EXAMPLES = 20
SEED = 0
"""Of the random examples, and of the locations that a map shows of many."""

Names = Callable[["Floats"], list[str]]


def drawn(n: int, most: int, seed: int = SEED) -> NDArray[np.int64]:
    """Return `most` of n rows at random, ascending and without repetition; all of them where there are no more."""
    if n <= most:
        return np.arange(n)
    return np.sort(np.random.default_rng(seed).choice(n, most, replace=False))


def worst(distances_km: Floats, most: int = N_EXAMPLES) -> NDArray[np.int64]:
    """Return the rows of the largest errors, the largest first; of equal ones the first."""
    return np.argsort(-distances_km, kind="stable")[:most]


def example_rows(
    rows: NDArray[np.int64],
    locations: Locations,
    points: Floats,
    distances_km: Floats,
    probability: Floats,
    names: Names | None,
) -> list[dict[str, Any]]:
    """Return what is said of some locations, as JSON.

    Args:
        rows: (k,) which of the P locations.
        locations: P locations.
        points: (P, 2) degrees, the answers.
        distances_km: (P,) errors.
        probability: (P,) of the most probable cell.
        names: degrees -> places in words; no places when None.
    """
    truth, answer = locations.latlon[rows], points[rows]
    at, said = (names(truth), names(answer)) if names and len(rows) else ([""] * len(rows), [""] * len(rows))
    return [
        {
            "location": short(str(locations.ids[row])),
            "truth": np.round(truth[i], 5).tolist(),
            "answer": np.round(answer[i], 5).tolist(),
            "truth_place": short(at[i]),
            "answer_place": short(said[i]),
            "distance_km": float(distances_km[row]),
            "probability": float(probability[row]),
        }
        for i, row in enumerate(rows.tolist())
    ]


def thumbnails_of(
    rows: Sequence[int], locations: Locations, cache: FeatureCache, images: Images | None
) -> dict[int, bytes]:
    """Return row -> thumbnail of the first readable view of a location, those without one left out.

    Args:
        rows: which of the locations.
        locations: P locations of the cache.
        cache: whose table of views names the images.
        images: what `images_of` returns.
    """
    if images is None:
        return {}
    found = {}
    references = cache.views["image"]
    with pillow_silenced():
        for row in dict.fromkeys(rows):
            first, last = locations.offsets[row : row + 2]
            for reference in references.iloc[locations.rows[first:last]].tolist():
                data = _thumbnail(images, reference)
                if data:
                    found[row] = data
                    break
    return found


@dataclass(frozen=True)
class Images:
    """What reads the images of a cache.

    Attributes:
        source: makes a reference bytes.
        named: whether a person named it; else it is the cache's word, URLs are not fetched, and of files only those
            below its folder are read.
    """

    source: ImageSource
    named: bool


def images_of(cache: FeatureCache, images: Path | str | None) -> Images | None:
    """Return what reads the images of a cache, None where they are not there.

    Args:
        cache: whose record is taken when `images` is None.
        images: table or folder that it was encoded from.

    Raises:
        FileNotFoundError: when what was named is not there.
        ValueError: when it cannot be read.
    """
    from geocell.views.reading import read_rows

    place = str(cache.manifest.source if images is None else images)
    if images is None and (is_url(place) or not Path(place).exists()):
        return None
    try:
        return Images(read_rows(place)[1], images is not None)
    except (ValueError, OSError):
        if images is not None:
            raise
        return None


def _thumbnail(images: Images, reference: str) -> bytes:
    if not images.named and (is_url(reference) or _leaves(reference)):
        return b""
    try:
        data = images.source.read(reference)
    except OSError:
        return b""
    keep = _Keeper()
    load_pixels(io.BytesIO(data), keep)
    return keep.made


class _Keeper:
    """A transform that leaves a thumbnail behind."""

    draft_side = 2 * THUMBNAIL_PX  # a large JPEG is decoded at a fraction of its size

    def __init__(self) -> None:
        self.made = b""

    def __call__(self, image: Image.Image) -> NDArray[Any]:
        self.made = make_thumbnail(image)
        return np.empty(0)


def _leaves(reference: str) -> bool:
    """Return whether a path is absolute, or goes up from the folder it is in."""
    path = Path(reference)
    return path.is_absolute() or ".." in path.parts
