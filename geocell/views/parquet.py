"""Parquet files, with paths of images or with the images themselves, and folders saved by the library `datasets`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocell.files import read_parquet_frame
from geocell.images.parquet_rows import open_remote
from geocell.images.references import MEMBER, is_url, join
from geocell.images.sources import DatasetImages, FileImages, ImageSource, ParquetImages, load_saved_dataset
from geocell.views.columns import ColumnNames

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow


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
    from pyarrow import parquet

    frames: list[pd.DataFrame] = []
    images: str = ""
    for name in names:
        path = join(root, name)
        opened: Any = open_remote(path) if is_url(path) else path
        with parquet.ParquetFile(opened) as file:
            if file.metadata.num_rows > _MOST_ROWS:
                raise ValueError(f"{file.metadata.num_rows} rows, more than {_MOST_ROWS:,}")
            held = [field.name for field in file.schema_arrow if _holds_images(field.type)]
            plain = [name for name in file.schema_arrow.names if name not in held]
        frame = read_parquet_frame(opened, opened.size if is_url(path) else Path(path).stat().st_size, plain)
        if held:
            images = str(columns.image_column if columns.image_column in held else held[0])
            frame = _with_references(frame, [f"{name}{MEMBER}{row}" for row in range(len(frame))], columns)
        frames.append(frame)
    splits = [_split_of(name) for name in names]
    if all(splits) and len(set(splits)) > 1 and not any("split" in frame for frame in frames):
        frames = [frame.assign(split=split) for frame, split in zip(frames, splits, strict=True)]
    return pd.concat(frames, ignore_index=True), ParquetImages(root, images) if images else FileImages(root)


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
