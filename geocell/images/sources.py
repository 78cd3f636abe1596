"""Image sources: paths, URLs, members of tar files, rows of Parquet files and of saved datasets.

The column `image` of a table holds one text per view, its *reference*; an `ImageSource` reads the bytes of the image
file that a reference names. Sources are small, picklable and lazy: they hold no open file, and a worker process
receives the source once and references from then on.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from geocell.images.downloads import DownloadConfig
from geocell.images.parquet_rows import read_row
from geocell.images.references import MEMBER, is_http, is_url, join, url_refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_FILE_BYTES = 1 << 30
"""Larger files are not read: they are no photographs."""


class ImageSource(Protocol):
    """Reads the image file that a reference names."""

    @property
    def at_once(self) -> int:
        """Number of files worth reading concurrently: more than one where threads wait for a network."""
        ...

    def read(self, reference: str) -> bytes:
        """Return the bytes of one image file.

        Raises:
            FileNotFoundError: when there is no such file.
            OSError: when it cannot be read; the message is one line with the reason.
        """
        ...


class _Sequential:
    """A source that gains nothing from concurrent reads."""

    @property
    def at_once(self) -> int:
        """Number of files worth reading concurrently."""
        return 1


@dataclass(frozen=True)
class FileImages:
    """Paths and URLs.

    A reference is a path below `root`, an absolute path, or a URL of a scheme in `references.STORES` or `HTTP`.

    Attributes:
        root: folder, or URL of one (`s3://bucket/photos`), that relative paths are below.
        downloads: how `http(s)` URLs are read; None where there are none.
    """

    root: str = "."
    downloads: DownloadConfig | None = None

    @property
    def at_once(self) -> int:
        """Number of files worth reading concurrently."""
        return self.downloads.downloads if self.downloads else 1

    def read(self, reference: str) -> bytes:
        """Return the bytes of one image file."""
        path = join(self.root, reference)
        if is_http(path):
            return (self.downloads or DownloadConfig()).read(path)
        return read_part(path)


def _split_at_member(reference: str) -> tuple[str, str]:
    """Return shard and member of a reference into a tar file; either may have `::` in its name."""
    shard, suffix, member = reference.partition(f".tar{MEMBER}")
    if suffix:
        return f"{shard}.tar", member
    shard, _, member = reference.partition(MEMBER)
    return shard, member


@dataclass(frozen=True)
class TarImages(_Sequential):
    """Members of tar files: a reference is `shard.tar::member.jpg@offset+size`, read without a search.

    Attributes:
        root: folder or URL that the tar files are below.
    """

    root: str = "."

    def read(self, reference: str) -> bytes:
        """Return the bytes of one member."""
        shard, member = _split_at_member(reference)
        offset, _, size = member.rpartition("@")[2].partition("+")
        data = read_part(join(self.root, shard), int(offset), int(size))
        if len(data) != int(size):
            raise OSError(f"the tar file ends after {len(data)} of {size} bytes of this image")
        return data


@dataclass(frozen=True)
class ParquetImages:
    """Rows of Parquet files: a reference is `part.parquet::row`.

    Rows are read forward in small batches that the threads of a process share: ask for them roughly in order.

    Attributes:
        root: folder or URL that the Parquet files are below.
        column: column of image files: binary, or a struct with `bytes` and `path` as Hugging Face's `Image` is stored.
    """

    root: str
    column: str

    @property
    def at_once(self) -> int:
        """Number of files worth reading concurrently: over a network, threads share what one of them fetched."""
        return 4 if is_url(self.root) else 1

    def read(self, reference: str) -> bytes:
        """Return the image file of one row."""
        part, _, row = reference.rpartition(MEMBER)
        value = read_row(join(self.root, part), self.column, int(row))
        return image_bytes(value, self.root)


@dataclass(frozen=True)
class DatasetImages(_Sequential):
    """Rows of a dataset that the library `datasets` saved with `save_to_disk`: a reference is `split::row`.

    Attributes:
        path: the folder.
        column: column of the feature type `Image`.
    """

    path: str
    column: str

    def read(self, reference: str) -> bytes:
        """Return the image file of one row."""
        split, _, row = reference.rpartition(MEMBER)
        dataset = _undecoded(os.getpid(), self.path, self.column)[split]
        return image_bytes(dataset[int(row)][self.column], self.path)


def load_saved_dataset(path: Path | str) -> dict[str, Any]:
    """Return split -> dataset of a folder that `save_to_disk` wrote; one without splits is the split "".

    Raises:
        ImportError: when the library `datasets` is not installed.
        ValueError: when the folder is damaged.
    """
    try:
        from datasets import DatasetDict, load_from_disk
    except ImportError as error:
        raise ImportError(
            f'{path} was saved by the library datasets: run `pip install "geocell-heads[datasets]"`.'
        ) from error
    try:
        loaded: Any = load_from_disk(str(path))
        named = dict(loaded) if isinstance(loaded, DatasetDict) else {"": loaded}
        # all columns, as Python's objects, whatever the format that it was saved with
        splits = {name: split.with_format(None) for name, split in named.items()}
        for split in splits.values():
            split.data.table.validate(full=True)  # a damaged offset would end the process that reads there
    except Exception as error:  # the library raises many kinds for a damaged folder
        first = str(error).split("\n", maxsplit=1)[0]
        raise ValueError(f"{path} must be a folder that `save_to_disk` wrote, got: {first}") from error
    return splits


@lru_cache(maxsize=4)
def _undecoded(_process: int, path: str, column: str) -> Mapping[str, Any]:
    from datasets import Image

    splits = load_saved_dataset(path)
    return {
        name: split.select_columns([column]).cast_column(column, Image(decode=False)) for name, split in splits.items()
    }


def image_bytes(value: object, root: str) -> bytes:
    """Return the image file that a cell of a table holds: bytes, or a mapping with `bytes` or else `path`."""
    if isinstance(value, dict):
        if value.get("bytes") is None and value.get("path"):
            return FileImages(root).read(str(value["path"]))
        value = value.get("bytes")
    if not isinstance(value, bytes | bytearray | memoryview):
        raise OSError("no image in this row")
    return bytes(value)


def read_part(path: str, offset: int = 0, size: int | None = None) -> bytes:
    """Return a file's bytes, or `size` of them from `offset`; `path` may be a URL of a scheme in `references.STORES`.

    Raises:
        FileNotFoundError: when there is no such file.
        OSError: when it cannot be read, is a folder, is refused or has more than `MAX_FILE_BYTES`; the message is one
            line with the reason.
    """
    if is_url(path):
        return _read_remote(path, offset, size)
    try:
        with Path(path).open("rb") as file:
            length = os.fstat(file.fileno()).st_size if size is None else size
            file.seek(offset)
            return file.read(_allowed(length))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise OSError(error.strerror or str(error)) from error  # without the path, which is beside it in the table
    except (ValueError, OverflowError) as error:  # a name with a null character, or an offset beyond any file
        raise OSError(f"not a readable path: {error}") from error


def _allowed(length: int | None) -> int:
    if length is None:
        raise OSError("the store does not tell its size")
    if length < 0:  # a table may say so, and the rest of the file would be read
        raise OSError(f"no size of a file: {length} bytes")
    if length > MAX_FILE_BYTES:
        raise OSError(f"too large: {length} bytes")
    return length


def _read_remote(path: str, offset: int, size: int | None) -> bytes:
    refusal = url_refusal(path)
    if refusal:
        raise OSError(refusal)
    import fsspec

    try:
        files, name = fsspec.core.url_to_fs(path)
        length = files.info(name).get("size") if size is None else size
        return cast("bytes", files.cat_file(name, start=offset, end=offset + _allowed(length)))
    except FileNotFoundError as error:
        raise FileNotFoundError(path) from error
    except OSError:
        raise
    except Exception as error:  # every store raises its own kinds
        raise OSError(f"{type(error).__name__}: {error}".split("\n", maxsplit=1)[0]) from error
