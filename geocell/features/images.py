"""The images that a cache was made of, where they still are: a cache itself keeps only their names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from geocell.images.references import is_url
from geocell.images.sources import ImageSource
from geocell.views.reading import read_rows

if TYPE_CHECKING:
    from geocell.features.opened import FeatureCache


def cache_images(cache: FeatureCache, source: str | Path | None = None) -> ImageSource:
    """Return what reads the images of a cache by the texts of its column `image`.

    Args:
        cache: the cache.
        source: the table, folder or shards that was encoded, as `encode` took it; when left out, what the cache
            recorded, if that is a path of this machine.

    Raises:
        FileNotFoundError: when there is nothing at `source`, or what the cache recorded is not here.
        ValueError: when it is no table of images.
    """
    if source is None:
        source = cache.manifest.source
        if is_url(source) or not Path(source).exists():
            raise FileNotFoundError(
                f"the images of {cache.folder} must be at hand, and {source}, which it was made of, is not here: name "
                "the table, folder or shards with --images."
            )
    return read_rows(source)[1]
