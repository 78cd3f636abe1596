"""Encoding a table of views into a feature cache: shard after shard, resumable, shared by any number of processes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from geocell.cache import SHARD_ROWS, FeatureCache, Manifest, begin, finish, shard_path, shard_problems, write_shard
from geocell.encoding.claims import Claims, folder_lock
from geocell.encoding.images import Loader, load_pixels
from geocell.encoding.pool import Batch, DecodePool, default_workers
from geocell.views import ViewTable, read_views

if TYPE_CHECKING:
    from PIL import Image

    from geocell.encoders import Encoder

IMAGE_TIMEOUT = 60.0
"""Seconds that reading and decoding one image may take."""
_POLL_SECONDS = 0.5


def encode(  # noqa: PLR0913 - keywords with defaults
    table: ViewTable | Path | str,
    encoder: Encoder,
    out: Path | str,
    *,
    batch_size: int = 32,
    workers: int | None = None,
    shard_rows: int = SHARD_ROWS,
    image_timeout: float = IMAGE_TIMEOUT,
    retry: bool = False,
    strict: bool = False,
) -> FeatureCache:
    """Encode every view of a table into a feature cache, or go on with one that was interrupted.

    Several processes may do this at once for one cache, on one machine or on several that share its disk: each takes
    shards that no other has, and all return when the cache is complete.

    Args:
        table: the views, or a table or folder that `read_views` takes.
        encoder: the frozen encoder.
        out: folder of the cache.
        batch_size: images per call of the encoder.
        workers: processes that decode and resize; 0 uses threads of this process; None decides by the table's size
            and the number of cores.
        shard_rows: rows per shard: what an interruption can cost at most.
        image_timeout: seconds that one image may take before it becomes a row with that reason.
        retry: encode the shards again in which a view had a problem, for images that were repaired since.
        strict: raise at the end when a view has no features.

    Returns:
        The finished cache. A view whose image can't be read is a row with NaN features and the reason as its status.

    Raises:
        ValueError: when `out` holds a cache of another table or encoder, or with `strict` when a view has a problem.
        FileExistsError: when `out` holds something else.
        OSError: when the disk is full; what was finished is kept.
    """
    require_settings(batch_size=batch_size, workers=workers, shard_rows=shard_rows, image_timeout=image_timeout)
    views = table if isinstance(table, ViewTable) else read_views(table)
    folder = Path(out)
    with folder_lock(folder):
        manifest = begin(folder, views, encoder.info, shard_rows)
    todo = manifest.missing(folder)
    if retry:
        there = sorted(set(range(manifest.n_shards)) - set(todo))
        todo += [i for i in there if shard_problems(shard_path(folder, i))]
    if todo:
        _require_same_arithmetic(manifest, encoder, folder)
        rows = sum(last - first for first, last in map(manifest.shard_range, todo))
        loader = Loader.of(views.images, encoder.preprocess)
        with (
            DecodePool(
                loader,
                workers=default_workers(rows, views.images) if workers is None else workers,
                batch_size=batch_size,
                image_timeout=image_timeout,
            ) as pool,
            tqdm(total=len(views), initial=len(views) - rows, desc="encode", unit="img", disable=None) as bar,
        ):
            _Run(folder, manifest, views, encoder, pool, batch_size, bar).complete(todo)
    with folder_lock(folder):
        cache = finish(folder)
    if strict:
        _require_all_good(cache)
    return cache


def require_settings(
    *, batch_size: int = 1, workers: int | None = None, shard_rows: int = 1, image_timeout: float = IMAGE_TIMEOUT
) -> None:
    """Refuse settings of `encode` that are out of range, before anything slow happens.

    Raises:
        ValueError: for the first that is.
    """
    for name, value, least in (("batch_size", batch_size, 1), ("workers", workers, 0), ("shard_rows", shard_rows, 1)):
        if value is not None and value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}.")
    if image_timeout <= 0:
        raise ValueError(f"image_timeout must be more than 0, got {image_timeout}.")


def encode_images(
    images: Sequence[Path | str | Image.Image], encoder: Encoder, *, batch_size: int = 32
) -> NDArray[np.float32]:
    """Return the (N, D) float32 features of a few images.

    Raises:
        ValueError: when an image can't be read, naming it.
    """
    from concurrent.futures import ThreadPoolExecutor

    out = np.empty((len(images), encoder.info.dim), dtype=np.float32)
    with ThreadPoolExecutor(min(4, max(1, len(images)))) as pool:
        for start in range(0, len(images), batch_size):
            part = images[start : start + batch_size]
            loaded = list(pool.map(lambda image: load_pixels(image, encoder.preprocess), part))
            for image, (_, problem) in zip(part, loaded, strict=True):
                if problem:
                    raise ValueError(f"{image} must be a readable image, got {problem}: leave it out or repair it.")
            out[start : start + batch_size] = encoder(np.stack([pixels for pixels, _ in loaded if pixels is not None]))
    return out


class _Run:
    """One process's work on a cache."""

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        views: ViewTable,
        encoder: Encoder,
        pool: DecodePool,
        batch_size: int,
        bar: tqdm[Any],
    ) -> None:
        self._folder, self._manifest, self._pool, self._bar = folder, manifest, pool, bar
        self._images, self._known = views.frame["image"], views.frame["problem"]
        self._begin_batch = _starter(encoder)
        self._dim, self._batch_size = encoder.info.dim, batch_size
        self._claims = Claims(folder)
        self._features = np.empty((0, 0), np.float32)
        self._problems: dict[int, str] = {}

    def complete(self, todo: Sequence[int]) -> None:
        """Encode shards until none of `todo` is left, those that other processes began and did not finish included."""
        again = {index for index in todo if shard_path(self._folder, index).exists()}
        left = list(todo)
        try:
            while left:
                done = self._encode_shards(left, again)
                again -= done
                left = [i for i in left if i not in done and not self._is_done(i, again)]
                if left and not done:
                    time.sleep(_POLL_SECONDS)  # others have what is left: wait, and take what a dead one leaves
        finally:
            self._claims.close()
        self._claims.remove()

    def _is_done(self, index: int, again: set[int]) -> bool:
        return index not in again and shard_path(self._folder, index).exists()

    def _encode_shards(self, indices: Sequence[int], again: set[int]) -> set[int]:
        """Encode those of the shards that no other process has, and return them."""
        done: set[int] = set()
        waiting: deque[tuple[Batch, Callable[[], NDArray[np.float32]]]] = deque()
        for batch, pixels in self._pool.batches(self._plan(indices, again)):
            waiting.append((batch, self._begin_batch(pixels) if len(pixels) else _nothing))
            if len(waiting) > 1:
                self._collect(*waiting.popleft(), done)
        while waiting:
            self._collect(*waiting.popleft(), done)
        return done

    def _plan(self, indices: Sequence[int], again: set[int]) -> Iterator[Batch]:
        """Yield the batches of every shard that can be claimed."""
        for index in indices:
            if self._is_done(index, again) or not self._claims.take(index):
                continue
            if self._is_done(index, again):  # by another process, a moment ago
                self._claims.give_back(index)
                continue
            first, last = self._manifest.shard_range(index)
            images, known = self._images.iloc[first:last].tolist(), self._known.iloc[first:last].tolist()
            for start in range(0, last - first, self._batch_size):
                stop = min(start + self._batch_size, last - first)
                problems = {row: text for row, text in enumerate(known[start:stop]) if text}
                yield Batch(index, start, images[start:stop], problems, last=stop == last - first)

    def _collect(self, batch: Batch, wait: Callable[[], NDArray[np.float32]], done: set[int]) -> None:
        """Put the features of a batch into its shard, and write the shard when it is complete."""
        if batch.first == 0:
            first, last = self._manifest.shard_range(batch.shard)
            self._features = np.full((last - first, self._dim), np.nan, dtype=np.float32)
            self._problems = {}
        good = [batch.first + row for row in batch.good()]
        if good:
            self._features[good] = wait()
        self._problems |= {batch.first + row: text for row, text in batch.problems.items()}
        self._bar.update(len(batch.references))
        if batch.last:
            write_shard(self._folder, batch.shard, self._features, self._problems)
            self._claims.give_back(batch.shard)
            done.add(batch.shard)


