"""Folders of images with EXIF GPS positions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geocell.geo.geodesy import as_latlon
from geocell.images.loading import problem_of
from geocell.images.opening import open_image
from geocell.images.sources import FileImages
from geocell.views.table import ViewTable, make_table
from geocell.views.texts import clean_text, is_clean

_NOT_UTF8 = (np.nan, np.nan, np.nan, "its file name is not UTF-8")


def read_exif_folder(folder: Path, names: Sequence[str]) -> ViewTable:
    """Read the positions of images; an image without a position is a view with a problem.

    Args:
        folder: the folder.
        names: paths of its images, relative to it.

    Raises:
        ValueError: when no image has a position.
    """
    import pandas as pd

    rows = [(clean_text(name), *(read_exif_position(folder / name) if is_clean(name) else _NOT_UTF8)) for name in names]
    frame = pd.DataFrame(rows, columns=["image", "lat", "lon", "heading", "problem"])
    problems = frame.pop("problem").tolist()
    if all(problems):
        raise ValueError(
            f"{folder} must hold images with EXIF GPS positions or a metadata.csv, got {len(names)} images without "
            f"either (the first: {problems[0]}): pass a table with coordinates instead."
        )
    return make_table(frame, FileImages(str(folder)), str(folder), problems=problems)


def read_exif_position(path: Path) -> tuple[float, float, float, str]:
    """Return latitude, longitude, heading (NaN when absent) and an empty problem, or NaNs and the problem.

    Raises:
        TooManyOpenError: when it could not be opened for the number of open files.
    """
    from PIL import ExifTags

    try:
        with open_image(path) as image:
            gps = image.getexif().get_ifd(ExifTags.IFD.GPSInfo)
        lat = _degrees(gps[ExifTags.GPS.GPSLatitude], gps[ExifTags.GPS.GPSLatitudeRef], "S")
        lon = _degrees(gps[ExifTags.GPS.GPSLongitude], gps[ExifTags.GPS.GPSLongitudeRef], "W")
        as_latlon([lat, lon], "its EXIF position")
        heading = float(gps.get(ExifTags.GPS.GPSImgDirection, np.nan))
    except KeyError:
        return np.nan, np.nan, np.nan, "no EXIF GPS position"
    except Exception as error:
        return np.nan, np.nan, np.nan, problem_of(error, path)
    return lat, lon, heading, ""


def _degrees(parts: Sequence[Any], reference: str, negative: str) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    value = degrees + minutes / 60 + seconds / 3600
    return -value if reference.upper().startswith(negative) else value
