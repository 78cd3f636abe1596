"""Captions of a table of images: the names of places in its columns, or those found for its coordinates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from geocell.geo.country_names import CONTINENTS, country_code, country_names
from geocell.geo.gazetteer import Gazetteer
from geocell.geo.geodesy import Floats
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


NO_IMAGE, NO_PLACE, NOTHING_TO_SAY = "no image", "no known place", "no place that a template asks for"
"""Why a row has no caption."""


class Captioned(NamedTuple):
    """Captions, and the rows that have none.

    Attributes:
        table: one row per caption; see `make_captions`.
        skipped: reason -> how many rows of the input have no caption for it.
    """

    table: pd.DataFrame
    skipped: dict[str, int]


def make_captions(
    frame: pd.DataFrame,
    templates: Sequence[str] = (STREETCLIP_CAPTION,),
    source: str = "the table",
    columns: ColumnNames = ColumnNames(),
) -> Captioned:
    """Return a table with a caption of every image by every template.

    Fields that the table has no column for are looked up by its coordinates, if it has some: the nearest town of the
    gazetteer in the country around the point. A column of two-letter country codes is written out.

    Args:
        frame: one row per image: column `image`, and columns of places (`ALIASES`) or coordinates.
        templates: caption templates; see `CaptionTemplate`.
        source: what the table is, for messages.
        columns: names of the columns of coordinates that are not spelled as usual.

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
    places = read_places(frame, source, columns)
    there = [bool(name) for name in texts(frame["image"])]
    rows: list[int] = []
    captions: list[tuple[str, str]] = []
    skipped: Counter[str] = Counter()
    for row, (place, image) in enumerate(zip(places.to_dict("records"), there, strict=True)):
        known = {str(field): str(name) for field, name in place.items()}
        made = [caption for template in parsed if (caption := template.caption(known)) is not None]
        if not (image and made):
            skipped[NO_IMAGE if not image else NOTHING_TO_SAY if any(known.values()) else NO_PLACE] += 1
            continue
        for caption in dict.fromkeys(made):
            rows.append(row)
            captions.append((caption.text, ",".join(caption.fields)))
    if not rows:
        raise ValueError(
            f"{source} must name what the template asks for ({' '.join(templates)}), got no row with an image that "
            f"does: fill its columns {', '.join(FIELDS)}, or choose another template."
        )
    made_columns = pd.DataFrame(captions, columns=["caption", "fields"])
    rest = frame.drop(columns=[name for name in frame.columns if str(name) in {"caption", "fields", *FIELDS}])
    parts = [made_columns, places.iloc[rows].reset_index(drop=True), rest.iloc[rows].reset_index(drop=True)]
    return Captioned(pd.concat(parts, axis=1), dict(skipped))


def read_places(frame: pd.DataFrame, source: str = "the table", columns: ColumnNames = ColumnNames()) -> pd.DataFrame:
    """Return the (N,) names of every field, "" where one is not known; see `make_captions`."""
    import pandas as pd

    found = {field: texts(frame[name]) for field, name in place_columns(frame).items()}
    if missing := [field for field in FIELDS if field not in found]:
        looked_up = _looked_up(frame, source, columns, needed=not found)
        found |= {field: looked_up[field] for field in missing if field in looked_up}
    if "country" in found:
        found["country"] = _written_out(found["country"])
    if "continent" in found and set(found["continent"]) <= {"", *CONTINENTS}:
        found["continent"] = [CONTINENTS.get(code, "") for code in found["continent"]]
    return pd.DataFrame({field: found.get(field, [""] * len(frame)) for field in FIELDS})


def place_columns(frame: pd.DataFrame) -> dict[str, str]:
    """Return field -> the column of a table that has it."""
    lower = {str(name).strip().lower(): str(name) for name in reversed(frame.columns)}
    found = {field: next((lower[name] for name in names if name in lower), None) for field, names in ALIASES.items()}
    return {field: name for field, name in found.items() if name is not None}


def texts(values: Iterable[Any]) -> list[str]:
    """Return names without blanks around; "" for missing values."""
    import pandas as pd

    return ["" if pd.isna(value) else str(value).strip() for value in values]


def unknown_countries(captions: pd.DataFrame) -> tuple[str, ...]:
    """Return the countries that captions name and zero-shot would not know, by their first rows."""
    named = dict.fromkeys(texts(captions["country"]))
    return tuple(name for name in named if name and not country_code(name))


def coordinates(frame: pd.DataFrame, source: str, columns: ColumnNames = ColumnNames()) -> Floats | None:
    """Return (N, 2) degrees, NaN where a row has none; None for a table without such columns."""
    import pandas as pd

    roles = find_columns(frame, columns, source, ())
    if not {"lat", "lon"} <= roles.keys():
        return None
    latlon = np.column_stack(
        [pd.to_numeric(frame[roles[role]], errors="coerce").to_numpy(np.float64) for role in ("lat", "lon")]
    )
    latlon[~(np.abs(latlon) <= (90.0, 180.0)).all(axis=1)] = np.nan
    return latlon


def _looked_up(frame: pd.DataFrame, source: str, columns: ColumnNames, *, needed: bool) -> Mapping[str, list[str]]:
    """Return field -> the (N,) names around the coordinates of a table; nothing where it has none."""
    latlon = coordinates(frame, source, columns)
    if latlon is None:
        if needed:
            raise ValueError(
                f"{source} must have columns of places ({', '.join(FIELDS)}) or of coordinates (lat, lon), got "
                f"{', '.join(map(str, frame.columns))}."
            )
        return {}
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
