"""Reading what people have: tables, folders, shards, data sets and URLs of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from geocell.files import DamagedFileError, reading
from geocell.images.downloads import DownloadConfig
from geocell.images.references import is_http, is_url, join, require_openable
from geocell.images.sources import FileImages, ImageSource
from geocell.views.columns import ColumnNames, find_columns
from geocell.views.delimited import is_delimited, read_delimited, read_json_lines
from geocell.views.discovery import IMAGE_SUFFIXES, find_files
from geocell.views.exif import read_exif_folder
from geocell.views.parquet import read_parquet, read_saved_dataset
from geocell.views.presets import Preset, exchanged, find_preset, image_paths
from geocell.views.table import ViewTable, make_table
from geocell.views.webdataset import read_shards

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")


def read_views(
    path: Path | str,
    columns: ColumnNames = ColumnNames(),
    *,
    root: Path | str | None = None,
    downloads: DownloadConfig | None = None,
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
    _require_root(root)
    preset = find_preset(columns.preset)
    columns = columns.with_defaults(preset.columns) if preset else columns
    base, names = find_files(str(path))
    suffix = Path(names[0]).suffix.lower() if names else ""
    whole = join(base, names[0]) if len(names) == 1 else f"{base or path}: {len(names)} files"
    if suffix == ".tar":
        return read_shards(base, names, IMAGE_SUFFIXES, whole, columns)
    if suffix in IMAGE_SUFFIXES:
        return read_exif_folder(Path(base), names)
    if names:
        frame, images = _read_frame(base, names, columns, preset)
    else:
        (frame, images), whole = _attempt(lambda: read_saved_dataset(Path(base), columns), base, "saved"), base
    if isinstance(images, FileImages):
        images = FileImages(base if root is None else str(root))
    table = _table(frame, images, whole, columns, preset, images_optional)
    if isinstance(images, FileImages) and any(map(is_http, table.frame["image"].tolist())):
        return replace(table, images=FileImages(images.root, downloads or DownloadConfig()))
    return table


def _require_root(root: Path | str | None) -> None:
    """Refuse a root that is no folder, before a table is read and an encoder loaded for it."""
    if root is None:
        return
    if is_url(str(root)):
        require_openable(str(root))
    elif not Path(root).is_dir():
        raise FileNotFoundError(f"--root must be a folder that exists, got {root}: check the path.")


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
    except (FileNotFoundError, ImportError, DamagedFileError):
        raise
    except pd.errors.EmptyDataError as error:
        raise ValueError(f"{name} must be a table with a header and rows, got an empty file.") from error
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{name} must be text in UTF-8 or UTF-16, got the byte {error.object[error.start]:#04x} in another "
            "encoding: save it as UTF-8."
        ) from error
    except Exception as error:  # parsers raise kinds of their own, and several of Python's, for damaged files
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
    if preset is None or frame.empty:
        return make_table(frame, images, source, columns, images_optional=images_optional)
    if preset.prepare:
        with reading(source, f"a table of the preset {columns.preset}"):
            frame = preset.prepare(frame)
    if columns.heading_column == preset.columns.heading_column not in frame:
        columns = replace(columns, heading_column=None)
    try:
        found = find_columns(frame, columns, source, ("lat", "lon"))
    except ValueError as error:
        raise ValueError(f"{error} {preset.lacks}".strip()) from error
    remark = ""
    latlon = np.column_stack([_numbers(frame[found[role]]) for role in ("lat", "lon")])
    known = np.isfinite(latlon).all(axis=1)
    if preset.may_be_swapped and known.any():
        swapped, remark = exchanged(latlon[known])
        if swapped:
            columns = replace(columns, lat_column=found["lon"], lon_column=found["lat"])
    if isinstance(images, FileImages) and "image" in found and not images_optional:
        given = frame[found["image"]].notna().to_numpy()
        ids = frame[found["image"]][given].astype(str).tolist()
        if ids and not is_http(ids[0]):
            paths = np.full(len(frame), None, dtype=object)
            paths[given] = image_paths(ids, preset, Path(images.root))
            frame = frame.assign(image=paths)
            columns = replace(columns, image_column="image")
    problems = np.where(known, "", "no position").tolist()
    table = make_table(frame, images, source, columns, problems=problems, images_optional=images_optional)
    return replace(table, remarks=(f"{source}: {remark}",)) if remark else table


def _numbers(values: pd.Series[Any]) -> NDArray[np.float64]:
    """Return numbers, NaN for whatever is none."""
    import pandas as pd

    if values.dtype.kind not in "fiub":
        values = values.astype(str)
    return pd.to_numeric(values, errors="coerce").to_numpy(np.float64)
