"""Importing features that exist already into a feature cache."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib.format import MAGIC_PREFIX
from numpy.typing import NDArray

from geocell.encoders import describe_encoder
from geocell.encoders.info import EncoderInfo
from geocell.features import SHARD_ROWS, FeatureCache, Manifest, begin, finish, write_shard
from geocell.features.datasets import DatasetFeatures, encoder_of, require_datasets
from geocell.features.manifest import CACHE_MARKS, CACHE_PARTS, MANIFEST_FILE
from geocell.files import DamagedFileError, as_place, new_folder, one_sentence, read_parquet_frame
from geocell.images.sources import FileImages
from geocell.views import StoredViews, Views, ViewTable
from geocell.views.table import make_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from datasets import Dataset


_WHICH = "expected one of encoder and like, which say what made the features: pass one of them."


@one_sentence()
def import_features(
    features: Path | str | NDArray[np.floating[Any]] | Dataset,
    out: Path | str,
    *,
    table: Views | pd.DataFrame | None = None,
    encoder: EncoderInfo | str | None = None,
    like: Path | str | None = None,
    shard_rows: int = SHARD_ROWS,
    overwrite: bool = False,
) -> FeatureCache:
    """Make a cache of features that exist already.

    Say which encoder made them by `encoder` or, without typing its revision and image processor, by `like`.

    Args:
        features: (N, D) floats; an `.npy` file of them; a folder with `img_emb/img_emb_*.npy` and
            `metadata/metadata_*.parquet` as clip-retrieval writes; or a data set of the library `datasets` with a
            column `features`, as `FeatureCache.to_dataset` returns it.
        out: folder of the cache.
        table: the N views, row i describing feature row i, with `lat` and `lon`; read from `metadata/` or from the
            other columns of the data set when omitted.
        encoder: which encoder made them; its `dim` may be 0, meaning "as the features are". A name suffices, and a data
            set may say itself.
        like: a cache whose features the same encoder made, or the name of the encoder; see `encoder_like`.
        shard_rows: rows per shard.
        overwrite: replace an existing cache.

    Raises:
        FileExistsError: when `out` exists and `overwrite` is false.
        FileNotFoundError: when there are no features, or nothing is called `like`.
        ValueError: when the rows don't match, features are not finite, or not one of `encoder` and `like` is given.
    """
    may_state = not isinstance(features, str | Path | np.ndarray)  # a data set may say itself what made it
    if (encoder is not None and like is not None) or (encoder is None and like is None and not may_state):
        raise ValueError(_WHICH)
    if like is not None:
        encoder = encoder_like(like)
    source, arrays, metadata, stated = _opened(features)
    encoder = stated if encoder is None else encoder
    if encoder is None:
        raise ValueError(_WHICH)
    if isinstance(encoder, str):
        encoder = EncoderInfo.named(encoder, 0)
    if table is None:
        if metadata is None:
            raise ValueError(f"{source} needs a table of its views: pass it after the features.")
        table = metadata
    elif not isinstance(table, ViewTable | StoredViews):
        table = make_table(table, FileImages("."), "a DataFrame", images_optional=True)
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
    with new_folder(Path(out), overwrite=overwrite, marks=CACHE_MARKS, parts=CACHE_PARTS) as folder:
        manifest = begin(folder, table, info, shard_rows)
        for index in range(manifest.n_shards):
            first, last = manifest.shard_range(index)
            parts = [a[max(first - s, 0) : max(last - s, 0)] for a, s in zip(arrays, starts, strict=False)]
            with np.errstate(over="ignore"):
                part = np.concatenate(parts).astype(np.float32)
            references, texts = table.shard_rows(first, last)
            problems = {row: text for row, text in enumerate(texts) if text}
            if (broken := _broken_row(part, problems)) is not None:
                raise ValueError(_broken_text(first + broken, references[broken], arrays, starts, source, table.source))
            part[list(problems)] = np.nan
            write_shard(folder, index, part, problems)
        finish(folder)
    return FeatureCache.open(out)


def _broken_row(part: NDArray[np.float32], problems: Mapping[int, str]) -> int | None:
    """Return the first row without a problem that a cache cannot hold, None where there is none."""
    broken = (int(row) for row in np.flatnonzero(_unfit(part).any(axis=1)))
    return next((row for row in broken if row not in problems), None)


def _unfit(features: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which numbers are not finite as a cache rounds them."""
    with np.errstate(over="ignore"):
        return ~np.isfinite(features.astype(np.float16))


def _broken_text(
    row: int, reference: str, arrays: Sequence[Any], starts: NDArray[np.int64], source: str, table: str
) -> str:
    """Return in a sentence which row of which file has features that a cache cannot hold, and what to do."""
    which = int(np.searchsorted(starts, row, side="right")) - 1
    name, local = getattr(arrays[which], "filename", source), row - int(starts[which])
    values = np.asarray(arrays[which][local : local + 1])[0]
    column = int(_unfit(values).argmax())
    return (
        f"{name}: features must be finite and within ±65,504, got {values[column]:g} in row {local}, column {column} "
        f"(counted from 0; row {row} of {table}, {reference!r}): make them again, or leave this row out of both."
    )


