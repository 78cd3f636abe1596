"""Captions of a table of images: the names of places in its columns, or those found for its coordinates."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from geocell.geo.country_names import CONTINENTS, country_names
from geocell.geo.gazetteer import Gazetteer
from geocell.imagetext.templates import FIELDS, STREETCLIP_CAPTION, CaptionTemplate
from geocell.views.columns import ColumnNames, find_columns

if TYPE_CHECKING:
    import pandas as pd

ALIASES: dict[str, tuple[str, ...]] = {
    "city": ("city", "town"),
    "region": ("region", "state", "province", "admin1"),
    "country": ("country", "country_name"),
    "continent": ("continent",),
}
"""Usual spellings of the columns of the fields, in any case."""


def make_captions(
    frame: pd.DataFrame, templates: Sequence[str] = (STREETCLIP_CAPTION,), source: str = "the table"
) -> pd.DataFrame:
    """Return a table with a caption of every image by every template.

    Fields that the table has no column for are looked up by its coordinates, if it has some: the nearest town of the
    gazetteer in the country around the point. A column of two-letter country codes is written out.

    Args:
        frame: one row per image: column `image`, and columns of places (`ALIASES`) or coordinates.
        templates: caption templates; see `CaptionTemplate`.
        source: what the table is, for messages.

    Returns:
        The rows for which a template has something to say, in order, with the columns `caption` and `fields` (what the
        caption names, joined by commas), one column for each of `FIELDS` ("" where it is not known), and the others of
        `frame`. With several templates an image has a row for each, next to each other, but none twice.

    Raises:
        ValueError: for a table with neither places nor coordinates, a bad template, or no caption at all.
        ModuleNotFoundError: when coordinates are to be looked up and the gazetteer is not installed.
    """
    import pandas as pd

    if not templates:
        raise ValueError("captions need at least one template, got none.")
    parsed = [CaptionTemplate(text) for text in templates]
    places = read_places(frame, source)
    rows: list[int] = []
    captions: list[tuple[str, str]] = []
    for row, place in enumerate(places.to_dict("records")):
        made = [template.caption({str(field): str(name) for field, name in place.items()}) for template in parsed]
        for caption in dict.fromkeys(caption for caption in made if caption is not None):
            rows.append(row)
            captions.append((caption.text, ",".join(caption.fields)))
    if not rows:
        raise ValueError(
            f"{source} must name what the template asks for ({' '.join(templates)}), got no row that does: fill its "
            f"columns {', '.join(FIELDS)}, or choose another template."
        )
    made_columns = pd.DataFrame(captions, columns=["caption", "fields"])
    rest = frame.drop(columns=[name for name in frame.columns if str(name) in {"caption", "fields", *FIELDS}])
    parts = [made_columns, places.iloc[rows].reset_index(drop=True), rest.iloc[rows].reset_index(drop=True)]
    return pd.concat(parts, axis=1)


def read_places(frame: pd.DataFrame, source: str = "the table") -> pd.DataFrame:
    """Return the (N,) names of every field, "" where one is not known; see `make_captions`."""
    import pandas as pd

    lower = {str(name).strip().lower(): str(name) for name in reversed(frame.columns)}
    found = {
        field: next((lower[alias] for alias in aliases if alias in lower), None) for field, aliases in ALIASES.items()
    }
    columns = {field: _texts(frame[name]) for field, name in found.items() if name is not None}
    if missing := [field for field in FIELDS if field not in columns]:
        looked_up = _looked_up(frame, source, needed=not columns)
        columns |= {field: looked_up[field] for field in missing if field in looked_up}
    if "country" in columns:
        columns["country"] = _written_out(columns["country"])
    if "continent" in columns and set(columns["continent"]) <= {"", *CONTINENTS}:
        columns["continent"] = [CONTINENTS.get(code, "") for code in columns["continent"]]
    return pd.DataFrame({field: columns.get(field, [""] * len(frame)) for field in FIELDS})


def _texts(values: Iterable[Any]) -> list[str]:
    """Return names without blanks around; "" for missing values."""
    return [
        "" if value is None or (isinstance(value, float) and math.isnan(value)) else str(value).strip()
        for value in values
    ]


def _looked_up(frame: pd.DataFrame, source: str, *, needed: bool) -> Mapping[str, list[str]]:
    """Return field -> the (N,) names around the coordinates of a table; nothing where it has none."""
    roles = find_columns(frame, ColumnNames(), source, ())
    if not {"lat", "lon"} <= roles.keys():
        if needed:
            raise ValueError(
                f"{source} must have columns of places ({', '.join(FIELDS)}) or of coordinates (lat, lon), got "
                f"{', '.join(map(str, frame.columns))}."
            )
        return {}
    latlon = frame[[roles["lat"], roles["lon"]]].to_numpy(dtype=np.float64)
    there = np.flatnonzero(np.isfinite(latlon).all(axis=1))
    names = {field: [""] * len(frame) for field in FIELDS}
    if len(there) and (needed or Gazetteer.installed()):
        for row, found in zip(there.tolist(), Gazetteer.load().nearest(latlon[there]), strict=True):
            town = found.town
            names["city"][row], names["region"][row] = town.name, town.admin1
            names["country"][row], names["continent"][row] = town.country_name, CONTINENTS.get(town.continent, "")
    return names


def _written_out(countries: list[str]) -> list[str]:
    """Return country names; where all are alpha-2 codes, their names."""
    names = country_names()
    return [names.get(code, "") for code in countries] if set(countries) <= {"", *names} else countries