def _starter(encoder: Encoder) -> Callable[[NDArray[Any]], Callable[[], NDArray[np.float32]]]:
    """Return what begins a batch: the encoder's own `start`, which may return before it is done, or its call.

    The `start` of a class whose `__call__` was overridden further down is not what that call computes.
    """
    owners = [name for cls in type(encoder).__mro__ for name in ("start", "__call__") if name in vars(cls)]
    if owners[0] == "start":
        start: Callable[[NDArray[Any]], Callable[[], NDArray[np.float32]]] = encoder.start  # type: ignore[attr-defined]
        return start

    def call(pixels: NDArray[Any]) -> Callable[[], NDArray[np.float32]]:
        features = encoder(pixels)
        return lambda: features

    return call


def _nothing() -> NDArray[np.float32]:
    return np.empty((0, 0), np.float32)


def _require_same_arithmetic(manifest: Manifest, encoder: Encoder, folder: Path) -> None:
    theirs, ours = manifest.encoder.dtype, encoder.info.dtype
    if theirs != ours:
        raise ValueError(
            f"one cache must be encoded in one arithmetic; {folder} was begun in {theirs}, and this run computes in "
            f"{ours}: pass --dtype {theirs.split(',')[0]}, or name another --out."
        )


def _require_all_good(cache: FeatureCache) -> None:
    bad = cache.views["status"][~cache.good]
    if len(bad):
        raise ValueError(
            f"every view must have features with --strict, got {len(bad)} of {len(cache)} without, the first in row "
            f"{bad.index[0]} ({cache.views['image'].iloc[bad.index[0]]}: {bad.iloc[0]}): repair the images and run "
            "again with --retry. The cache is complete and keeps the others."
        )
