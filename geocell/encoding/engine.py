"""Encoding a table of views into a feature cache: shard after shard, resumable, shared by any number of processes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from geocell.compute.ranks import process_rank
from geocell.encoders.info import EncoderInfo
from geocell.encoding.claims import cache_lock, claims_of, remove_rests, require_alone
from geocell.encoding.decode_pool import DecodePool, default_workers
from geocell.encoding.journal import Journal
from geocell.encoding.shard_encoder import Shard, ShardEncoder
from geocell.features import (
    SHARD_ROWS,
    FeatureCache,
    Manifest,
    begin,
    finish,
    shard_path,
    shard_problems,
    shard_version,
    write_shard,
)
from geocell.features.partials import kept_rows, remove_partial
from geocell.files import as_place
from geocell.images.loading import Loader, load_pixels, pillow_silenced
from geocell.images.references import is_url, join
from geocell.images.sources import FileImages
from geocell.views import Views, open_views

if TYPE_CHECKING:
    from PIL import Image

    from geocell.encoders import Encoder

IMAGE_TIMEOUT = 60.0
"""Seconds that reading and decoding one image may take."""
_POLL_SECONDS = 0.5


def encode(  # noqa: PLR0913 - keywords with defaults
    table: Views | Path | str,
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
    """Encode every view of a table into a feature cache, or continue one that was interrupted.

    Several processes may do this at once for one cache, on one machine or on several that share its disk: each claims
    its own shards, and all return when the cache is complete.

    Args:
        table: the views, or a table or folder that `read_views` takes.
        encoder: the frozen encoder.
        out: folder of the cache.
        batch_size: images per call of the encoder.
        workers: processes that decode and resize; 0 uses threads of this process; None decides by the table's size
            and the number of cores.
        shard_rows: rows per shard of a new cache. Rows of the shard in progress are kept once a minute and on Ctrl-C.
        image_timeout: seconds that one image may take before it becomes a row with that reason.
        retry: encode shards again in which a view had a problem, after images were repaired.
        strict: raise at the end when a view has no features.

    Returns:
        The finished cache. A view whose image can't be read is a row with NaN features and the reason as its status.

    Raises:
        ValueError: when `out` holds a cache of another table or encoder, or with `strict` when a view has a problem.
        FileExistsError: when `out` holds something else.
        OSError: when the disk is full; what was finished is kept.
    """
    require_settings(batch_size=batch_size, workers=workers, shard_rows=shard_rows, image_timeout=image_timeout)
    views = open_views(table) if isinstance(table, Path | str) else table
    folder = as_place(out)
    manifest, todo = create_or_resume(folder, views, encoder.info, shard_rows, retry)
    if todo:
        rows = sum(last - first for first, last in map(manifest.shard_range, todo))
        workers = default_workers(rows, views.images) if workers is None else workers
        loader = Loader.from_probe(views.images, encoder.preprocess)
        silent = process_rank() > 0 or None  # of several processes, one shows the progress
        with (
            pillow_silenced(),
            DecodePool(loader, workers=workers, batch_size=batch_size, image_timeout=image_timeout) as pool,
            tqdm(total=len(views), initial=len(views) - rows, desc="encode", unit="img", disable=silent) as bar,
        ):
            journal = Journal(folder, encoder.info.dim, retry=retry)
            shards = ShardEncoder(encoder, pool, batch_size, journal, bar.update)
            with reported_interrupt(folder, manifest):
                _fill(folder, manifest, views, shards, todo, bar)
    return finish_cache(folder, strict)


@contextmanager
def reported_interrupt(folder: Path, manifest: Manifest) -> Iterator[None]:
    """Make a KeyboardInterrupt of the block tell how many rows of a cache are kept, and what to do next."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted; {kept_rows(folder, manifest)} of {manifest.rows} rows are kept in {folder}: run the same "
            "command again to encode the others."
        ) from None


