"""Candidate cities: the places that zero-shot chooses from, each with its country and its coordinates."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocell.files import canonical_json, printable
from geocell.geo.country_names import continent_of, country_code, country_names, folded
from geocell.geo.gazetteer import Gazetteer
from geocell.geo.geodesy import Floats, as_latlon
from geocell.geo.towns import DISTRICT_KM, MinPopulation, Town

PER_COUNTRY = 30
"""How many cities of a country the published protocol has: the most populous ones."""

_MOST = 250_000  # candidates: more than the gazetteer has towns
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Candidate:
    """One city.

    Attributes:
        country: its name as prompts say it.
        city: its name as prompts say it.
        lat, lon: degrees; both NaN where a file has none, until `with_coordinates`.
        region: state or province, "" where it is not known.
        continent: "" where it is not known.
        population: 0 where it is not known.
    """

    country: str
    city: str
    lat: float = float("nan")
    lon: float = float("nan")
    region: str = ""
    continent: str = ""
    population: int = 0

    @property
    def label(self) -> str:
        """`Paris, Île-de-France, France`, without what is not known or said twice."""
        return ", ".join(dict.fromkeys(name for name in (self.city, self.region, self.country) if name))


@dataclass(frozen=True, eq=False, repr=False)
class Cities:
    """C cities by their names, ordered by country, population and name, whatever order they were given in.

    Attributes:
        items: the cities, each once; where they lie is not asked.
    """

    items: tuple[Candidate, ...]

    def __post_init__(self) -> None:
        """Check and order the cities.

        Raises:
            ValueError: for none or too many, a city or a country without a name, or a country that nobody knows.
        """
        if not 0 < len(self.items) <= _MOST:
            raise ValueError(f"candidates must be from 1 to {_MOST:,} cities, got {len(self.items):,}.")
        for number, item in enumerate(self.items, start=1):
            if not item.city.strip() or not item.country.strip():
                which = "city" if not item.city.strip() else "country"
                raise ValueError(
                    f"a candidate must have a city and a country, got none as the {which} of number {number}."
                )
        unknown = dict.fromkeys(item.country for item in self.items if not country_code(item.country))
        if unknown:
            raise ValueError(
                f"countries must be known by English names or alpha-2 codes, got {shown(unknown)}: "
                "correct the spelling."
            )
        ordered = sorted(dict.fromkeys(_spelled(self.items)), key=_order)
        object.__setattr__(self, "items", tuple(ordered))

    def __len__(self) -> int:
        """Return C."""
        return len(self.items)

    def __repr__(self) -> str:
        """Return how many there are."""
        return f"<{type(self).__name__}: {len(self):,} cities of {len(self.countries):,} countries>"

    @cached_property
    def codes(self) -> NDArray[np.str_]:
        """(C,) alpha-2 code of the country of each."""
        return np.array([country_code(item.country) for item in self.items])

    @cached_property
    def countries(self) -> tuple[str, ...]:
        """The countries as prompts say them, by code."""
        return tuple({code: item.country for code, item in zip(self.codes.tolist(), self.items, strict=True)}.values())

    def to_records(self) -> list[dict[str, Any]]:
        """Return the JSON form: a list of records, which `read_candidates` reads."""
        return [asdict(item) for item in self.items]


@dataclass(frozen=True, eq=False, repr=False)
class Candidates(Cities):
    """C cities with coordinates, which are answers."""

    def __post_init__(self) -> None:
        """Check and order the cities.

        Raises:
            ValueError: see `Cities`, and for coordinates that are none.
        """
        super().__post_init__()
        as_latlon([(item.lat, item.lon) for item in self.items], "candidates")

    @cached_property
    def latlon(self) -> Floats:
        """(C, 2) degrees."""
        return as_latlon([(item.lat, item.lon) for item in self.items], "candidates")

    @property
    def sha256(self) -> str:
        """Hash of all that is known of them."""
        return hashlib.sha256(canonical_json(self.to_records()).encode()).hexdigest()


def _order(item: Candidate) -> tuple[Any, ...]:
    return country_code(item.country), -item.population, folded(item.city), item.city, item.region, item.lat, item.lon


def _spelled(items: Iterable[Candidate]) -> list[Candidate]:
    """Return cities whose country is spelled as its first city has it; a code is written out."""
    names: dict[str, str] = {}
    found = []
    for item in items:
        code = country_code(item.country)
        name = names.setdefault(code, country_names()[code] if item.country.strip() == code else item.country.strip())
        found.append(replace(item, country=name, city=item.city.strip(), region=item.region.strip()))
    return found


def shown(names: Iterable[str]) -> str:
    """Return the first names of many, quoted, and how many more there are."""
    known = list(names)
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return ", ".join(repr(printable(name)[:60]) for name in known[:_SHOWN]) + more


def gazetteer_candidates(
    per_country: int = PER_COUNTRY,
    *,
    countries: Collection[str] | None = None,
    per_region: int | None = None,
    apart_km: float = DISTRICT_KM,
    gazetteer: Gazetteer | None = None,
) -> Candidates:
    """Return the most populous cities of every country from the offline gazetteer: the published protocol's candidates.

    Cities within `apart_km` of a larger one that is kept are left out: GeoNames lists districts as places of their own,
    eight arrondissements among the thirty largest of France. So are those with the name of a larger one in their
    region, which no text tells apart.

    Args:
        per_country: how many cities of a country at most.
        countries: names or alpha-2 codes; every country when None.
        per_region: how many cities of a state or province at most, its own and not the country's, instead.
        apart_km: see above; 0 keeps all.
        gazetteer: where they are from; `Gazetteer.load()` when None.

    Raises:
        ValueError: for a number below 1, or a country that is not known or has no city.
        ModuleNotFoundError: when the gazetteer is not installed.
    """
    if per_country < 1 or (per_region is not None and per_region < 1):
        raise ValueError(f"per_country and per_region must be at least 1, got {per_country} and {per_region}.")
    wanted = None if countries is None else {name: country_code(name) for name in countries}
    if wanted is not None and (unknown := [name for name, code in wanted.items() if not code]):
        raise ValueError(
            f"countries must be English names or alpha-2 codes, got {shown(unknown)}: correct the spelling."
        )
    towns = (gazetteer or Gazetteer.load()).towns
    known = country_names()
    groups: dict[tuple[str, str], list[Town]] = {}
    for town in towns:
        if town.country in known and (wanted is None or town.country in wanted.values()):
            groups.setdefault((town.country, town.admin1 if per_region else ""), []).append(town)
    if wanted is not None and (empty := [n for n, code in wanted.items() if code not in {key[0] for key in groups}]):
        raise ValueError(f"the gazetteer has no city of {shown(empty)}: leave it out, or give candidates in a file.")
    spelled = {code: name for name, code in (wanted or {}).items() if name != code}
    return Candidates(
        tuple(
            _candidate(town, spelled.get(town.country, ""))
            for group in groups.values()
            for town in Gazetteer(_told_apart(group)).largest(per_region or per_country, apart_km=apart_km)
        )
    )


def _told_apart(towns: Iterable[Town]) -> list[Town]:
    """Return towns of a country, of several with one name in a region the most populous alone."""
    largest: dict[tuple[str, str], Town] = {}
    for town in sorted(towns, key=lambda town: (-town.population, town.geonameid)):
        largest.setdefault((folded(town.name), folded(town.admin1)), town)
    return list(largest.values())


def _candidate(town: Town, country: str = "") -> Candidate:
    name = country or country_names()[town.country]
    continent = continent_of(town.country)
    return Candidate(name, town.name, town.lat, town.lon, town.admin1, continent, town.population)


def with_coordinates(items: Iterable[Candidate], gazetteer: Gazetteer | None = None) -> list[Candidate]:
    """Return cities with the coordinates and populations of the gazetteer where they have none.

    A city is sought in its own country, and with its region where several there have its name: London in Canada is not
    the one in England. Of several without a region it is the most populous.

    Args:
        items: cities, some with NaN as coordinates.
        gazetteer: where they are sought; `Gazetteer.load()` when None, and all towns from 500 inhabitants on for those
            that are not there.

    Raises:
        ValueError: for a country that is not known, or cities that are not found.
        ModuleNotFoundError: when the gazetteer is needed and not installed.
    """
    found = list(items)
    sizes: tuple[MinPopulation, ...] = (15000, 500)
    for size in sizes if gazetteer is None else sizes[:1]:
        open_ = [row for row, item in enumerate(found) if np.isnan(item.lat) and np.isnan(item.lon)]
        if not open_:
            return found
        asked = {country_code(found[row].country) for row in open_}
        towns = _by_name(town for town in (gazetteer or Gazetteer.load(size)).towns if town.country in asked)
        for row in open_:
            town = _town_of(found[row], towns)
            if town is not None:
                item = found[row]
                found[row] = replace(
                    item,
                    lat=town.lat,
                    lon=town.lon,
                    population=item.population or town.population,
                    region=item.region or town.admin1,
                )
    lost = [item.label for item in found if np.isnan(item.lat) and np.isnan(item.lon)]
    if lost:
        raise ValueError(
            f"the gazetteer does not know where {shown(lost)} {'is' if len(lost) == 1 else 'are'}: give lat and lon, "
            "or spell them as GeoNames does."
        )
    return found


def _by_name(towns: Iterable[Town]) -> dict[tuple[str, str], list[Town]]:
    """Return (code, folded name) -> towns, the most populous first."""
    found: dict[tuple[str, str], list[Town]] = {}
    for town in sorted(towns, key=lambda town: (-town.population, town.geonameid)):
        found.setdefault((town.country, folded(town.name)), []).append(town)
    return found


def _town_of(item: Candidate, towns: dict[tuple[str, str], list[Town]]) -> Town | None:
    code = country_code(item.country)
    if not code:
        raise ValueError(f"countries must be known by their English names, got {shown([item.country])}: correct it.")
    named = towns.get((code, folded(item.city)), [])
    if item.region:
        there = [town for town in named if folded(town.admin1) == folded(item.region)]
        if there or len(named) > 1:  # of several by that name, none there: it is none of them
            named = there
    return named[0] if named else None