def _opened(
    features: Path | str | NDArray[np.floating[Any]] | Dataset,
) -> tuple[str, list[Any], ViewTable | None, EncoderInfo | None]:
    """Return what features are called in messages, their arrays, and the table and encoder that are known with them."""
    if isinstance(features, str | Path):
        arrays, metadata = _feature_arrays(Path(features))
        return str(features), arrays, metadata, None
    if isinstance(features, np.ndarray):
        if features.ndim != 2 or features.dtype.kind != "f" or not features.size:
            raise ValueError(f"features must be floats of shape (N, D), got {features.dtype} {features.shape}.")
        return "the array", [features], None, None
    require_datasets()
    from datasets import Dataset, Value

    if not isinstance(features, Dataset):
        raise TypeError(f"features must be a path, an array or a datasets.Dataset, got {type(features).__name__}.")
    rows = DatasetFeatures(features)
    plain = [name for name, kind in features.features.items() if isinstance(kind, Value)]
    frame = features.select_columns(plain).to_pandas()
    problems = None
    if "status" in frame:
        problems = ["" if status == "ok" else str(status) for status in frame.pop("status")]
    table = make_table(frame, FileImages("."), "the data set", problems=problems, images_optional=True)
    if problems is not None and "location" in frame:  # of an image that could not be read, which is known all the same
        known = ["" if name is None else str(name) for name in frame["location"]]
        table = replace(table, frame=table.frame.assign(location=known))
    return "the data set", [rows], table, encoder_of(features)


def encoder_like(like: Path | str, revision: str | None = None, pooling: str | None = None) -> EncoderInfo:
    """Return the encoder of a cache, or the one that a name means; no weights are fetched from the Hub.

    Args:
        like: folder or URL of a feature cache, or what `load_encoder` takes as a name.
        revision: branch, tag or commit of a named encoder.
        pooling: pooling of a named encoder; `pooler_output` when omitted.

    Raises:
        ValueError: when a revision or pooling is given for a cache, which has its own.
    """
    folder = as_place(like)
    if not (folder / MANIFEST_FILE).is_file():
        return replace(describe_encoder(str(like), revision, pooling=pooling), dtype="unknown")
    if revision or pooling:
        raise ValueError(f"the cache {like} has a revision and a pooling of its own: leave out the others.")
    return Manifest.read(folder).encoder


def _feature_arrays(source: Path) -> tuple[list[NDArray[Any]], ViewTable | None]:
    """Return memory-mapped feature arrays, and the table of a clip-retrieval folder."""
    if source.is_dir():
        found = [p for p in (source / "img_emb").glob("img_emb_*.npy") if re.fullmatch(r"img_emb_\d{1,18}", p.stem)]
        numbered = sorted(found, key=lambda p: int(p.stem.rsplit("_", 1)[1]))
        if not numbered:
            raise ValueError(f"{source} must hold img_emb/img_emb_0.npy …, got no such file.")
        tables = [source / "metadata" / f"metadata_{path.stem.rsplit('_', 1)[1]}.parquet" for path in numbered]
        described = all(path.is_file() for path in tables)
    elif source.is_file():
        numbered, tables, described = [source], [], False
    else:
        raise FileNotFoundError(f"expected features (.npy or a clip-retrieval folder), got {source}: no such file.")
    arrays: list[NDArray[Any]] = []
    for path in numbered:
        array = _mapped(path)
        plain = array.ndim == 2 and array.dtype.kind == "f" and array.size > 0
        if not plain or (arrays and array.shape[1] != arrays[0].shape[1]):
            raise ValueError(f"{path} must hold floats of shape (N, D), got {array.dtype} {array.shape}.")
        arrays.append(array)
    return arrays, _read_metadata(tables, list(map(len, arrays)), source) if described else None


def _mapped(path: Path) -> NDArray[Any]:
    """Return the array of an .npy file, which stays on the disk; nothing is unpickled.

    Raises:
        ValueError: when it is none, or its file is shorter than its header says.
    """
    with path.open("rb") as file:
        if file.read(len(MAGIC_PREFIX)) != MAGIC_PREFIX:
            raise ValueError(f"{path} must be an .npy file, got another kind of file: save the array by numpy.save.")
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # a header is Python text, at which its parser fails in several ways
        first = str(error).split("\n", maxsplit=1)[0]
        raise DamagedFileError(
            f"{path} must be a plain .npy array, got: {first}: save it by numpy.save again."
        ) from error
    return array


def _read_metadata(tables: list[Path], rows: list[int], source: Path) -> ViewTable:
    """Return the table of the files of a clip-retrieval folder, each of which has a row per feature of its own file."""
    import pandas as pd

    from geocell.views import table_from_frame

    try:
        frames = [read_parquet_frame(path, path.stat().st_size) for path in tables]
        whole = pd.concat(frames, ignore_index=True)
    except Exception as error:  # pyarrow raises kinds of its own, and several of Python's, for damaged files
        first = str(error).split("\n", maxsplit=1)[0]
        raise DamagedFileError(f"{source / 'metadata'} must hold readable Parquet files, got: {first}") from error
    for path, frame, n in zip(tables, frames, rows, strict=True):
        if len(frame) != n:
            raise ValueError(
                f"{path} must have one row per feature of its file in img_emb, {n}, got {len(frame)}: copy both "
                "of one run of clip-retrieval."
            )
    return table_from_frame(whole, source, source=str(source / "metadata"))
