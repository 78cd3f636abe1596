from geocell.geo.data.make_admin1 import region_names
from geocell.geo.towns import region_names as names_of_regions


def town(name: str, lat: float, admin1: str, country: str = "FR") -> dict[str, object]:
    return {"countrycode": country, "admin1code": admin1, "name": name, "latitude": lat, "longitude": 2.0}


def named(city: str, lat: float, state: str | None, country: str = "FR") -> dict[str, object]:
    return {"country_code": country, "city": city, "latitude": lat, "longitude": 2.0, "state": state}


def test_a_code_gets_the_name_that_most_of_its_towns_have() -> None:
    towns = [town("a", 1, "11"), town("b", 2, "11"), town("c", 3, "11"), town("d", 4, "24"), town("e", 5, "")]
    rows = [named("a", 1, "North"), named("b", 2, "South"), named("c", 3.000001, "South"), named("d", 4, None)]
    assert region_names(towns, [*rows, named("e", 5, "South"), named("a", 9, "West")]) == {("FR", "11"): "South"}


def test_a_tie_does_not_depend_on_the_order() -> None:
    towns, rows = [town("a", 1, "11"), town("b", 2, "11")], [named("a", 1, "South"), named("b", 2, "North")]
    assert region_names(towns, rows) == region_names(towns[::-1], rows[::-1]) == {("FR", "11"): "North"}


def test_the_table_knows_regions_of_every_continent() -> None:
    names = names_of_regions()
    assert len(names) > 3000
    assert names["FR", "11"] == "Île-de-France"
    assert names["US", "CA"] == "California"
    assert names["JP", "40"] == "Tokyo"
    assert all(name == name.strip() and name.isprintable() and name for name in names.values())
