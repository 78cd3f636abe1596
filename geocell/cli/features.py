"""Commands of the feature stage: encode, split."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from geocell.cli.caches import emit_cache
from geocell.cli.output import UsageError, emit, note, usage_errors
from geocell.cli.sources import read_table
from geocell.images.downloads import DownloadConfig
from geocell.views import ColumnNames

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from geocell.features import FeatureCache
    from geocell.geo.geodesy import Floats
    from geocell.views.codes import TextCodes

Flat = Parameter(name="*")


def encode(
    images: str,
    /,
    *,
    out: Path,
    root: str | None = None,
    encoder: str = "geolocal/StreetCLIP",
    revision: str | None = None,
    device: str = "auto",
    devices: str | None = None,
    engine: Literal["local", "ray"] = "local",
    actors: int | None = None,
    dtype: str = "auto",
    compile: bool = False,
    pooling: str | None = None,
    augment: str = "none",
    backend: str = "pil",
    batch_size: int = 32,
    shard_rows: int = 4096,
    workers: int | None = None,
    image_timeout: float = 60.0,
    columns: Annotated[ColumnNames, Flat] = ColumnNames(),
    downloads: Annotated[DownloadConfig, Flat] = DownloadConfig(),
    retry: bool = False,
    overwrite: bool = False,
    strict: bool = False,
    json: bool = False,
) -> None:
    """Run the frozen encoder over images once and keep their features; continue an interrupted run.

    Ctrl-C keeps every row that was encoded; a killed run loses what was encoded in the last minute.

    Args:
        images: CSV, TSV, JSON lines or Parquet table with image paths or URLs and coordinates; folder with a
            metadata.csv, with EXIF GPS positions, or saved by the library datasets; WebDataset shards or Parquet files
            as a file, folder or pattern ('{00..99}.tar'); or hf://datasets/user/name.
        out: folder of the feature cache.
        root: folder that image paths are relative to; usually that of the table.
        encoder: Hub id or folder of a vision model (CLIP, SigLIP, DINO, …), timm:NAME, efficientnet-lite0, or
            module:attribute for your own.
        revision: branch, tag or commit of the encoder on the Hub; a cache that was begun keeps its commit.
        device: auto, cpu, cuda, cuda:1 or mps.
        devices: one process for each of several devices: 0,1,2,3 are CUDA's. torchrun does the same.
        engine: local, or ray for the machines of a Ray cluster, all of which must reach images and cache.
        actors: encoders at work with --engine ray, at most one per GPU, or per core where there is none; left out, one
            per GPU, or per two cores.
        dtype: arithmetic of the encoder: float32, bfloat16, or auto, which is bfloat16 on CUDA and float32 elsewhere.
        compile: run the encoder through torch.compile: a slow start, then faster; rounds differently, and is recorded.
        pooling: tensor that becomes the feature: pooler_output, cls, mean, patch_mean or projection; left out, the
            first of pooler_output, cls and mean that the model has.
        augment: test-time augmentation, the mean feature of several variants of every image: none, flip (two) or
            crop5 (five).
        backend: what resizes: pil; pil-draft, which decodes large JPEGs at a fraction of their size, several times as
            fast, and gives other pixels; or torchvision.
        batch_size: images per call of the encoder.
        shard_rows: rows per file of a new cache; a cache that was begun keeps its own.
        workers: processes that decode images; 0 decodes in threads; left out, the table's size and the cores decide.
        image_timeout: seconds that reading and decoding one image may take.
        columns: columns that are not spelled as usual.
        downloads: how images at URLs are read.
        retry: encode again where images had problems and were repaired since.
        overwrite: discard an existing cache and begin again, instead of continuing it.
        strict: fail when a view has no features; the cache is complete all the same.
        json: print one JSON object.
    """
    from geocell.compute.devices import choose_device, choose_dtype
    from geocell.compute.ranks import process_count, process_rank
    from geocell.encoders import check_encoder_settings, load_encoder
    from geocell.encoding import encode as encode_views
    from geocell.encoding import require_settings, require_some_image
    from geocell.encoding.multi_device import encode_on_devices, parse_devices
    from geocell.encoding.ray_engine import encode_with_ray
    from geocell.features import discard_cache, require_cache_or_nothing
    from geocell.files import as_place, is_local

    with usage_errors():
        require_settings(batch_size=batch_size, workers=workers, shard_rows=shard_rows, image_timeout=image_timeout)
        check_encoder_settings(encoder, revision, pooling, augment, backend)
        choose_dtype(dtype, choose_device(device))
        if devices is not None:
            for name in parse_devices(devices):
                choose_device(name)
    if overwrite and (retry or process_count() > 1):
        other = "--retry, which continues a cache" if retry else "torchrun, whose processes share one cache"
        raise UsageError(f"--overwrite begins again, and does not go with {other}: leave one out.")
    table = read_table(images, columns, root=root, downloads=downloads)
    cache_folder = as_place(out)
    require_cache_or_nothing(cache_folder)
    require_some_image(table, cache_folder, retry or overwrite)
    if overwrite and not is_local(cache_folder):
        raise UsageError("--overwrite is for folders on this machine: delete the cache in its store, or name another.")
    loading: dict[str, Any] = {
        "name": encoder,
        "revision": revision or (None if overwrite else _pinned_revision(cache_folder, encoder)),
        "dtype": dtype,
    }
    loading |= {"compile": compile, "pooling": pooling, "augment": augment, "backend": backend}
    options: dict[str, Any] = {"batch_size": batch_size, "shard_rows": shard_rows, "image_timeout": image_timeout}
    options["retry"] = retry
    if workers is not None:
        options["workers"] = workers
    if process_rank() == 0:
        note(f"loading the encoder {encoder}")
    here = engine == "local" and devices is None
    local: Any = load_encoder(**loading, device=device) if here else None
    if overwrite:  # nothing is discarded before table and encoder are known to be good
        discard_cache(cache_folder)
    if engine == "ray":
        load = partial(load_encoder, **loading, device=device)
        with redirect_stdout(sys.stderr):  # where Ray's threads report what they lost; the result alone goes to stdout
            cache = encode_with_ray(table, load, out, actors=actors, strict=strict, **options)
    elif devices is not None:
        cache = encode_on_devices(table, loading, parse_devices(devices), out, options, strict, note)
    else:
        cache = encode_views(table, local, out, strict=strict, **options)
    if process_rank() > 0:
        return  # the first process that torchrun started says how it went
    require_good_views(cache)
    emit_cache(cache, json)


def _pinned_revision(out: Path, encoder: str) -> str | None:
    """Return the commit with which a cache of this encoder was begun, so that a branch that moved changes nothing."""
    from geocell.encoders import hub_id
    from geocell.features import Manifest

    if not (out / "cache.json").is_file():
        return None
    begun = Manifest.read(out).encoder
    return begun.revision if begun.name == hub_id(encoder) else None


def require_good_views(cache: FeatureCache) -> None:
    """Refuse to end well when no view at all has features."""
    if not cache.good.any():
        problem = next(iter(cache.problems()))
        raise ValueError(
            f"{cache.folder} must have at least one good view, got {len(cache)} bad ones, most of them "
            f"{problem!r}: repair the images and run again with --retry."
        )


@dataclass(frozen=True)
class _Views:
    """The views that are split: their location ids, (N, 2) degrees, and what reads a column of them."""

    ids: TextCodes
    latlon: Floats
    names: Sequence[str]
    column: Callable[[str], NDArray[Any]]


def _split_views(source: Path, columns: ColumnNames, wanted: Sequence[str]) -> _Views:
    """Return the good views of a feature cache, or those of a table of which some columns are wanted."""
    from geocell.features import FeatureCache

    if (source / "cache.json").is_file():
        cache = FeatureCache.open(source)
        places = cache.places()

        def column(name: str) -> NDArray[Any]:
            return cache.view_rows([name], places.rows)[name].to_numpy(object)

        return _Views(cache.location_names(places), places.view_latlon, cache.column_names, column)
    table = read_table(source, columns, images_optional=True, only=wanted)
    return _Views(
        table.location_ids,
        table.places.view_latlon,
        table.names,
        lambda name: table.take(name, table.places.rows).to_numpy(object),
    )


def split(
    source: Path,
    /,
    *,
    out: Path,
    fractions: tuple[float, float, float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    by: str = "location",
    stratify: str | None = None,
    buffer_km: float = 0.0,
    from_column: bool = False,
    columns: Annotated[ColumnNames, Flat] = ColumnNames(),
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Split locations into train, val and test: by location, never by view, and no coordinate is in two splits.

    Args:
        source: feature cache, or a table of views.
        out: the splits.json to write.
        fractions: shares of train, val and test.
        seed: seed of the draw.
        by: what is kept in one split: location, cell:R (H3 cells of resolution R; those of 3 are 100 km wide), country
            (by the column of that name, else by outlines), or another column, of users or sequences say.
        stratify: give every split its share of each value of this column; country needs none.
        buffer_km: keep locations closer than this in one split.
        from_column: take the splits from the table's split column instead of drawing them.
        columns: columns that are not spelled as usual.
        overwrite: replace an existing file.
        json: print one JSON object.
    """
    from geocell.files import require_new
    from geocell.splits.draw import make_splits, require_draw, splits_from_column
    from geocell.splits.grouping import LOCATION, require_columns
    from geocell.splits.leaks import NEAR_KM, leak_report, length_text

    with usage_errors():
        require_draw(fractions, seed, buffer_km, by, stratify)
    drawn = {"--fractions": fractions != (0.8, 0.1, 0.1), "--seed": seed != 0, "--buffer-km": buffer_km != 0}
    drawn |= {"--by": by != "location", "--stratify": stratify is not None}
    typed = [flag for flag, differs in drawn.items() if differs]
    if from_column and typed:
        raise UsageError(f"--from-column takes the splits as they are, got also {' and '.join(typed)}: leave one out.")
    require_new(out, overwrite)
    views = _split_views(source, columns, ["split"] if from_column else [name for name in (by, stratify) if name])
    if from_column:
        if "split" not in views.names:
            raise ValueError(f"{source} must have a split column for --from-column, got {list(views.names)}.")
        splits = splits_from_column(views.ids, views.latlon, views.column("split").tolist())
    else:
        with usage_errors():
            require_columns(by, stratify, views.names)
        columns_used = {
            name: views.column(name) for name in (by, stratify) if name and name != LOCATION and name in views.names
        }
        splits = make_splits(
            views.ids, views.latlon, fractions, seed, buffer_km, by=by, stratify=stratify, columns=columns_used
        )
    splits.save(out, overwrite=overwrite)
    leaks = leak_report(splits, views.ids, views.latlon)
    counts = {name: len(members) for name, members in splits.ids.items()}
    text = f"{out}: " + ", ".join(f"{count:,} {name}" for name, count in counts.items())
    text += f" locations\n  {splits.protocol}"
    for name, report in leaks.items():
        least, median = (length_text(report[key]) for key in ("min_km", "median_km"))
        text += f"\n  {name}: nearest training location {least} away (least), {median} (median)"
    near = min(leaks, key=lambda name: leaks[name]["min_km"], default=None)
    if near is not None and buffer_km == 0 and by == "location" and leaks[near]["min_km"] < NEAR_KM:
        note(
            f"a {near} location is {length_text(leaks[near]['min_km'])} from a training location, so scores on it say "
            f"little about new places: draw splits with --buffer-km {NEAR_KM:g} to keep such neighbours in one split"
        )
    result = {"splits": str(out), "protocol": splits.protocol, "locations": counts, "nearest_train": leaks}
    emit(result, text, json)
