"""Reading tables and folders of images: columns, validation, EXIF positions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.geodesy import (
    Floats,
    as_latlon,
    grouped_coordinates,
    grouped_spherical_means,
    unit_distance_km,
    unit_vectors,
)

if TYPE_CHECKING:
    import pandas as pd

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp", ".gif"})
METADATA_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
MAX_SPREAD_KM = 1.0
"""Views of one location further apart than this are not views of one location."""

_ALIASES: dict[str, tuple[str, ...]] = {
    "image": ("image", "file_name", "path", "image_path", "filename", "file"),
    "lat": ("lat", "latitude", "gps_latitude"),
    "lon": ("lon", "lng", "long", "longitude", "gps_longitude"),
    "location": ("location", "location_id"),
    "heading": ("heading",),
    "split": ("split",),
}


@dataclass(frozen=True)
class ColumnNames:
    """Which column of a table is what; a name that is given wins over the usual spellings.

    Attributes:
        image_column: column of image paths; usually image, file_name or path.
        lat_column: column of latitudes in degrees; usually lat or latitude.
        lon_column: column of longitudes in degrees; usually lon, lng or longitude.
        location_column: column that says which views show one location; usually location or location_id.
        heading_column: column of headings in degrees; usually heading.
        split_column: column of split names; usually split.
    """

    image_column: str | None = None
    lat_column: str | None = None
    lon_column: str | None = None
    location_column: str | None = None
    heading_column: str | None = None
    split_column: str | None = None


@dataclass(frozen=True, eq=False)
class ViewTable:
    """N views: where their images are and where they were taken.

    Attributes:
        frame: columns `image`, `location`, `lat`, `lon`, `problem` (empty, or why the view is unusable) and every
            other column of the input, row i being view i.
        root: folder that image paths are relative to.
        source: what was read, for manifests.
    """

    frame: pd.DataFrame
    root: Path
    source: str

    def __len__(self) -> int:
        """Return N."""
        return len(self.frame)

    @property
    def sha256(self) -> str:
        """Hash of every column: two tables with one hash get the same cache."""
        digest = hashlib.sha256()
        for name in map(str, self.frame.columns):
            values = self.frame[name]
            digest.update(f"\x1e{name}\x1e".encode())
            if values.dtype.kind in "fiub":
                digest.update(np.ascontiguousarray(values.to_numpy(), dtype="<f8").tobytes())
            else:
                digest.update("\x1f".join(map(str, values.tolist())).encode())
        return digest.hexdigest()


def latlon_keys(latlon: Floats) -> list[str]:
    """Return a text key of every coordinate, to 1e-6 degrees (11 cm)."""
    rounded = np.round(latlon, 6) + 0.0  # + 0.0 turns -0.0 into 0.0
    rounded[rounded[:, 1] == -180.0, 1] = 180.0
    rounded[np.abs(rounded[:, 0]) == 90.0, 1] = 0.0  # a pole has one longitude
    return [f"{lat:.6f},{lon:.6f}" for lat, lon in rounded.tolist()]


def read_views(path: Path | str, columns: ColumnNames = ColumnNames(), *, images_optional: bool = False) -> ViewTable:
    """Read a table of geotagged images.

    Args:
        path: CSV, TSV or Parquet table; or a folder of images, with `metadata.csv|jsonl|parquet` in the imagefolder
            convention or with EXIF GPS positions.
        columns: columns that are not spelled as usual.
        images_optional: accept a table without images (features that exist already): rows are numbered instead.

    Raises:
        FileNotFoundError: when there is nothing at `path`.
        ValueError: for a missing column, an empty table, or unusable coordinates.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"expected a table or a folder of images, got {path}, which does not exist.")
    if path.is_dir():
        named = [path / name for name in METADATA_NAMES if (path / name).is_file()]
        if not named:
            return _read_exif_folder(path)
        return _table_from_frame(_read_frame(named[0], columns), path, str(named[0]), columns, images_optional)
    return _table_from_frame(_read_frame(path, columns), path.parent, str(path), columns, images_optional)


def table_from_frame(
    frame: pd.DataFrame,
    root: Path | str = ".",
    columns: ColumnNames = ColumnNames(),
    source: str = "a DataFrame",
) -> ViewTable:
    """Return the views of a DataFrame; see `read_views` for columns and errors."""
    return _table_from_frame(frame, Path(root), source, columns, images_optional=False)


