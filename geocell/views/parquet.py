"""Parquet files, with paths of images or with the images themselves, and folders saved by the library `datasets`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocell.files import parquet_frames, read_parquet_frame
from geocell.images.parquet_rows import open_remote
from geocell.images.references import MEMBER, is_url, join
from geocell.images.sources import DatasetImages, FileImages, ImageSource, ParquetImages, load_saved_dataset
from geocell.views.columns import ColumnNames

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow
    from pyarrow import parquet


_MOST_ROWS = 1 << 31


def read_parquet(root: str, names: Sequence[str], columns: ColumnNames) -> tuple[pd.DataFrame, ImageSource]:
    """Read every column but those that hold images, and return the source of the images.

    Where file names have several splits, the split becomes a column.

    A column of images is binary, or a struct with `bytes` as Hugging Face's `Image` is stored. Images in such columns
    are not read: references name their rows.

    Args:
        root: folder or URL that the files are below.
        names: the files, one table in this order.
        columns: columns that are not spelled as usual.
    """
    import pandas as pd

    return pd.concat(parquet_pieces(root, names, columns), ignore_index=True), parquet_images(root, names, columns)


def count_rows(root: str, names: Sequence[str]) -> int:
    """Return the number of rows of Parquet files."""
    total = 0
    for name in names:
        with _opened(root, name) as file:
            total += file.metadata.num_rows
    return total


def parquet_images(root: str, names: Sequence[str], columns: ColumnNames) -> ImageSource:
    """Return the source of the images of Parquet files; see `read_parquet`."""
    images = ""
    for name in names:
        with _opened(root, name) as file:
            images = _image_column(file, columns) or images
    return ParquetImages(root, images) if images else FileImages(root)


def parquet_pieces(
    root: str, names: Sequence[str], columns: ColumnNames, rows: int | None = None
) -> Iterator[pd.DataFrame]:
    """Yield the columns of `read_parquet` by so many rows, each file as a whole when omitted."""
    splits = [_split_of(name) for name in names]
    if all(splits) and len(set(splits)) > 1:
        schemas = []
        for name in names:
            with _opened(root, name) as file:
                schemas.append(set(file.schema_arrow.names))
        if any("split" in schema for schema in schemas):
            splits = []
    else:
        splits = []
    for number, name in enumerate(names):
        with _opened(root, name) as file:
            if file.metadata.num_rows > _MOST_ROWS:
                raise ValueError(f"{file.metadata.num_rows} rows, more than {_MOST_ROWS:,}")
            held = _image_column(file, columns)
            others = [field.name for field in file.schema_arrow if not _holds_images(field.type)]
        first = 0
        for frame in _frames(join(root, name), others, rows):
            references = [f"{name}{MEMBER}{row}" for row in range(first, first + len(frame))] if held else []
            first += len(frame)
            found = _with_references(frame, references, columns) if held else frame
            yield found.assign(split=splits[number]) if splits else found


def _frames(path: str, names: Sequence[str], rows: int | None) -> Iterator[pd.DataFrame]:
    source: Any = open_remote(path) if is_url(path) else path
    size = source.size if is_url(path) else Path(path).stat().st_size
    if rows is None:
        yield read_parquet_frame(source, size, names)
    else:
        yield from parquet_frames(source, size, names, rows)


def _opened(root: str, name: str) -> parquet.ParquetFile:
    from pyarrow import parquet

    path = join(root, name)
    return parquet.ParquetFile(open_remote(path) if is_url(path) else path)


def _image_column(file: parquet.ParquetFile, columns: ColumnNames) -> str:
    """Return the column of images of a file, "" where there is none."""
    held = [field.name for field in file.schema_arrow if _holds_images(field.type)]
    return str(columns.image_column if columns.image_column in held else held[0]) if held else ""


def _split_of(name: str) -> str:
    """Return the split in a file's name, by the Hub's convention for data sets; "" when there is none.

    >>> [_split_of(f"{name}.parquet") for name in ("data/train-00000-of-00002", "default/test/0000", "trains")]
    ['train', 'test', '']
    """
    found = re.findall(r"(?:^|[/_.-])(train|validation|valid|val|dev|test)(?=[/_.-])", name)
    return str(found[-1]) if found else ""


def _holds_images(kind: pyarrow.DataType) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return any(field.name == "bytes" and _holds_images(field.type) for field in kind)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _with_references(frame: pd.DataFrame, references: list[str], columns: ColumnNames) -> pd.DataFrame:
    """Return the frame with references as the image column; an existing column of that name is renamed."""
    name = columns.image_column or "image"
    frame = frame.rename(columns={name: f"input_{name}"})
    frame[name] = references
    return frame


def is_saved_dataset(folder: Path) -> bool:
    """Return whether a folder is one that `save_to_disk` of the library `datasets` wrote."""
    return (folder / "dataset_dict.json").is_file() or (
        (folder / "state.json").is_file() and (folder / "dataset_info.json").is_file()
    )


def read_saved_dataset(folder: Path, columns: ColumnNames) -> tuple[pd.DataFrame, ImageSource]:
    """Read every column of a saved dataset but its images, and return the source of the images.

    Raises:
        ImportError: when the library `datasets` is not installed.
        ValueError: when it has no column of the feature type `Image`.
    """
    import pandas as pd

    splits = load_saved_dataset(folder)
    from datasets import Image

    frames: list[pd.DataFrame] = []
    images: str = ""
    for split, dataset in splits.items():
        held = [name for name, feature in dataset.features.items() if isinstance(feature, Image)]
        if not held:
            raise ValueError(f"{folder} must have a column of the feature type Image, got {dict(dataset.features)}.")
        images = str(columns.image_column if columns.image_column in held else held[0])
        frame: Any = dataset.remove_columns(held).to_pandas()
        frame = _with_references(frame, [f"{split}{MEMBER}{row}" for row in range(len(dataset))], columns)
        if split and "split" not in frame:
            frame["split"] = split
        frames.append(frame)
    return pd.concat(frames, ignore_index=True), DatasetImages(str(folder), images)
