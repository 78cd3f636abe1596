"""Files of candidate cities, in the shapes that people have."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geocell.files import DamagedFileError, one_sentence, read_json_value, reading
from geocell.geo.country_names import country_code, folded
from geocell.zeroshot.candidates import Candidate, Candidates, Cities, shown, with_coordinates

_MAX_BYTES = 64 << 20
_NAMES: Mapping[str, tuple[str, ...]] = {
    "country": ("country", "country_name"),
    "city": ("city", "name", "town", "city_ascii"),
    "lat": ("lat", "latitude"),
    "lon": ("lon", "lng", "long", "longitude"),
    "region": ("region", "state", "admin1", "admin_name"),
    "continent": ("continent",),
    "population": ("population",),
}
"""Field of a candidate -> the keys it is read from, the first one that is there."""

_ABSENT = {"", "nan", "none", "null", "NaN", "None", "NULL", "NA"}
"""Texts that mean nothing is known; the town of Nan is spelled with a capital."""


@one_sentence()
def read_candidates(path: str | Path) -> Candidates:
    """Read candidate cities from a file.

    CSV or TSV with columns country, city and, where known, lat, lon, region, continent, population. JSON as a list of
    such records; as `{"country": ["city", …]}`; as `{"locations": [records]}`; or as `{"countries": [names], "cities":
    {"country": ["city", …]}}`. Cities without coordinates get those of the offline gazetteer, in their own country. A
    city that stands there several times counts once.

    Args:
        path: the file, `.csv`, `.tsv` or `.json`.

    Raises:
        FileNotFoundError: when it is not there.
        ValueError: for another shape, a missing column, a value that is none, an unknown country, a city that is not
            found, or one that stands there twice with different coordinates.
        ModuleNotFoundError: when coordinates are missing and the gazetteer is not installed.
    """
    path = Path(path)
    items = _items(path)
    try:
        return Candidates(tuple(with_coordinates(items)))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


@one_sentence()
def read_cities(path: str | Path) -> Cities:
    """Read candidate cities from such a file by their names alone; see `read_candidates`."""
    path = Path(path)
    items = _items(path)
    try:
        return Cities(tuple(items))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _items(path: Path) -> list[Candidate]:
    """Return the cities of a file as they stand there."""
    if path.suffix.lower() == ".json":
        records: Sequence[Mapping[str, Any]] = list(
            _records(read_json_value(path, "candidates", max_bytes=_MAX_BYTES), path)
        )
    elif path.suffix.lower() in {".csv", ".tsv"}:
        records = _table(path)
    else:
        raise ValueError(f"candidates must be a .csv, .tsv or .json file, got {path}.")
    try:
        return _each_once([_candidate(record, number) for number, record in enumerate(records, start=1)])
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _each_once(items: Sequence[Candidate]) -> list[Candidate]:
    """Return the cities, one that stands there again once; two places of the same names have the same texts.

    Raises:
        ValueError: when a city stands there twice with different coordinates.
    """
    first: dict[tuple[str, ...], int] = {}
    found = []
    for row, item in enumerate(items):
        key = (country_code(item.country) or item.country, folded(item.city), folded(item.region))
        known = items[first.setdefault(key, row)]
        if known is item:
            found.append(item)
        elif not np.array_equal([known.lat, known.lon], [item.lat, item.lon], equal_nan=True):
            raise ValueError(
                f"candidates {first[key] + 1} and {row + 1} are both {shown([item.label])}, at different coordinates, "
                "and no text tells them apart: name their regions, or leave one out."
            )
    return found


def _table(path: Path) -> Sequence[Mapping[str, Any]]:
    """Return the rows of a CSV or TSV file."""
    if not path.is_file():
        raise FileNotFoundError(f"candidates must be a file, and there is none at {path}.")
    with reading(path, "a table of candidates"):
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"it has more than {_MAX_BYTES:,} bytes")
        text = path.read_text(encoding="utf-8-sig")
        rows = csv.DictReader(io.StringIO(text), delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        columns = [str(name).strip().lower() for name in rows.fieldnames or ()]
        records = [dict(zip(columns, row.values(), strict=False)) for row in rows]
    lacking = [field for field in ("country", "city") if not set(_NAMES[field]) & set(columns)]
    has = [bool(set(_NAMES[field]) & set(columns)) for field in ("lat", "lon")]
    lacking += [field for field, there in zip(("lat", "lon"), has, strict=True) if not there and any(has)]
    if lacking:
        raise ValueError(
            f"{path} must have the columns country, city, lat and lon, and lacks {' and '.join(lacking)}: it has "
            f"{shown(columns)}."
        )
    return records


def _records(value: object, path: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the records of a JSON file."""
    if isinstance(value, dict) and isinstance(value.get("locations"), list):
        value = value["locations"]
    if isinstance(value, list):
        yield from (_record(item, path) for item in value)
    elif isinstance(value, dict) and isinstance(value.get("cities"), dict):
        cities = value["cities"]
        listed = value.get("countries", list(cities))
        if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
            raise DamagedFileError(f"{path} must have a list of names as 'countries'.")
        if without := [name for name in listed if not cities.get(name)]:
            raise ValueError(f"{path} must have cities of every country, and has none of {shown(without)}.")
        yield from _by_country({name: cities[name] for name in listed}, path)
    elif isinstance(value, dict):
        yield from _by_country(value, path)
    else:
        raise DamagedFileError(f"{path} must hold a list or an object of candidates, got {type(value).__name__}.")


