"""Reading views from tables, folders, shards and data sets."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from geocell.files import DamagedFileError, one_sentence, reading
from geocell.images.downloads import DownloadConfig
from geocell.images.opening import IMAGE_SUFFIXES
from geocell.images.references import is_http, is_url, join, require_openable
from geocell.images.sources import FileImages, ImageSource, TarImages
from geocell.views.columns import ColumnNames, find_columns
from geocell.views.delimited import delimited_pieces, is_delimited, read_delimited, read_json_lines
from geocell.views.discovery import find_files
from geocell.views.exif import read_exif_folder
from geocell.views.packed import read_workbook, table_suffix
from geocell.views.parquet import count_rows, parquet_images, parquet_pieces, read_parquet, read_saved_dataset
from geocell.views.presets import Preset, exchanged, find_preset, image_paths
from geocell.views.stored import StoredViews, Views
from geocell.views.storing import Pieces, stored_views
from geocell.views.table import PIECE, ViewTable, make_table, with_our_names
from geocell.views.texts import clean_text
from geocell.views.webdataset import read_shards, shard_samples

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

LARGE_ROWS, LARGE_BYTES = 1 << 18, 32 << 20
"""Rows of Parquet files, or bytes of text, from which on a table is kept in a file by `open_views`."""
_TIMES_PACKED = 4


@one_sentence()
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
        path: CSV, TSV or JSON lines table, which may be packed (`.csv.gz`), Excel workbook or Parquet table; folder of
            images, with `metadata.csv|jsonl|parquet` in the imagefolder convention or with EXIF GPS positions;
            WebDataset shards or Parquet files, as one file, a folder or a pattern (`{00..99}.tar`, `*.parquet`);
            folder that the library `datasets` saved; or an fsspec URL of
            shards or Parquet files (`hf://datasets/user/name`, `s3://…`).
        columns: columns that are not spelled as usual.
        root: folder that image paths are relative to; usually that of the table.
        downloads: how images at `http(s)` URLs are read.
        images_optional: accept a table without images (features that exist already): rows are numbered instead.

    Raises:
        FileNotFoundError: when there is nothing at `path`, or `root` is not a folder.
        ValueError: for a missing column, an empty table, or unusable coordinates.
        ImportError: when a folder saved by `datasets` is read without that library.
    """
    require_root(root)
    preset = find_preset(columns.preset)
    columns = columns.with_defaults(preset.columns) if preset else columns
    base, names = find_files(str(path))
    suffix = Path(names[0]).suffix.lower() if names else ""
    whole = _source(base, names, path)
    if suffix == ".tar":
        return read_shards(base, names, IMAGE_SUFFIXES, whole, columns)
    if suffix in IMAGE_SUFFIXES:
        return read_exif_folder(Path(base), names)
    frame, images = _read_frame(base, names, columns, preset)
    if isinstance(images, FileImages):
        images = FileImages(base if root is None else str(root))
    table = _table(frame, images, whole, columns, preset, images_optional)
    if isinstance(images, FileImages) and any(map(is_http, table.frame["image"].tolist())):
        return replace(table, images=FileImages(images.root, downloads or DownloadConfig()))
    return table


@one_sentence()
def open_views(
    path: Path | str,
    columns: ColumnNames = ColumnNames(),
    *,
    root: Path | str | None = None,
    downloads: DownloadConfig | None = None,
    images_optional: bool = False,
    only: Collection[str] | None = None,
) -> Views:
    """Return what `read_views` reads; a large table stays in a temporary file instead of in memory.

    That is so for Parquet, CSV and TSV without a preset, by pandas 3 or later, unless the types of a column differ from
    one part of the table to another.

    Args:
        path: see `read_views`, as for the others.
        columns: columns that are not spelled as usual.
        root: folder that image paths are relative to.
        downloads: how images at URLs are read.
        images_optional: accept a table without images.
        only: columns, by our names, that are needed beside `places`; a large table has no others.
    """
    arguments = (path, columns, root, downloads, images_optional, only)
    return _stored(*arguments) or read_views(
        path, columns, root=root, downloads=downloads, images_optional=images_optional
    )


def _stored(
    path: Path | str,
    columns: ColumnNames,
    root: Path | str | None,
    downloads: DownloadConfig | None,
    images_optional: bool,
    only: Collection[str] | None,
) -> StoredViews | None:
    require_root(root)
    base, names = find_files(str(path))
    if not names or columns.preset is not None or not _is_large(base, names):
        return None
    name, whole = join(base, names[0]), _source(base, names, path)
    images: ImageSource = FileImages(base)
    if is_delimited(name):
        pieces: Pieces = partial(_pieces, partial(delimited_pieces, Path(name), columns, rows=PIECE), name, "csv")
    else:
        read = partial(parquet_pieces, base, names, columns, rows=PIECE)
        pieces, images = partial(_pieces, read, name, "parquet"), parquet_images(base, names, columns)
    if isinstance(images, FileImages):
        images = FileImages(base if root is None else str(root))
    again = (_again, (path, columns, root, downloads, images_optional, only))
    table = stored_views(pieces, images, whole, columns, again, images_optional=images_optional, only=only)
    if table is not None and only is None and isinstance(images, FileImages) and table.has_http():
        table.images = FileImages(images.root, downloads or DownloadConfig())
    return table