def _read_frame(path: Path, columns: ColumnNames) -> pd.DataFrame:
    import pandas as pd

    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            return pd.read_parquet(path)
        if suffix in {".csv", ".tsv", ".txt"}:
            return _read_delimited(path, "\t" if suffix == ".tsv" else ",", columns)
        if suffix == ".jsonl":
            return pd.read_json(path, lines=True)
    except pd.errors.EmptyDataError as error:
        raise ValueError(f"{path} must be a table with a header and rows, got an empty file.") from error
    except (ValueError, OSError) as error:  # pandas' parser errors and pyarrow's ArrowInvalid are ValueErrors
        first_line = str(error).split("\n", maxsplit=1)[0]
        raise ValueError(f"{path} must be a readable {suffix[1:]} table, got: {first_line}") from error
    raise ValueError(
        f"expected a table (.csv, .tsv, .parquet, .jsonl) or a folder of images, got {path.name}: convert it first."
    )


def _read_delimited(path: Path, separator: str, columns: ColumnNames) -> pd.DataFrame:
    """Read CSV or TSV; ids stay text, so that `007` is not `7` and the country `NA` is not missing."""
    import pandas as pd

    names = [str(name) for name in pd.read_csv(path, sep=separator, nrows=0).columns]
    text = {alias for role in ("image", "location", "split", "country") for alias in _ALIASES.get(role, (role,))}
    given = {columns.image_column, columns.location_column, columns.split_column}
    ids = [name for name in names if name.strip().lower() in text or name in given]
    missing = {name: ["", "nan", "NaN", "NA", "N/A", "null", "NULL", "None"] for name in names if name not in ids}
    frame = pd.read_csv(path, sep=separator, dtype=dict.fromkeys(ids, str), keep_default_na=False, na_values=missing)
    if not isinstance(frame.index, pd.RangeIndex):
        raise ValueError(  # noqa: TRY004 - the table is wrong, not a type
            f"rows with more fields than the header's {len(names)}: name every column, or quote commas."
        )
    return frame


def _find_columns(frame: pd.DataFrame, columns: ColumnNames, source: str, needed: Sequence[str]) -> dict[str, str]:
    """Return role -> column name; explicit names win, then the usual spellings in any case."""
    lower: dict[str, str] = {}
    for name in map(str, frame.columns):
        lower.setdefault(name.strip().lower(), name)
    found: dict[str, str] = {}
    for role in (field.name.removesuffix("_column") for field in fields(ColumnNames)):
        explicit = getattr(columns, f"{role}_column")
        if explicit is not None:
            if explicit not in frame.columns:
                raise ValueError(
                    f"{source} must have the column {explicit!r} for {role}, got {list(map(str, frame.columns))}."
                )
            found[role] = explicit
            continue
        for alias in _ALIASES[role]:
            if alias in lower and lower[alias] not in found.values():
                found[role] = lower[alias]
                break
        else:
            if role in needed:
                raise ValueError(
                    f"{source} must have a column for {role} (one of {', '.join(_ALIASES[role])}), got "
                    f"{list(map(str, frame.columns))}: name it with --{role}-column."
                )
    return found


def _table_from_frame(
    frame: pd.DataFrame, root: Path, source: str, columns: ColumnNames, images_optional: bool
) -> ViewTable:
    import pandas as pd

    if frame.empty:
        raise ValueError(f"{source} must have at least one row, got an empty table.")
    found = _find_columns(frame, columns, source, ("lat", "lon") if images_optional else ("image", "lat", "lon"))
    # a column that stands where one of ours goes is kept under another name
    ours = {new for new, old in found.items() if new != old} | {"problem", "status"}
    renamed = {name: f"input_{name}" for name in frame.columns if name in ours}
    renamed |= {old: new for new, old in found.items() if new != old}
    frame = frame.reset_index(drop=True).rename(columns=renamed)
    duplicated = frame.columns[frame.columns.duplicated()]
    if len(duplicated):
        raise ValueError(f"{source} must have one column for {duplicated[0]}, got several: rename or drop one.")
    coordinates = []
    for role in ("lat", "lon"):
        values = pd.to_numeric(frame[role], errors="coerce")
        bad = values.isna() & frame[role].notna()
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise ValueError(f"{source}: {role} must be degrees, got {frame[role].iloc[row]!r} in row {row}.")
        coordinates.append(values.to_numpy(np.float64))
    latlon = as_latlon(np.column_stack(coordinates), f"{source}: coordinates")
    frame["lat"], frame["lon"] = latlon[:, 0], latlon[:, 1]
    if "image" in frame:
        frame["image"] = _text_column(frame["image"], "image", source)
    else:
        frame["image"] = [f"row {i}" for i in range(len(frame))]
    frame["location"] = (
        _text_column(frame["location"], "location", source) if "location" in frame else latlon_keys(latlon)
    )
    frame["problem"] = ""
    _require_tight_locations(frame, latlon, source)
    return ViewTable(_order_columns(frame), root, source)


