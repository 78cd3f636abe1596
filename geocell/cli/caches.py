"""Commands of feature caches: import, info, verify, merge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from geocell.cli.output import emit, read_table
from geocell.views import ColumnNames

if TYPE_CHECKING:
    from geocell.features import FeatureCache

Flat = Parameter(name="*")


def import_(
    features: Path,
    table: Path | None = None,
    /,
    *,
    encoder: str,
    out: Path,
    revision: str = "unknown",
    pooling: str = "unknown",
    image_size: int = 0,
    processor: str = "unknown",
    columns: Annotated[ColumnNames, Flat] = ColumnNames(),
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Make a feature cache of features that exist already.

    `predict` encodes new images only with an encoder whose name, revision, pooling, image size and processor are those
    given here: `geocell cache info` of a cache that this encoder made shows them.

    Args:
        features: .npy file with one row per table row, or a folder as clip-retrieval writes (img_emb, metadata).
        table: table of the views; left out for a clip-retrieval folder with its own metadata.
        encoder: name of the encoder that made them.
        out: folder of the feature cache.
        revision: its revision.
        pooling: which of its tensors: pooler_output is the one that StreetCLIP's cache has.
        image_size: side of its input in pixels.
        processor: its image processor.
        columns: columns that are not spelled as usual.
        overwrite: replace an existing cache.
        json: print one JSON object.
    """
    from geocell.encoders.info import EncoderInfo
    from geocell.encoding import import_features

    views = None if table is None else read_table(table, columns, images_optional=True)
    info = EncoderInfo(encoder, revision, pooling, 0, image_size, processor, "unknown", encoder)
    emit_cache(import_features(features, out, table=views, encoder=info, overwrite=overwrite), json)


def info(cache: str, /, *, json: bool = False) -> None:
    """Say what is in a feature cache: encoder, views, locations, problems, size.

    Args:
        cache: its folder, or a URL that fsspec knows (s3://…).
        json: print one JSON object.
    """
    from geocell.features import FeatureCache

    emit_cache(FeatureCache.open(cache), json)


def verify(cache: str, /, *, json: bool = False) -> None:
    """Read a whole feature cache and compare it with its checksums; fail when it is damaged.

    Args:
        cache: its folder, or a URL that fsspec knows (s3://…).
        json: print one JSON object.
    """
    from geocell.features import verify_cache

    damages = verify_cache(cache)
    text = "\n".join(damages) or f"{cache}: every shard has its checksum, and every view its status"
    emit({"cache": cache, "intact": not damages, "damages": damages}, text, json)
    if damages:
        noun = "damage" if len(damages) == 1 else "damages"
        raise ValueError(f"{cache} must be intact, got {len(damages)} {noun}: encode what is damaged again.")


def merge(caches: tuple[Path, ...], /, *, out: Path, overwrite: bool = False, json: bool = False) -> None:
    """Join feature caches of one encoder into a new one: their rows one after the other.

    Args:
        caches: their folders.
        out: folder of the new cache.
        overwrite: replace an existing cache.
        json: print one JSON object.
    """
    from geocell.features import merge_caches

    emit_cache(merge_caches(caches, out, overwrite=overwrite), json)


def emit_cache(cache: FeatureCache, as_json: bool) -> None:
    """Print what is in a cache."""
    problems = cache.views["status"][~cache.good].value_counts()
    good = int(cache.good.sum())
    result: dict[str, Any] = {
        "cache": str(cache.folder),
        "encoder": cache.encoder.to_dict(),
        "source": cache.manifest.source,
        "views": len(cache),
        "good": good,
        "bad": len(cache) - good,
        "locations": int(cache.views["location"][cache.good].nunique()),
        "shards": cache.manifest.n_shards,
        "bytes": cache.n_bytes,
        "versions": cache.manifest.versions,
        "problems": {str(k): int(v) for k, v in problems.items()},
    }
    encoder = cache.encoder
    lines = [
        f"{cache.folder}: {len(cache)} views of {result['locations']} locations, {good} good, {result['bad']} bad; "
        f"{encoder.name}, {encoder.dim} features",
        f"  {encoder.pooling} of revision {encoder.revision[:19]}, {encoder.image_size} pixels, {encoder.dtype}; "
        f"{result['shards']} shards, {cache.n_bytes / 1e6:.1f} MB",
    ]
    lines += [f"  {count} x {problem}" for problem, count in list(result["problems"].items())[:10]]
    if len(problems) > 10:
        lines.append(f"  and {len(problems) - 10} more kinds: the status column of views.parquet has them all")
    emit(result, "\n".join(lines), as_json)