def _again(path: Path | str, columns: ColumnNames, root: Path | None, *rest: Any) -> Views:  # noqa: ANN401 - as below
    downloads, images_optional, only = rest
    return open_views(path, columns, root=root, downloads=downloads, images_optional=images_optional, only=only)


def _is_large(base: str, names: Sequence[str]) -> bool:
    """Return whether a table is one that is not read into memory."""
    name, suffix = join(base, names[0]), table_suffix(names[0])
    packed = name.lower().endswith(".gz")
    if suffix == ".parquet" and not packed:
        return _attempt(lambda: count_rows(base, names), name, "parquet") > LARGE_ROWS
    if not is_delimited(name):
        return False
    return Path(name).stat().st_size * (_TIMES_PACKED if packed else 1) > LARGE_BYTES


def _pieces(read: Callable[[], Iterator[pd.DataFrame]], name: str, kind: str) -> Iterator[pd.DataFrame]:
    """Yield what `read` yields; its errors become one sentence about the file."""
    pieces = _attempt(read, name, kind)
    while (piece := _attempt(lambda: next(pieces, None), name, kind)) is not None:
        yield piece


@one_sentence()
def read_rows(
    path: Path | str, columns: ColumnNames = ColumnNames(), *, root: Path | str | None = None
) -> tuple[pd.DataFrame, ImageSource, str]:
    """Read images that need no position: a folder, a table, shards, a saved dataset or a URL of them.

    Args:
        path: what `read_views` takes.
        columns: columns that are not spelled as usual; a preset is ignored.
        root: folder that image paths are relative to; usually that of the table.

    Returns:
        One row per image with the columns of the input and `image`, its reference, missing where a sample has none
        (another column of that name becomes `input_image`); the source of the images; and what was read, for messages.

    Raises:
        FileNotFoundError: when there is nothing at `path`.
        ValueError: for an unreadable or empty table, or one without images.
    """
    import pandas as pd

    require_root(root)
    base, names = find_files(str(path))
    suffix = Path(names[0]).suffix.lower() if names else ""
    whole = _source(base, names, path)
    if suffix in IMAGE_SUFFIXES:
        return pd.DataFrame({"image": list(map(clean_text, names))}), FileImages(base), whole
    if suffix == ".tar":
        return shard_samples(base, names, IMAGE_SUFFIXES, whole), TarImages(base), whole
    frame, images = _read_frame(base, names, columns, None)
    if frame.empty:
        raise ValueError(f"{whole} must have at least one row, got an empty table.")
    if isinstance(images, FileImages):
        images = FileImages(base if root is None else str(root), DownloadConfig())
    named = {"image": find_columns(frame, columns, whole, ("image",))["image"]}
    return with_our_names(frame, named, whole), images, whole


def _source(base: str, names: Sequence[str], path: Path | str) -> str:
    """Return what was read, for messages and manifests."""
    if len(names) == 1:
        return join(base, names[0])
    return f"{base or path}: {len(names)} files" if names else base


def require_root(root: Path | str | None) -> None:
    """Refuse a root that is not a folder before a table is read and an encoder loaded.

    Raises:
        FileNotFoundError: when it is none.
        ValueError: for a URL that is not opened.
    """
    if root is None:
        return
    if is_url(str(root)):
        require_openable(str(root))
    elif not Path(root).is_dir():
        raise FileNotFoundError(f"--root must be a folder that exists, got {root}: check the path.")


def _read_frame(
    base: str, names: Sequence[str], columns: ColumnNames, preset: Preset | None
) -> tuple[pd.DataFrame, ImageSource]:
    """Read the columns of a table or saved dataset; library errors become one sentence about the file."""
    if not names:
        return _attempt(lambda: read_saved_dataset(Path(base), columns), base, "saved")
    name, suffix = join(base, names[0]), table_suffix(names[0])
    if suffix == ".parquet" and not name.lower().endswith(".gz"):
        return _attempt(lambda: read_parquet(base, names, columns), name, "parquet")
    if is_delimited(name):
        header = preset.header if preset else None
        return _attempt(lambda: read_delimited(Path(name), columns, header), name, suffix[1:]), FileImages(base)
    if suffix == ".jsonl":
        return _attempt(lambda: read_json_lines(Path(name)), name, "jsonl"), FileImages(base)
    if suffix == ".xlsx":
        return _attempt(lambda: read_workbook(Path(name)), name, "xlsx"), FileImages(base)
    raise ValueError(
        "expected a table (.csv, .tsv, .jsonl, the same with .gz, .xlsx, .parquet), shards (.tar) or a folder of "
        f"images, got {Path(name).name}: convert it first."
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
        first_line = str(error).strip().split("\n", maxsplit=1)[0]
        raise DamagedFileError(f"{name} must be a readable {kind} table, got: {first_line}") from error


def _table(
    frame: pd.DataFrame,
    images: ImageSource,
    source: str,
    columns: ColumnNames,
    preset: Preset | None,
    images_optional: bool,
) -> ViewTable:
    """Return the views of a frame, after applying its preset."""
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
    """Return numbers, NaN where a value is not numeric."""
    import pandas as pd

    if values.dtype.kind not in "fiub":
        values = values.astype(str)
    return pd.to_numeric(values, errors="coerce").to_numpy(np.float64)