def _text_column(values: pd.Series[Any], role: str, source: str) -> list[str]:
    """Return ids as text; a whole number that a missing value made a float is written without its point."""
    missing = np.asarray(values.isna() | (values == ""))
    if missing.any():
        row = int(np.flatnonzero(missing)[0])
        raise ValueError(f"{source}: {role} must be given in every row, got nothing in row {row}.")
    if values.dtype.kind == "f" and (values == values.round()).all():
        values = values.astype("int64")
    return [str(value) for value in values.tolist()]


def _require_tight_locations(frame: pd.DataFrame, latlon: Floats, source: str) -> None:
    codes, names = frame["location"].factorize()
    groups = codes.astype(np.int64)
    means, _ = grouped_spherical_means(latlon, groups, len(names))
    spread = unit_distance_km(unit_vectors(latlon), unit_vectors(means)[groups])
    worst = int(np.argmax(spread))
    if spread[worst] > MAX_SPREAD_KM:
        raise ValueError(
            f"{source}: views of one location must lie within {MAX_SPREAD_KM:g} km, got {spread[worst]:.1f} km from "
            f"the middle of location {frame['location'].iloc[worst]!r} in row {worst}: check the location column."
        )


def _order_columns(frame: pd.DataFrame) -> pd.DataFrame:
    first = ["image", "location", "lat", "lon", "problem"]
    return frame[first + [name for name in frame.columns if name not in first]]


def _read_exif_folder(folder: Path) -> ViewTable:
    """Read every image below a folder; one without a position is a view with a problem, never a lost one."""
    import pandas as pd

    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
    if not paths:
        raise ValueError(f"{folder} must hold images ({', '.join(sorted(IMAGE_SUFFIXES))}), got none.")
    rows = [(path.relative_to(folder).as_posix(), *read_exif_position(path)) for path in paths]
    frame = pd.DataFrame(rows, columns=["image", "lat", "lon", "heading", "problem"])
    good = (frame["problem"] == "").to_numpy()
    if not good.any():
        raise ValueError(
            f"{folder} must hold images with EXIF GPS positions or a metadata.csv, got {len(paths)} images without "
            f"either (the first: {frame['problem'].iloc[0]}): pass a table with coordinates instead."
        )
    latlon = frame[["lat", "lon"]].to_numpy(np.float64)
    keys = iter(latlon_keys(latlon[good]))
    frame["location"] = [next(keys) if ok else "" for ok in good]
    return ViewTable(_order_columns(frame), folder, str(folder))


def read_exif_position(path: Path) -> tuple[float, float, float, str]:
    """Return latitude, longitude, heading (NaN when absent) and an empty problem, or NaNs and the problem."""
    from PIL import ExifTags, Image

    try:
        with Image.open(path) as image:
            gps = image.getexif().get_ifd(ExifTags.IFD.GPSInfo)
        lat = _degrees(gps[ExifTags.GPS.GPSLatitude], gps[ExifTags.GPS.GPSLatitudeRef], "S")
        lon = _degrees(gps[ExifTags.GPS.GPSLongitude], gps[ExifTags.GPS.GPSLongitudeRef], "W")
        as_latlon([lat, lon], "its EXIF position")
        heading = float(gps.get(ExifTags.GPS.GPSImgDirection, np.nan))
    except KeyError:
        return np.nan, np.nan, np.nan, "no EXIF GPS position"
    except Exception as error:
        return np.nan, np.nan, np.nan, f"{type(error).__name__}: {error}".split("\n", maxsplit=1)[0]
    return lat, lon, heading, ""


def _degrees(parts: Sequence[Any], reference: str, negative: str) -> float:
    degrees, minutes, seconds = (float(part) for part in parts)
    value = degrees + minutes / 60 + seconds / 3600
    return -value if reference.upper().startswith(negative) else value


def location_coordinates(table: ViewTable) -> Floats:
    """Return (P, 2) degrees, one row per location: the spherical mean of its views, or their common coordinate."""
    frame = table.frame[table.frame["problem"] == ""]
    codes, names = frame["location"].factorize()
    return grouped_coordinates(frame[["lat", "lon"]].to_numpy(np.float64), codes.astype(np.int64), len(names))


def location_column(table: ViewTable, name: str) -> NDArray[Any] | None:
    """Return a further column for the same (P,) locations, from the first view of each; None when there is none."""
    if name not in table.frame.columns:
        return None
    frame = table.frame[table.frame["problem"] == ""]
    return np.asarray(frame.loc[~frame["location"].duplicated(), name].to_numpy())
