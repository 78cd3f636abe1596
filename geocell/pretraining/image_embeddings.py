"""Embeddings of the images of a table, decoded as `encode` does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.encoding.decode_pool import Batch, DecodePool, default_workers
from geocell.images.loading import Loader
from geocell.images.sources import ImageSource
from geocell.imagetext.projection import Float32

if TYPE_CHECKING:
    from geocell.images.transforms import Transform

BATCH_SIZE = 32


def embedded_images(
    references: Sequence[str],
    images: ImageSource,
    transform: Transform,
    embed: Callable[[NDArray[Any]], Float32],
    *,
    workers: int | None = None,
    image_timeout: float = 60.0,
) -> tuple[NDArray[np.int64], Float32, dict[str, str]]:
    """Return what a model makes of images.

    Args:
        references: of N images.
        images: reads them.
        transform: from an image to pixels.
        embed: (b, H, W, 3) pixels -> (b, d) embeddings or features.
        workers: processes that decode; 0 decodes in threads; None decides by the number of images.
        image_timeout: seconds that one image may take.

    Returns:
        The (N',) images that could be read, their (N', d) embeddings, and reference -> why the others could not.

    Raises:
        ValueError: when none can be read.
    """
    loader = Loader.from_probe(images, transform)
    count = default_workers(len(references), images) if workers is None else workers
    rows: list[int] = []
    found: list[Float32] = []
    problems: dict[str, str] = {}
    with DecodePool(loader, workers=count, batch_size=BATCH_SIZE, image_timeout=image_timeout) as pool:
        for batch, pixels in pool.batches(_plan(references)):
            problems |= {batch.references[row]: reason for row, reason in batch.problems.items()}
            if len(pixels):
                rows += [batch.first + row for row in batch.good()]
                found.append(embed(pixels))
    if not found:
        reference, reason = next(iter(problems.items()))
        raise ValueError(f"at least one image must be readable, got none (the first: {reference}: {reason}).")
    return np.array(rows, dtype=np.int64), np.concatenate(found), problems


def _plan(references: Sequence[str]) -> Iterator[Batch]:
    for start in range(0, len(references), BATCH_SIZE):
        yield Batch(0, start, list(references[start : start + BATCH_SIZE]), {})
