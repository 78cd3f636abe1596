"""Roles of columns, and finding them in a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd

PresetName = Literal[
    "osv5m", "mp16", "yfcc", "yfcc4k", "yfcc26k", "im2gps", "im2gps3k", "mapillary", "msls", "kartaview",
    "google-landmarks",
]  # fmt: skip

ALIASES: dict[str, tuple[str, ...]] = {
    "image": ("image", "file_name", "path", "image_path", "image_filename", "filename", "file", "url", "image_url"),
    "lat": ("lat", "latitude", "gps_latitude"),
    "lon": ("lon", "lng", "long", "longitude", "gps_longitude"),
    "location": ("location", "location_id"),
    "heading": ("heading",),
    "split": ("split",),
}


@dataclass(frozen=True)
class ColumnNames:
    """Names of a table's columns; explicit names take precedence over the preset, and that over the usual spellings.

    Attributes:
        preset: published data set whose columns and image names the table has.
        image_column: column of image paths or URLs; usually image, file_name, path or url.
        lat_column: column of latitudes in degrees; usually lat or latitude.
        lon_column: column of longitudes in degrees; usually lon, lng or longitude.
        location_column: column of location ids: views with one id show one location; usually location or location_id.
        heading_column: column of headings in degrees; usually heading.
        split_column: column of split names; usually split.
    """

    preset: PresetName | None = None
    image_column: str | None = None
    lat_column: str | None = None
    lon_column: str | None = None
    location_column: str | None = None
    heading_column: str | None = None
    split_column: str | None = None

    def with_defaults(self, other: ColumnNames) -> ColumnNames:
        """Return these names, with those of `other` where none is given here."""
        given = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}
        return replace(other, **given)

    def name_of(self, role: str) -> str | None:
        """Return the explicit name for a role, None when there is none."""
        name: str | None = getattr(self, f"{role}_column")
        return name


def find_columns(frame: pd.DataFrame, columns: ColumnNames, source: str, needed: Sequence[str]) -> dict[str, str]:
    """Return role -> column name; explicit names take precedence over the usual spellings in any case.

    Raises:
        ValueError: when a named or required column is missing.
    """
    names = list(map(str, frame.columns))
    lower: dict[str, str] = {}
    for name in names:
        lower.setdefault(name.strip().lower(), name)
    found: dict[str, str] = {}
    for role, aliases in ALIASES.items():
        explicit = columns.name_of(role)
        if explicit is not None:
            if explicit not in frame.columns:
                raise ValueError(f"{source} must have the column {explicit!r} for {role}, got {names}.")
            found[role] = explicit
            continue
        there = [lower[alias] for alias in aliases if alias in lower and lower[alias] not in found.values()]
        if there:
            found[role] = there[0]
        elif role in needed:
            raise ValueError(
                f"{source} must have a column for {role} (one of {', '.join(aliases)}), got {names}: name it with "
                f"--{role}-column."
            )
    return found
