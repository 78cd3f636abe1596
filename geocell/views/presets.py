"""Presets: column and file naming of published data sets.

A preset is a set of column names and a rule that maps an id to an image file. Names given on the command line take
precedence.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geocell.views.columns import ColumnNames, PresetName

if TYPE_CHECKING:
    import pandas as pd

    from geocell.geo.geodesy import Floats


@dataclass(frozen=True)
class Preset:
    """Conventions of one data set.

    Attributes:
        columns: its column names.
        file_name: image id -> path of its file, relative to the folder of images.
        key: file name -> identifier of an image, independent of its folder; None where `file_name` is enough.
        header: number of columns -> their names, for tables that are published without a header.
        prepare: derives columns from nested records.
        may_be_swapped: whether a copy with swapped latitude and longitude headings is in circulation.
        lacks: hint about what the published table does not contain, for error messages.
    """

    columns: ColumnNames
    file_name: Callable[[str], str] = str
    key: Callable[[str], str] | None = None
    header: tuple[str, ...] | None = None
    prepare: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    may_be_swapped: bool = False
    lacks: str = ""


_YFCC_HEADER = (
    "line", "photoid", "hash", "uid", "unickname", "datetaken", "dateuploaded", "capturedevice", "title", "description",
    "usertags", "machinetags", "longitude", "latitude", "accuracy", "pageurl", "downloadurl", "licensename",
    "licenseurl", "serverid", "farmid", "secret", "secretoriginal", "ext", "marker",
)  # fmt: skip


def _flickr_id(name: str) -> str:
    """Return the part of a Flickr image's file name that is the same in every copy of MP-16.

    >>> _flickr_id("e8/3b/3351949394.jpg") == _flickr_id("e8_3b_3351949394.jpg") == _flickr_id("3351949394.jpg")
    True
    """
    return re.sub(r"^.*/|^[0-9a-f]{2}_[0-9a-f]{2}_", "", name.rsplit("/", 1)[-1])


def _im2gps_id(name: str) -> str:
    """Return an IM2GPS file name without the place-name prefix of some copies.

    >>> _im2gps_id("images/Rome_00024_231521295_0ab_1_2@N00.jpg")
    '231521295_0ab_1_2@N00.jpg'
    """
    return re.sub(r"^[A-Za-z]+_\d{5}_", "", name.rsplit("/", 1)[-1])


def _base_name(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def _by_id(identity: str) -> str:
    return f"{identity}.jpg"


def _landmark_path(identity: str) -> str:
    """Return where Google Landmarks v2 keeps an image: `a/b/c/abc….jpg`, after the first three letters of its id."""
    return f"{identity[0]}/{identity[1]}/{identity[2]}/{identity}.jpg" if len(identity) > 2 else _by_id(identity)


def _point(value: object) -> tuple[float, float]:
    """Return the longitude and latitude of a GeoJSON point, NaNs for anything else."""
    pair = value.get("coordinates") if isinstance(value, dict) else None
    numbers = [n for n in pair if isinstance(n, int | float)] if isinstance(pair, list | tuple) else []
    return (float(numbers[0]), float(numbers[1])) if len(numbers) in {2, 3} else (np.nan, np.nan)


def _mapillary(frame: pd.DataFrame) -> pd.DataFrame:
    """Return image records of Mapillary's API with coordinates, heading and address as columns.

    Computed values (Mapillary's own correction of the device's) come first; the largest thumbnail is the image.
    """
    import pandas as pd

    def first(*names: str) -> pd.Series[Any]:
        values: pd.Series[Any] = pd.Series(np.nan, index=frame.index, dtype=object)
        for name in names:
            if name in frame:
                values = values.where(values.notna(), frame[name])
        return values

    points = first("computed_geometry", "geometry")
    pairs = [_point(value) for value in points]
    thumbs = first("thumb_original_url", "thumb_2048_url", "thumb_1024_url", "thumb_256_url")
    frame = frame.drop(columns=[name for name in ("computed_geometry", "geometry") if name in frame])
    named: dict[str, Any] = {"lon": [p[0] for p in pairs], "lat": [p[1] for p in pairs], "image": thumbs}
    heading = pd.to_numeric(first("computed_compass_angle", "compass_angle"), errors="coerce")
    return frame.assign(**named, heading=heading)


_FLICKR_TABLE = ColumnNames(image_column="IMG_ID", lat_column="LAT", lon_column="LON")

PRESETS: dict[PresetName, Preset] = {
    # https://huggingface.co/datasets/osv5m/osv5m: train.csv, test.csv; images/<split>/<nn>/<id>.jpg once unpacked
    "osv5m": Preset(
        ColumnNames(image_column="id", lat_column="latitude", lon_column="longitude"), _by_id, key=_base_name
    ),
    # mp16_places365.csv of TIBHannover/GeoEstimation and MP16_Pro_places365.csv of MP16-Pro
    "mp16": Preset(_FLICKR_TABLE, key=_flickr_id),
    # yfcc100m_dataset of Multimedia Commons: tab separated, 25 columns, no header
    "yfcc": Preset(
        ColumnNames(image_column="downloadurl", lat_column="latitude", lon_column="longitude"), header=_YFCC_HEADER
    ),
    # yfcc4k_places365.csv (Vo et al., 2017) and yfcc25600_places365.csv (Theiner et al., 2022)
    "yfcc4k": Preset(_FLICKR_TABLE, key=_flickr_id),
    "yfcc26k": Preset(_FLICKR_TABLE, key=_flickr_id),
    # im2gps_places365.csv and im2gps3k_places365.csv of TIBHannover/GeoEstimation; the former is headed LON,LAT
    # (commit 7006c4d) while its values are latitude, longitude; later copies are headed LAT,LON
    "im2gps": Preset(_FLICKR_TABLE, key=_im2gps_id, may_be_swapped=True),
    "im2gps3k": Preset(_FLICKR_TABLE, key=_base_name, may_be_swapped=True),
    # https://www.mapillary.com/developer/api-documentation: image entities, one JSON object per line
    "mapillary": Preset(
        ColumnNames(image_column="image", lat_column="lat", lon_column="lon", heading_column="heading"),
        prepare=_mapillary,
    ),
    # Mapillary Street-Level Sequences: <city>/query|database/raw.csv beside images/<key>.jpg
    "msls": Preset(
        ColumnNames(image_column="key", lat_column="lat", lon_column="lon", heading_column="ca"),
        lambda key: f"images/{key}.jpg",
    ),
    # https://api.openstreetcam.org/2.0/photo: photo objects, one JSON object per line
    "kartaview": Preset(
        ColumnNames(image_column="fileurlProc", lat_column="lat", lon_column="lng", heading_column="heading")
    ),
    # https://github.com/cvdfoundation/google-landmark: train.csv has id, url, landmark_id
    "google-landmarks": Preset(
        ColumnNames(image_column="id"),
        _landmark_path,
        lacks="Google Landmarks is published without coordinates: join those of your landmark_id first.",
    ),
}


def find_preset(name: PresetName | None) -> Preset | None:
    """Return a preset by name.

    Raises:
        ValueError: when there is none.
    """
    if name is not None and name not in PRESETS:
        raise ValueError(f"preset must be one of {', '.join(PRESETS)}, got {name!r}.")
    return None if name is None else PRESETS[name]


def image_paths(ids: list[str], preset: Preset, root: Path) -> list[str]:
    """Return the path of every image below `root`.

    The rule of the data set gives the path. Where copies differ, unless the first image is at its path, `root` is
    listed once and images are found by their key; an image that is not found keeps the path of the rule.
    """
    names = [preset.file_name(identity) for identity in ids]
    if preset.key is None or not names or os.path.isfile(root / names[0]):  # noqa: PTH113 - false for a name that no file can have
        return names
    there: dict[str, str] = {}
    for folder, _, files in os.walk(root):
        below = os.path.relpath(folder, root)
        for file in sorted(files):
            there.setdefault(preset.key(file), file if below == "." else f"{below}/{file}")
    return [there.get(preset.key(name), name) for name in names]


def exchanged(latlon: Floats) -> tuple[bool, str]:
    """Return whether the headings of coordinates are swapped, and a remark about it.

    A latitude beyond 90 degrees is proof. Without one, the share of points on land is a hint: nearly all
    photographs are on land, and about a third of swapped coordinates.

    Args:
        latlon: (N, 2) degrees as the headings say.
    """
    largest = np.abs(latlon).max(axis=0)
    if largest[0] > 90 and largest[1] <= 90:
        return True, (
            "its headings of latitude and longitude are exchanged, as in the copy that circulates (a latitude would "
            f"be {largest[0]:g}): read the other way round."
        )
    as_named, turned = land_share(latlon), land_share(latlon[:, ::-1]) if largest[1] <= 90 else 0.0
    if turned > as_named + 0.2:
        return False, (
            f"its headings of latitude and longitude may be exchanged: {100 * as_named:.0f} % of the points are on "
            f"land, and {100 * turned:.0f} % the other way round; if so, pass --lat-column and --lon-column."
        )
    return False, ""


def land_share(latlon: Floats) -> float:
    """Return the share of points on land, by the outlines of countries (1:50m)."""
    import shapely

    from geocell.geo.countries import country_outlines

    tree = shapely.STRtree(country_outlines().geometry.to_numpy())
    inside = tree.query(shapely.points(latlon[:, 1], latlon[:, 0]), predicate="within")[0]
    return len(np.unique(inside)) / len(latlon)
