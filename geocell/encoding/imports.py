"""Feature caches of features that exist already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocell.encoders.info import EncoderInfo
from geocell.features import SHARD_ROWS, FeatureCache, begin, finish, write_shard
from geocell.features.manifest import CACHE_MARKS, CACHE_PARTS
from geocell.files import new_folder
from geocell.views import ViewTable


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
    with new_folder(Path(out), overwrite=overwrite, marks=CACHE_MARKS, parts=CACHE_PARTS) as folder:
        manifest = begin(folder, table, info, shard_rows)
        for index in range(manifest.n_shards):
            first, last = manifest.shard_range(index)
            parts = [a[max(first - s, 0) : max(last - s, 0)] for a, s in zip(arrays, starts, strict=False)]
            part = np.concatenate(parts).astype(np.float32)
            problems = {row: text for row, text in enumerate(known[first:last]) if text}
            part[list(problems)] = np.nan
            write_shard(folder, index, part, problems)
        finish(folder)
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
        except (ValueError, EOFError) as error:
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