def create_or_resume(
    folder: Path, views: Views, encoder: EncoderInfo, shard_rows: int, retry: bool
) -> tuple[Manifest, list[int]]:
    """Create a cache or resume one, and return its manifest and the shards that are to be encoded.

    Raises:
        ValueError: when it is one of another table, encoder or arithmetic; or with `retry`, when it is on an object
            store and this process is one of several.
        FileNotFoundError: when none of the table's image files exists, and the cache is not complete or `retry` is set.
    """
    if retry:
        require_alone(folder)
    require_some_image(views, folder, retry)
    with cache_lock(folder):
        manifest = begin(folder, views, encoder, shard_rows)
    todo = manifest.missing(folder)
    if retry:
        there = sorted(set(range(manifest.n_shards)) - set(todo))
        todo += [i for i in there if shard_problems(shard_path(folder, i))]
    if todo and manifest.encoder.dtype != encoder.dtype:
        raise ValueError(
            f"one cache must be encoded in one arithmetic; {folder} was begun in {manifest.encoder.dtype}, and this "
            f"run computes in {encoder.dtype}: pass --dtype {manifest.encoder.dtype.split(',')[0]}, or name another "
            "--out."
        )
    return manifest, todo


def finish_cache(folder: Path, strict: bool) -> FeatureCache:
    """Write the statuses of a cache whose shards are all there, and open it.

    Raises:
        ValueError: with `strict`, when a view has a problem.
    """
    with cache_lock(folder):
        cache = finish(folder)
        remove_rests(folder)
    bad = np.flatnonzero(~cache.good)
    if strict and len(bad):
        first = cache.view_rows(["image", "status"], bad[:1]).iloc[0]
        raise ValueError(
            f"every view must have features with --strict, got {len(bad)} of {len(cache)} without, the first in row "
            f"{bad[0]} ({first['image']}: {first['status']}): repair the images and run again with --retry. The cache "
            "is complete and keeps the others."
        )
    return cache


def require_some_image(table: Views, folder: Path, retry: bool) -> None:
    """Refuse a table of which no image file exists, before an encoder is loaded and a cache is created.

    Args:
        table: the views.
        folder: the cache: one that has all its shards needs no images, unless they are to be encoded again.
        retry: whether shards in which a view had a problem are encoded again.

    Raises:
        FileNotFoundError: when that is so; nothing is checked where images are in other stores, tars or tables.
    """
    source = table.images
    if not isinstance(source, FileImages) or is_url(source.root):
        return
    if not retry and (folder / "cache.json").is_file() and not Manifest.read(folder).missing(folder):
        return
    first, count = "", 0
    for reference in table.references():
        if is_url(reference) or os.path.lexists(join(source.root, reference)):
            return
        first, count = first or reference, count + 1
    if count:
        raise FileNotFoundError(
            f"none of the {count} image files of {table.source} exists (the first: {join(source.root, first)}): check "
            "--root, the folder that their paths are relative to."
        )


def require_settings(
    *, batch_size: int = 1, workers: int | None = None, shard_rows: int = 1, image_timeout: float = IMAGE_TIMEOUT
) -> None:
    """Refuse settings of `encode` that are out of range, before any slow work.

    Raises:
        ValueError: for the first that is.
    """
    for name, value, least in (("batch_size", batch_size, 1), ("workers", workers, 0), ("shard_rows", shard_rows, 1)):
        if value is not None and value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}.")
    if not image_timeout > 0:  # NaN is not
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


def _fill(
    folder: Path, manifest: Manifest, views: Views, encoder: ShardEncoder, todo: Sequence[int], bar: tqdm[Any]
) -> None:
    """Encode shards until none of `todo` is left, including those that other processes claimed and did not finish."""
    claims = claims_of(folder)
    missing = set(manifest.missing(folder))
    before = {index: shard_version(folder, index) for index in todo if index not in missing}  # to be made again

    def there(index: int) -> bool:
        version = shard_version(folder, index)
        return version is not None and version != before.get(index)

    def unclaimed(indices: Sequence[int]) -> Iterator[Shard]:
        for index in indices:
            if not claims.take(index):
                continue
            if there(index):  # made by another process
                claims.give_back(index)
            else:
                claims.remove_leftovers(index)
                yield Shard.from_table(index, manifest, views)

    left = list(todo)
    try:
        while left:
            done = set()
            for shard in encoder.encode(unclaimed(left)):
                write_shard(folder, shard.index, shard.features, shard.problems)
                remove_partial(folder, shard.index)
                claims.give_back(shard.index)
                done.add(shard.index)
            missing = set(manifest.missing(folder))
            others = [index for index in left if index not in done]
            left = [index for index in others if index in missing or (index in before and not there(index))]
            theirs = set(others) - set(left)
            bar.update(sum(stop - start for start, stop in map(manifest.shard_range, theirs)))
            if left and not done:
                time.sleep(_POLL_SECONDS)  # other processes have the rest: wait, and take over from those that die
    finally:
        claims.close()
    claims.remove()