def _by_country(value: Mapping[str, Any], path: Path) -> Iterator[Mapping[str, Any]]:
    for country, cities in value.items():
        if not isinstance(cities, list):
            raise DamagedFileError(
                f"{path} must have a list of cities under each country, got {type(cities).__name__} under "
                f"{shown([country])}: the shapes that are read are in docs/zero-shot.md."
            )
        for city in cities:
            yield {"country": country, **(_record(city, path) if isinstance(city, dict) else {"city": city})}


def _record(value: object, path: Path) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise DamagedFileError(
            f"{path} must have a record with country and city per candidate, got {str(value)[:60]!r}."
        )
    return {str(key).strip().lower(): item for key, item in value.items()}


def _candidate(record: Mapping[str, Any], number: int) -> Candidate:
    values = {field: _first(record, keys) for field, keys in _NAMES.items()}
    names = {field: _name(values[field], field, number) for field in ("country", "city", "region", "continent")}
    for field in ("country", "city"):
        if not names[field]:
            raise ValueError(f"candidate {number} must have a {field}, got none.")
    lat, lon = (_number(values[field], field, number) for field in ("lat", "lon"))
    if math.isnan(lat) != math.isnan(lon):
        raise ValueError(f"candidate {number} must have both lat and lon or neither, got one of them.")
    if abs(lat) > 90 or abs(lon) > 180:
        raise ValueError(
            f"candidate {number} ({names['city'][:40]}) must have lat from -90 to 90 and lon from -180 to 180, got "
            f"{lat:g} and {lon:g}."
        )
    population = _number(values["population"], "population", number)
    if population < 0 or population > 1e11:
        raise ValueError(f"candidate {number} must have a population of at least 0, got {population:g}.")
    return Candidate(
        country=names["country"],
        city=names["city"],
        lat=lat,
        lon=lon,
        region=names["region"],
        continent=names["continent"],
        population=0 if math.isnan(population) else int(population),
    )


def _first(record: Mapping[str, Any], keys: Iterable[str]) -> object:
    return next((record[key] for key in keys if key in record), None)


def _name(value: object, field: str, number: int) -> str:
    """Return a name, "" where none is known: NaN never gets into a prompt."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if not isinstance(value, str):
        got = f"{type(value).__name__} {str(value)[:40]!r}"
        raise ValueError(f"candidate {number} must have a text as {field}, got {got}.")  # noqa: TRY004 - of a file
    text = " ".join(value.split())
    return "" if text in _ABSENT else text


def _number(value: object, field: str, number: int) -> float:
    """Return a number, NaN where none is known."""
    if value is None or (isinstance(value, str) and value.strip() in _ABSENT):
        return math.nan
    try:
        found = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.inf
    except (ValueError, OverflowError):
        found = math.inf
    if math.isinf(found):
        raise ValueError(f"candidate {number} must have a number as {field}, got {str(value)[:40]!r}.")
    return found
