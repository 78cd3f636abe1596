"""Reading what people have: tables, folders, shards, data sets and URLs of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from glob import has_magic
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from geocell.downloads import Downloads, is_http
from geocell.image_sources import FileImages, ImageSource, join
from geocell.views.columns import ColumnNames, find_columns
from geocell.views.delimited import is_delimited, read_delimited, read_json_lines
from geocell.views.exif import read_exif_folder
from geocell.views.parquet import is_saved_dataset, read_parquet, read_saved_dataset
from geocell.views.presets import Preset, exchanged, find_preset, image_paths
from geocell.views.table import ViewTable, make_table
from geocell.views.webdataset import read_shards

if TYPE_CHECKING:
    import pandas as pd

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"})
T = TypeVar("T")
METADATA_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


def read_views(
    path: Path | str,
    columns: ColumnNames = ColumnNames(),
    *,
    root: Path | str | None = None,
    downloads: Downloads | None = None,
    images_optional: bool = False,
) -> ViewTable:
    """Read geotagged images.

    Args:
        path: CSV, TSV, JSON lines or Parquet table; folder of images, with `metadata.csv|jsonl|parquet` in the
            imagefolder convention or with EXIF GPS positions; WebDataset shards or Parquet files, as one file, a folder
            or a pattern (`{00..99}.tar`, `*.parquet`); folder that the library `datasets` saved; or an fsspec URL of
            shards or Parquet files (`hf://datasets/user/name`, `s3://…`).
        columns: columns that are not spelled as usual.
        root: folder that image paths are relative to; usually that of the table.
        downloads: how images at `http(s)` URLs are read.
        images_optional: accept a table without images (features that exist already): rows are numbered instead.

    Raises:
        FileNotFoundError: when there is nothing at `path`.
        ValueError: for a missing column, an empty table, or unusable coordinates.
        ImportError: when a folder saved by `datasets` is read without that library.
    """
    preset = find_preset(columns.preset)
    columns = columns.over(preset.columns) if preset else columns
    base, names = _files(str(path))
    suffix = Path(names[0]).suffix.lower() if names else ""
    whole = join(base, names[0]) if len(names) == 1 else f"{base}: {len(names)} files"
    if suffix == ".tar":
        return read_shards(base, names, IMAGE_SUFFIXES, columns)
    if suffix in IMAGE_SUFFIXES:
        return read_exif_folder(Path(base), names)
    if names:
        frame, images = _read_frame(base, names, columns, preset)
    else:
        (frame, images), whole = _attempt(lambda: read_saved_dataset(Path(base), columns), base, "saved"), base
    if isinstance(images, FileImages):
        images = FileImages(base if root is None else str(root))
    table = _table(frame, images, whole, columns, preset, images_optional)
    if isinstance(images, FileImages) and table.frame["image"].str.startswith(("http://", "https://")).any():
        return replace(table, images=FileImages(images.root, downloads or Downloads()))
    return table


def _files(text: str) -> tuple[str, list[str]]:
    """Return a folder or URL and the files below it that make one input, all of one kind.

    A folder that the library `datasets` saved has none: it is read as a whole.
    """
    if "://" in text:
        return _remote_files(text)
    path = Path(text)
    if path.is_dir():
        return text, _folder_files(path)
    if path.is_file():
        return str(path.parent), [path.name]
    several = expand_braces(text)
    found = [name for one in several for name in _matches(one)] if several != [text] or has_magic(text) else []
    if not found:
        raise FileNotFoundError(f"expected a table or a folder of images, got {text}, which does not exist.")
    if len({Path(name).suffix.lower() for name in found}) > 1 or Path(found[0]).suffix.lower() not in {
        ".tar",
        ".parquet",
    }:
        raise ValueError(f"a pattern must mean shards (.tar) or Parquet files, got {text}: name one table.")
    return "", found


def _matches(pattern: str) -> list[str]:
    path = Path(pattern)
    if not has_magic(pattern):
        if not path.exists():
            raise FileNotFoundError(f"expected the file {pattern}, which does not exist: check the pattern.")
        return [pattern]
    anchor = Path(path.anchor or ".")
    return sorted(str(p) for p in anchor.glob(str(path.relative_to(path.anchor) if path.anchor else path)))


def expand_braces(pattern: str) -> list[str]:
    """Return every name that braces mean, as a shell and WebDataset expand them.

    >>> expand_braces("train-{008..010}.tar")
    ['train-008.tar', 'train-009.tar', 'train-010.tar']
    >>> expand_braces("{train,val}/0.tar")
    ['train/0.tar', 'val/0.tar']
    """
    parts: list[Sequence[str]] = []
    for piece in re.split(r"(\{[^{}]*\})", pattern):
        numbers = re.fullmatch(r"\{(\d+)\.\.(\d+)\}", piece)
        if numbers:
            first, last = numbers.groups()
            parts.append([f"{n:0{len(first)}d}" for n in range(int(first), int(last) + 1)])
        elif piece.startswith("{") and "," in piece:
            parts.append(piece[1:-1].split(","))
        else:
            parts.append([piece])
    return ["".join(choice) for choice in product(*parts)]


def _folder_files(folder: Path) -> list[str]:
    named = [name for name in METADATA_NAMES if (folder / name).is_file()]
    if named:
        return named[:1]
    if is_saved_dataset(folder):
        return []
    by_kind: dict[str, list[str]] = {".tar": [], ".parquet": [], "image": []}
    for path in sorted(folder.rglob("*")):
        suffix = path.suffix.lower()
        kind = "image" if suffix in IMAGE_SUFFIXES else suffix
        if kind in by_kind and path.is_file():
            by_kind[kind].append(path.relative_to(folder).as_posix())
    there = [names for names in by_kind.values() if names]
    if not there:
        raise ValueError(
            f"{folder} must hold images ({', '.join(sorted(IMAGE_SUFFIXES))}), shards (.tar) or Parquet files, got "
            "none."
        )
    if len(there) > 1:
        kinds = ", ".join(kind for kind, names in by_kind.items() if names)
        raise ValueError(f"{folder} must hold files of one kind, got {kinds}: name a pattern (`{folder}/*.tar`, say).")
    return there[0]


def _remote_files(url: str) -> tuple[str, list[str]]:
    """Return the Parquet files or shards at an fsspec URL; a branch of a Hub data set becomes its commit."""
    import fsspec

    if url.startswith(("http://", "https://")):
        raise ValueError(f"expected a table that is here, got {url}: download it first; its images may be URLs.")
    if url.startswith("hf://"):
        url = _at_commit(url)
    try:
        files, place = fsspec.core.url_to_fs(url)
        found = files.glob(place) if has_magic(place) else [place] if files.isfile(place) else files.find(place)
    except ImportError as error:
        raise ImportError(f"{url} needs a package that is not installed: {error}") from error
    scheme = url.split("://", maxsplit=1)[0]
    for suffix in (".tar", ".parquet"):
        names = sorted(f"{scheme}://{name.lstrip('/')}" for name in found if name.endswith(suffix))
        if names:
            base = names[0].rsplit("/", 1)[0] if len(names) == 1 else url.split("*")[0].rstrip("/")
            return base, [name.removeprefix(f"{base}/") for name in names]
    raise FileNotFoundError(
        f"expected Parquet files or shards (.tar) at {url}, got none: download and unpack it first."
    )


def _at_commit(url: str) -> str:
    """Return a Hub URL with the commit that its branch means now, so that what is read cannot change on the way."""
    from huggingface_hub import HfApi, HfFileSystem

    if not url.startswith("hf://datasets/"):
        raise ValueError(f"expected a data set on the Hub (hf://datasets/user/name), got {url}.")
    try:
        place: Any = HfFileSystem().resolve_path(url)
        commit = HfApi().dataset_info(place.repo_id, revision=place.revision).sha
    except FileNotFoundError:
        raise FileNotFoundError(f"expected a data set at {url}, and the Hub has none: check name and login.") from None
    except Exception as error:  # the Hub's client raises what the network raised
        first = str(error).split("\n", maxsplit=1)[0]
        raise ConnectionError(f"{url} could not be looked up on the Hub: {first}: check the network.") from error
    return f"hf://datasets/{place.repo_id}@{commit}/{place.path_in_repo}".rstrip("/")


def _read_frame(
    base: str, names: Sequence[str], columns: ColumnNames, preset: Preset | None
) -> tuple[pd.DataFrame, ImageSource]:
    """Read a table's columns; errors of the libraries beneath become one sentence about the file."""
    name, suffix = join(base, names[0]), Path(names[0]).suffix.lower()
    if suffix == ".parquet":
        return _attempt(lambda: read_parquet(base, names, columns), name, "parquet")
    if is_delimited(name):
        header = preset.header if preset else None
        return _attempt(lambda: read_delimited(Path(name), columns, header), name, suffix[1:]), FileImages(base)
    if suffix == ".jsonl":
        return _attempt(lambda: read_json_lines(Path(name)), name, "jsonl"), FileImages(base)
    raise ValueError(
        f"expected a table (.csv, .tsv, .parquet, .jsonl), shards (.tar) or a folder of images, got {Path(name).name}: "
        "convert it first."
    )


