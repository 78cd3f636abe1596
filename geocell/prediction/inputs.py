"""What is asked about: images in memory, files, folders, tables, shards and URLs, as locations with their views."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, Union

import numpy as np
from numpy.typing import NDArray

from geocell.images.downloads import DownloadConfig
from geocell.images.opening import IMAGE_SUFFIXES
from geocell.images.references import MEMBER, is_http, is_url
from geocell.images.sources import FileImages, ImageSource, TarImages
from geocell.views import ColumnNames, read_rows
from geocell.views.columns import find_columns
from geocell.views.delimited import is_delimited
from geocell.views.packed import table_suffix

if TYPE_CHECKING:
    import pandas as pd
    from PIL import Image

ImageLike: TypeAlias = Union[str, Path, "Image.Image", NDArray[Any]]
"""One image: a path, an http(s) URL, a Pillow image, or an array (H, W, 3) or (H, W) of bytes."""

_FILES = FileImages(".", DownloadConfig())
_TABLES = frozenset({".jsonl", ".parquet", ".tar", ".xlsx"})


@dataclass
class View:
    """One image of a location.

    Attributes:
        name: what messages call it.
        reference: of the image in its source.
        source: what makes the reference bytes.
        image: an image in memory instead, dropped once it is encoded.
        problem: why it cannot be read, "" when nothing is known of that.
        truth: true latitude and longitude in degrees, of the table or of its EXIF data.
        exif: whether its EXIF position is read as the truth, where the table has none.
        wants_thumbnail: whether it gets a thumbnail.
        thumbnail: a small JPEG file of it, once it is encoded.
    """

    name: str
    reference: str = ""
    source: ImageSource = _FILES
    image: Image.Image | None = None
    problem: str = ""
    truth: tuple[float, float] | None = None
    exif: bool = False
    wants_thumbnail: bool = False
    thumbnail: bytes = b""

    def read(self) -> io.BytesIO:
        """Return the bytes of the image file.

        Raises:
            FileNotFoundError: when there is no such file.
            OSError: when it cannot be had; its text is one line that says why.
        """
        return io.BytesIO(self.source.read(self.reference))


@dataclass
class Asked:
    """One location that is asked about.

    Attributes:
        location: its id.
        views: its images, at least one.
    """

    location: str
    views: list[View] = field(default_factory=list)

    @property
    def truth(self) -> tuple[float, float] | None:
        """True latitude and longitude in degrees of the first view that knows them."""
        return next((view.truth for view in self.views if view.truth is not None), None)


def is_image(value: object) -> bool:
    """Return whether this is one image, or an array that was meant as one; else it may be a list of them."""
    from PIL import Image

    if isinstance(value, np.ndarray):
        return value.dtype.kind not in "OU" and value.ndim <= 3
    return isinstance(value, str | os.PathLike | Image.Image)


def asked_images(images: Iterable[Any]) -> Iterator[Asked]:
    """Yield the locations of an iterable whose items are images, or iterables of the views of a location.

    Raises:
        ValueError: for an item that is neither.
    """
    count = 0
    for item in images:
        asked = Asked("")
        for view in [item] if is_image(item) else items_of(item):
            if not is_image(view):
                items_of(view)  # refuses what is neither an image nor a list
                raise ValueError(
                    f"a location must be an image or a list of images, got a {type(view).__name__} inside its list: "
                    "pass one list per location."
                )
            asked.views.append(_view(view, count))
            count += 1
        if not asked.views:
            raise ValueError("a location must be an image or a list of images, got an empty list: leave it out.")
        asked.location = ", ".join(view.name for view in asked.views)
        yield asked


def items_of(value: object) -> Iterable[Any]:
    """Return an iterable, if it may be one of images.

    Raises:
        ValueError: when it is none.
    """
    if isinstance(value, bytes | bytearray | memoryview | Mapping) or not isinstance(value, Iterable):
        raise ValueError(  # noqa: TRY004 - whatever is no image is one kind of error
            f"an image must be a path, a URL, a Pillow image or an array, got {type(value).__name__}: pass one of "
            "these, or a list of them."
        )
    return value


def _view(image: ImageLike, index: int) -> View:
    from PIL import Image

    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
            raise ValueError(
                f"an array must be an image of bytes, uint8 (H, W, 3) or (H, W), got {image.dtype} {image.shape} as "
                f"view {index}: scale and transpose it."
            )
        return View(f"image {index}", image=Image.fromarray(image))
    if isinstance(image, Image.Image):
        return View(f"image {index}", image=image)
    return View(os.fspath(image), os.fspath(image))


def asked_inputs(
    inputs: Sequence[str | Path], columns: ColumnNames = ColumnNames(), root: Path | str | None = None
) -> Iterator[Asked]:
    """Yield the locations of images, folders, tables, shards, data sets and URLs of them, one after the other.

    The views that share a value of a table's column `location` are one location; every other image is one of its own.

    Args:
        inputs: each an image, or what `geocell.views.read_rows` takes.
        columns: columns of tables that are not spelled as usual.
        root: folder that image paths of tables are relative to; usually that of the table.

    Raises:
        FileNotFoundError: for a pattern, or a URL of shards, that matches nothing, or a root that is no folder.
        ValueError: for a table that cannot be read, or a folder without images.
    """
    for text in (os.fspath(path) for path in inputs):
        if is_table(text):
            yield from _asked_rows(*read_rows(text, columns, root=root), columns)
        else:
            yield Asked(text, [View(text, text)])


def require_some(inputs: Sequence[str | Path]) -> None:
    """Refuse inputs of which none is there, before a head or an encoder is loaded.

    Raises:
        ValueError: for no input.
        FileNotFoundError: when every input is a path of this machine, and none exists.
    """
    texts = [os.fspath(text) for text in inputs]
    if not texts:
        raise ValueError("expected images, folders or tables, got none: name at least one.")
    if not any(is_url(text) or has_magic(text) or "{" in text or Path(text).exists() for text in texts):
        raise FileNotFoundError(
            f"expected images, folders or tables, got {texts[0]}, which is not there: check the path."
        )


def is_table(text: str) -> bool:
    """Return whether an input is a folder, a table, shards or a pattern of them, and not one image."""
    if is_http(text):
        return False
    suffix = table_suffix(text)
    if is_url(text):
        return suffix not in IMAGE_SUFFIXES
    if Path(text).is_file():
        return is_delimited(text) or suffix in _TABLES
    return (
        Path(text).is_dir()
        or is_delimited(text)
        or suffix in _TABLES
        or (has_magic(text) and suffix not in IMAGE_SUFFIXES)
    )


def _asked_rows(frame: pd.DataFrame, images: ImageSource, source: str, columns: ColumnNames) -> Iterator[Asked]:
    found = find_columns(frame, _names_after_reading(columns), source, ("image",))
    names = frame["image"].where(frame["image"].notna(), "").astype(str).tolist()
    truth = _degrees(frame, found)
    places = _ids(frame[found["location"]]) if "location" in found else None
    groups: dict[str | int, Asked] = {}  # by location id, or by row where there is none; in order of appearance
    for row, reference in enumerate(names):
        view = _row_view(reference, images, row, truth[row])
        if places is None or not (place := places[row]):
            groups[row] = Asked(view.name, [view])
        else:
            groups.setdefault(place, Asked(place)).views.append(view)
    yield from groups.values()


def _ids(column: pd.Series) -> list[str]:
    """Return the ids of a column as texts, "" where one is missing, in whatever way pandas has it missing."""
    missing = column.isna().tolist()
    return ["" if gone else str(value) for value, gone in zip(column.tolist(), missing, strict=True)]


def _names_after_reading(columns: ColumnNames) -> ColumnNames:
    """Return the names of columns as `read_rows` leaves them, which calls that of the images `image`."""
    renamed = {"image": "input_image", columns.image_column: "image"} if columns.image_column else {}
    names = {field: getattr(columns, field) for field in ("lat_column", "lon_column", "location_column")}
    return replace(columns, image_column=None, **{field: renamed.get(name, name) for field, name in names.items()})


def _row_view(reference: str, images: ImageSource, row: int, truth: NDArray[np.float64]) -> View:
    shown = reference.rpartition("@")[0] if isinstance(images, TarImages) and MEMBER in reference else reference
    known = (float(truth[0]), float(truth[1])) if np.isfinite(truth).all() else None
    return View(shown or f"row {row}", reference, images, problem="" if reference else "no image", truth=known)


def _degrees(frame: pd.DataFrame, found: Mapping[str, str]) -> NDArray[np.float64]:
    """Return (N, 2) degrees, NaN where a row has none: an answer needs no truth."""
    import pandas as pd

    if not {"lat", "lon"} <= set(found):
        return np.full((len(frame), 2), np.nan)
    latlon = np.column_stack(
        [
            pd.to_numeric(frame[found[role]], errors="coerce").to_numpy(np.float64, na_value=np.nan)
            for role in ("lat", "lon")
        ]
    )
    latlon[~(np.abs(latlon) <= [90.0, 180.0]).all(axis=1)] = np.nan
    return latlon
