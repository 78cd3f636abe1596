"""Names of countries: GeoNames' English names by ISO code, and the other spellings and old names that files have."""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType

CONTINENTS: Mapping[str, str] = {
    "AF": "Africa",
    "AN": "Antarctica",
    "AS": "Asia",
    "EU": "Europe",
    "NA": "North America",
    "OC": "Oceania",
    "SA": "South America",
}
"""GeoNames' two letters -> name."""

ALIASES: Mapping[str, str] = {
    "Aland": "AX",
    "Antigua": "AG",
    "Bosnia": "BA",
    "Brazzaville": "CG",
    "Britain": "GB",
    "Brunei Darussalam": "BN",
    "Burma": "MM",
    "Cape Verde": "CV",
    "Congo": "CG",
    "Congo-Brazzaville": "CG",
    "Congo-Kinshasa": "CD",
    "Congo, Democratic Republic of the": "CD",
    "Congo, Republic of the": "CG",
    "Cote d'Ivoire": "CI",
    "Czech Republic": "CZ",
    "Democratic People's Republic of Korea": "KP",
    "Democratic Republic of Congo": "CD",
    "DR Congo": "CD",
    "East Timor": "TL",
    "Faeroe Islands": "FO",
    "Former Yugoslav Republic of Macedonia": "MK",
    "FYROM": "MK",
    "Great Britain": "GB",
    "Holland": "NL",
    "Holy See": "VA",
    "Hong Kong SAR": "HK",
    "Islamic Republic of Iran": "IR",
    "Korea, North": "KP",
    "Korea, South": "KR",
    "Lao People's Democratic Republic": "LA",
    "Lao PDR": "LA",
    "Libyan Arab Jamahiriya": "LY",
    "Macau": "MO",
    "Macedonia": "MK",
    "Micronesia, Federated States of": "FM",
    "Federated States of Micronesia": "FM",
    "Palestine": "PS",
    "State of Palestine": "PS",
    "People's Republic of China": "CN",
    "Republic of Ireland": "IE",
    "Republic of Korea": "KR",
    "Republic of Macedonia": "MK",
    "Republic of Moldova": "MD",
    "Russian Federation": "RU",
    "Sao Tome": "ST",
    "Saint Kitts": "KN",
    "Saint Vincent": "VC",
    "Svalbard": "SJ",
    "Swaziland": "SZ",
    "Syrian Arab Republic": "SY",
    "Tanzania, United Republic of": "TZ",
    "Türkiye": "TR",
    "UAE": "AE",
    "UK": "GB",
    "United Republic of Tanzania": "TZ",
    "United States of America": "US",
    "USA": "US",
    "U.S.A.": "US",
    "Vatican City": "VA",
    "Viet Nam": "VN",
    "Zaire": "CD",
}
"""Old names and other spellings -> alpha-2 code."""


@cache
def _rows() -> tuple[tuple[str, str, str], ...]:
    text = files("geocell.geo.data").joinpath("country_names.csv").read_text(encoding="utf-8")
    return tuple((row["country"], row["name"], row["continent"]) for row in csv.DictReader(io.StringIO(text)))


@cache
def country_names() -> Mapping[str, str]:
    """Return alpha-2 code -> English name of every country and territory with inhabitants, by code."""
    return MappingProxyType({code: name for code, name, _ in _rows()})


def continent_of(code: str) -> str:
    """Return the English name of the continent of an alpha-2 code, "" for an unknown one.

    >>> continent_of("FR"), continent_of("")
    ('Europe', '')
    """
    return next((CONTINENTS[continent] for found, _, continent in _rows() if found == code), "")


def country_code(name: str) -> str:
    """Return the alpha-2 code of a country by its name, an old name, another spelling or the code; "" for none.

    >>> country_code("Côte d'Ivoire"), country_code("swaziland"), country_code("Ruritania")
    ('CI', 'SZ', '')
    """
    if name.strip() in country_names():
        return name.strip()
    return _codes().get(folded(name), "")


@cache
def _codes() -> dict[str, str]:
    """Return folded name -> code."""
    found = {folded(alias): code for alias, code in ALIASES.items()}
    return found | {folded(name): code for code, name, _ in _rows()}


def folded(name: str) -> str:
    """Return a name without accents, case, punctuation and a leading "the", so that spellings meet.

    >>> folded("The Bahamas"), folded("Saint-Étienne"), folded("St. Lucia")
    ('bahamas', 'saint etienne', 'saint lucia')
    """
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", name).casefold()).casefold()
    plain = "".join(c for c in unicodedata.normalize("NFKD", decomposed) if not unicodedata.combining(c))
    plain = plain.translate(
        {ord("ø"): "o", ord("ł"): "l", ord("đ"): "d", ord("ð"): "d", ord("æ"): "ae", ord("œ"): "oe"}
    )
    plain = plain.replace("'", "").replace("’", "").replace(".", " " if plain.startswith("st.") else "")
    words = "".join(c if c.isalnum() else " " for c in plain.replace("&", " and ")).split()
    while words[:1] == ["the"] and len(words) > 1:
        words = words[1:]
    return " ".join("saint" if word == "st" else word for word in words)
