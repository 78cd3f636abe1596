"""The feature stage: every view through the frozen encoder once, resumable, nothing lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from geocell import cache as cache_format
from geocell.cache import SHARD_ROWS, FeatureCache
from geocell.files import new_folder
from geocell.locations import EncoderInfo
from geocell.views import ViewTable, read_views

if TYPE_CHECKING:
    from PIL import Image

    from geocell.encoders import Encoder

MAX_ASPECT = 40
"""Images narrower than 1 : 40 show nothing that an encoder's square input keeps, and resize to enormous ones."""
MAX_PIXELS = 178_956_970
"""Images with more pixels (Pillow's own limit for a decompression bomb) are not decoded."""

Pixels = NDArray[Any]


def encode(
    table: ViewTable | Path | str,
    encoder: Encoder,
    out: Path | str,
    *,
    batch_size: int = 32,
    workers: int = 2,
    shard_rows: int = SHARD_ROWS,
    retry: bool = False,
) -> FeatureCache:
    """Encode every view of a table into a feature cache, or go on with one that was interrupted.

    Args:
        table: the views, or a table or folder that `read_views` takes.
        encoder: the frozen encoder.
        out: folder of the cache.
        batch_size: images per call of the encoder.
        workers: threads that decode and resize; both release Python's lock.
        shard_rows: rows per shard: what an interruption can cost at most.
        retry: encode the shards again in which a view had a problem, for images that were repaired since.

    Returns:
        The finished cache. A view whose image can't be read is a row with NaN features and the reason as its status.

    Raises:
        ValueError: when `out` holds a cache of another table or encoder.
        FileExistsError: when `out` holds something else, or another process is filling it.
    """
    for name, value in (("batch_size", batch_size), ("workers", workers), ("shard_rows", shard_rows)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}.")
    views = table if isinstance(table, ViewTable) else read_views(table)
    folder = Path(out)
    with _locked(folder):
        manifest = cache_format.begin(folder, views, encoder.info, shard_rows)
        missing = manifest.missing(folder)
        if retry:
            there = sorted(set(range(manifest.n_shards)) - set(missing))
            missing += [i for i in there if cache_format.shard_problems(cache_format.shard_path(folder, i))]
        todo = sum(last - first for first, last in map(manifest.shard_range, missing))
        done = len(views) - todo
        images, known = views.frame["image"].tolist(), views.frame["problem"].tolist()
        with (
            ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool,
            tqdm(total=len(views), initial=done, desc="encode", unit="img", disable=None) as bar,
        ):
            for index in missing:
                first, last = manifest.shard_range(index)
                jobs = [(views.root / images[row], known[row]) for row in range(first, last)]
                features, problems = _encode_rows(jobs, encoder, pool, batch_size, workers, bar)
                cache_format.write_shard(folder, index, features, problems)
        return cache_format.finish(folder)


def encode_images(
    images: Sequence[Path | str | Image.Image], encoder: Encoder, *, batch_size: int = 32, workers: int = 2
) -> NDArray[np.float32]:
    """Return the (N, D) float32 features of a few images.

    Raises:
        ValueError: when an image can't be read, naming it.
    """
    out = np.empty((len(images), encoder.info.dim), dtype=np.float32)
    with ThreadPoolExecutor(workers) as pool:
        for start in range(0, len(images), batch_size):
            part = images[start : start + batch_size]
            loaded = list(pool.map(lambda image: _load_pixels(image, "", encoder), part))
            for image, (_, problem) in zip(part, loaded, strict=True):
                if problem:
                    raise ValueError(f"{image} must be a readable image, got {problem}: leave it out or repair it.")
            out[start : start + batch_size] = encoder(np.stack([pixels for pixels, _ in loaded if pixels is not None]))
    return out


def import_features(
    features: Path | str,
    out: Path | str,
    *,
    table: ViewTable | None = None,
    encoder: EncoderInfo,
    shard_rows: int = SHARD_ROWS,
    overwrite: bool = False,
) -> FeatureCache:
    """Make a cache of features that exist already.

    Args:
        features: an `.npy` file (N, D), or a folder with `img_emb/img_emb_*.npy` and `metadata/metadata_*.parquet` as
            clip-retrieval writes.
        out: folder of the cache.
        table: the N views, row i describing feature row i; read from `metadata/` when omitted.
        encoder: which encoder made them; its `dim` may be 0, meaning "as the features are".
        shard_rows: rows per shard.
        overwrite: replace an existing cache.

    Raises:
        FileExistsError: when `out` exists and `overwrite` is false.
        ValueError: when the rows don't match, or features are not finite.
    """
    source = Path(features)
    arrays, metadata = _feature_arrays(source)
    if table is None:
        if metadata is None:
            raise ValueError(f"{source} needs a table of its views: pass it after the features.")
        table = metadata
    rows, dim = sum(len(a) for a in arrays), int(arrays[0].shape[1])
    if rows != len(table):
        raise ValueError(
            f"features and table must have one row per view, got {rows} feature rows and {len(table)} table rows "
            f"in {table.source}."
        )
    if encoder.dim not in (0, dim):
        raise ValueError(f"the encoder {encoder.name} must give {encoder.dim} features, got {dim} in {source}.")
    info = EncoderInfo(**{**encoder.to_dict(), "dim": dim})
    starts = np.concatenate(([0], np.cumsum([len(a) for a in arrays])))
    known = table.frame["problem"].tolist()
    with new_folder(Path(out), overwrite=overwrite) as folder:
        manifest = cache_format.begin(folder, table, info, shard_rows)
        for index in range(manifest.n_shards):
            first, last = manifest.shard_range(index)
            parts = [a[max(first - s, 0) : max(last - s, 0)] for a, s in zip(arrays, starts, strict=False)]
            part = np.concatenate(parts).astype(np.float32)
            problems = {row: text for row, text in enumerate(known[first:last]) if text}
            part[list(problems)] = np.nan
            cache_format.write_shard(folder, index, part, problems)
        cache_format.finish(folder)
    return FeatureCache.open(out)