def _attempt(read: Callable[[], T], name: str, kind: str) -> T:
    import pandas as pd

    try:
        return read()
    except pd.errors.EmptyDataError as error:
        raise ValueError(f"{name} must be a table with a header and rows, got an empty file.") from error
    except (ValueError, OSError) as error:  # pandas' parser errors and pyarrow's ArrowInvalid are ValueErrors
        first_line = str(error).split("\n", maxsplit=1)[0]
        raise ValueError(f"{name} must be a readable {kind} table, got: {first_line}") from error


def _table(
    frame: pd.DataFrame,
    images: ImageSource,
    source: str,
    columns: ColumnNames,
    preset: Preset | None,
    images_optional: bool,
) -> ViewTable:
    """Return the views of a frame, after what its preset knows of the data set."""
    import pandas as pd

    if preset is None or frame.empty:
        return make_table(frame, images, source, columns, images_optional=images_optional)
    frame = preset.prepare(frame) if preset.prepare else frame
    if columns.heading_column == preset.columns.heading_column not in frame:
        columns = replace(columns, heading_column=None)
    try:
        found = find_columns(frame, columns, source, ("lat", "lon"))
    except ValueError as error:
        raise ValueError(f"{error} {preset.lacks}".strip()) from error
    remark = ""
    latlon = np.column_stack(
        [pd.to_numeric(frame[found[role]], errors="coerce").to_numpy(np.float64) for role in ("lat", "lon")]
    )
    known = np.isfinite(latlon).all(axis=1)
    if preset.may_be_swapped and known.any():
        swapped, remark = exchanged(latlon[known])
        if swapped:
            columns = replace(columns, lat_column=found["lon"], lon_column=found["lat"])
    if isinstance(images, FileImages) and "image" in found:
        ids = frame[found["image"]].astype(str).tolist()
        if not is_http(ids[0]):
            frame = frame.assign(image=image_paths(ids, preset, Path(images.root)))
            columns = replace(columns, image_column="image")
    problems = np.where(known, "", "no position").tolist()
    table = make_table(frame, images, source, columns, problems=problems, images_optional=images_optional)
    return replace(table, remarks=(f"{source}: {remark}",)) if remark else table
