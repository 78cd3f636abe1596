"""Commands of feature caches: import, info, verify, merge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from geocell.cli.output import UsageError, emit
from geocell.cli.sources import read_table
from geocell.files import counted
from geocell.views import ColumnNames

if TYPE_CHECKING:
    from geocell.features import FeatureCache

Flat = Parameter(name="*")


def import_(
    features: Path,
    table: Path | None = None,
    /,
    *,
    out: Path,
    like: str | None = None,
    encoder: str | None = None,
    revision: str | None = None,
    pooling: str | None = None,
    image_size: int | None = None,
    processor: str | None = None,
    columns: Annotated[ColumnNames, Flat] = ColumnNames(),
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Make a feature cache of features that exist already.

    `predict` encodes new images only with an encoder whose name, revision, pooling, image size and processor are those
    recorded here: `--like` takes them from a cache or from the encoder itself, whose weights it does not need.

    Args:
        features: .npy file with one row per table row, or a folder as clip-retrieval writes (img_emb, metadata).
        table: table of the views; left out for a clip-retrieval folder with its own metadata.
        out: folder of the feature cache.
        like: feature cache of the same encoder, or the encoder's Hub id or folder.
        encoder: name of the encoder that made them, where it cannot be had: any text.
        revision: its revision.
        pooling: which of its tensors: pooler_output is the one that StreetCLIP's cache has.
        image_size: side of its input in pixels, with --encoder.
        processor: its image processor, with --encoder.
        columns: columns that are not spelled as usual.
        overwrite: replace an existing cache.
        json: print one JSON object.
    """
    from geocell.encoders.info import EncoderInfo
    from geocell.encoding import encoder_like, import_features

    if (like is None) == (encoder is None):
        raise UsageError("expected one of --like and --encoder, which say what made the features: pass one of them.")
    if like is not None and not (image_size is None and processor is None):
        raise UsageError("--image-size and --processor are those of --like: leave them out.")
    views = None if table is None else read_table(table, columns, images_optional=True)
    if like is not None:
        info = encoder_like(like, revision, pooling)
    else:
        unknown = [revision or "unknown", pooling or "unknown", processor or "unknown"]
        info = EncoderInfo(
            str(encoder), unknown[0], unknown[1], 0, image_size or 0, unknown[2], "unknown", str(encoder)
        )
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
    from geocell.features import unverifiable, verify_cache

    damages = verify_cache(cache)
    unchecked = [] if damages else unverifiable(cache)
    text = "\n".join(damages) or f"{cache}: every file has its hash, and every view the status of its shard"
    if unchecked:
        text = f"{cache}: nothing is damaged, but not everything could be checked:\n" + "\n".join(unchecked)
    emit({"cache": cache, "intact": not damages, "damages": damages, "unchecked": unchecked}, text, json)
    if damages:
        noun = "damage" if len(damages) == 1 else "damages"
        raise ValueError(f"{cache} must be intact, got {len(damages)} {noun}: encode what is damaged again.")


def merge(*caches: Path, out: Path, overwrite: bool = False, json: bool = False) -> None:
    """Merge feature caches of one encoder into a new one: their rows one after the other.

    Args:
        caches: their folders.
        out: folder of the new cache.
        overwrite: replace an existing cache.
        json: print one JSON object.
    """
    from geocell.features import merge_caches

    if not caches:
        raise UsageError("expected the folders of caches, got none: name at least two.")
    emit_cache(merge_caches(caches, out, overwrite=overwrite), json)


def join(*caches: Path, out: Path, overwrite: bool = False, json: bool = False) -> None:
    """Join feature caches of different encoders on the same views: their features side by side.

    Heads of any of the encoders can be combined, and others fitted, on the new cache.

    Args:
        caches: their folders, of one table.
        out: folder of the new cache.
        overwrite: replace an existing cache.
        json: print one JSON object.
    """
    from geocell.features import join_caches

    if len(caches) < 2:
        raise UsageError(f"expected the folders of two caches or more, got {len(caches)}: name those of all encoders.")
    emit_cache(join_caches(caches, out, overwrite=overwrite), json)


def emit_cache(cache: FeatureCache, as_json: bool) -> None:
    """Print what is in a cache."""
    problems = cache.problems()
    good = int(cache.good.sum())
    result: dict[str, Any] = {
        "cache": str(cache.folder),
        "encoder": cache.encoder.to_dict(),
        "source": cache.manifest.source,
        "views": len(cache),
        "good": good,
        "bad": len(cache) - good,
        "locations": len(cache.places()),
        "shards": cache.manifest.n_shards,
        "bytes": cache.n_bytes,
        "versions": cache.manifest.versions,
        "problems": problems,
    }
    encoder = cache.encoder
    lines = [
        f"{cache.folder}: {len(cache)} views of {result['locations']} locations, {good} good, {result['bad']} bad; "
        f"{encoder.name}, {encoder.dim} features",
        f"  {encoder.pooling} of revision {encoder.revision[:19]}, {encoder.image_size} pixels, {encoder.dtype}; "
        f"{counted(result['shards'], 'shard')}, {cache.n_bytes / 1e6:.1f} MB",
    ]
    lines += [f"  {count} x {problem}" for problem, count in list(result["problems"].items())[:10]]
    if len(problems) > 10:
        lines.append(f"  and {len(problems) - 10} more kinds: the status column of views.parquet has them all")
    emit(result, "\n".join(lines), as_json)


COMMANDS = {"info": info, "verify": verify, "merge": merge, "join": join, "import": import_}
"""Name -> command of `geocell cache`, in the order in which help shows them."""