def _feature_arrays(source: Path) -> tuple[list[NDArray[Any]], ViewTable | None]:
    """Return memory-mapped feature arrays, and the table of a clip-retrieval folder."""
    if source.is_dir():
        numbered = sorted((source / "img_emb").glob("img_emb_*.npy"), key=lambda p: int(p.stem.rsplit("_", 1)[1]))
        if not numbered:
            raise ValueError(f"{source} must hold img_emb/img_emb_0.npy …, got no such file.")
        tables = [source / "metadata" / f"metadata_{path.stem.rsplit('_', 1)[1]}.parquet" for path in numbered]
        metadata = _read_metadata(tables, source) if all(path.is_file() for path in tables) else None
    elif source.is_file():
        numbered, metadata = [source], None
    else:
        raise FileNotFoundError(f"expected features (.npy or a clip-retrieval folder), got {source}: no such file.")
    arrays: list[NDArray[Any]] = []
    for path in numbered:
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except ValueError as error:
            raise ValueError(f"{path} must be a plain .npy array, got: {error}") from error
        if array.ndim != 2 or array.dtype.kind != "f" or (arrays and array.shape[1] != arrays[0].shape[1]):
            raise ValueError(f"{path} must hold floats of shape (N, D), got {array.dtype} {array.shape}.")
        arrays.append(array)
    return arrays, metadata


def _read_metadata(tables: list[Path], source: Path) -> ViewTable:
    import pandas as pd

    from geocell.views import table_from_frame

    frame = pd.concat([pd.read_parquet(path) for path in tables], ignore_index=True)
    return table_from_frame(frame, source, source=str(source / "metadata"))


def _encode_rows(
    jobs: Sequence[tuple[Path, str]],
    encoder: Encoder,
    pool: ThreadPoolExecutor,
    batch_size: int,
    workers: int,
    bar: tqdm[Any],
) -> tuple[NDArray[np.float32], dict[int, str]]:
    """Return the features of some rows, NaN where an image has a problem, and the problems."""
    features = np.full((len(jobs), encoder.info.dim), np.nan, dtype=np.float32)
    problems: dict[int, str] = {}
    rows: list[int] = []
    batch: list[Pixels] = []

    def flush() -> None:
        if batch:
            features[rows] = encoder(np.stack(batch))
            rows.clear()
            batch.clear()

    for row, (pixels, problem) in enumerate(_prefetch(jobs, encoder, pool, batch_size + workers)):
        bar.update()
        if pixels is None:
            problems[row] = problem
            continue
        rows.append(row)
        batch.append(pixels)
        if len(batch) == batch_size:
            flush()
    flush()
    return features, problems


def _prefetch(
    jobs: Sequence[tuple[Path, str]], encoder: Encoder, pool: ThreadPoolExecutor, ahead: int
) -> Iterator[tuple[Pixels | None, str]]:
    """Yield pixels in order while at most `ahead` images are decoded in advance."""
    waiting: deque[Future[tuple[Pixels | None, str]]] = deque()
    for path, known in jobs:
        waiting.append(pool.submit(_load_pixels, path, known, encoder))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _load_pixels(image: Path | str | Image.Image, known: str, encoder: Encoder) -> tuple[Pixels | None, str]:
    """Return the pixels of an image, or None and why it has none."""
    from PIL import Image, ImageOps

    if known:
        return None, known
    try:
        with nullcontext(image) if isinstance(image, Image.Image) else Image.open(image) as opened:
            if opened.width * opened.height > MAX_PIXELS:
                return None, f"too large: {opened.width} x {opened.height} pixels"
            if max(opened.size) > MAX_ASPECT * min(opened.size):
                return None, f"too narrow: {opened.width} x {opened.height} pixels"
            upright = _to_rgb(ImageOps.exif_transpose(opened))
        return encoder.preprocess(upright), ""
    except FileNotFoundError:
        return None, "no such file"
    except Exception as error:
        return None, f"{type(error).__name__}: {error}".split("\n", maxsplit=1)[0]


def _to_rgb(image: Image.Image) -> Image.Image:
    """Return an RGB image; 16-bit grey is scaled, where Pillow's own conversion clips it to white."""
    from PIL import Image

    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.mode in {"I", "F"}:
        raise ValueError(f"pixels of mode {image.mode} have no known range")
    return image.convert("RGB")


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a cache, or refuse at once when another process holds it."""
    from filelock import FileLock, Timeout

    cache_format.require_cache_or_nothing(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise FileExistsError(
            f"{folder} is being filled by another process: wait for it, or name another --out."
        ) from error
    try:
        yield
    finally:
        lock.release()
