import numpy as np
import pytest

from geocell.quickstart.places import Place
from geocell.quickstart.scenery.setting import FROM_M, TO_M, Street
from geocell.quickstart.scenery.streets import build_street


def street(country: str = "DE", lat: float = 48.1, lon: float = 11.6, seed: int = 0, sea: bool = False) -> Street:
    place = Place("somewhere", country, lat, lon, 50_000, (sea,) * 4)
    return build_street(place, np.random.default_rng(seed))


def test_a_street_depends_on_its_place_and_seed_alone() -> None:
    one, same, other = street(), street(), street(seed=1)
    np.testing.assert_array_equal(one.model.quads, same.model.quads)
    assert [plant.at for plant in one.plants] == [plant.at for plant in same.plants]
    assert one.model.quads.shape != other.model.quads.shape


@pytest.mark.parametrize("seed", range(8))
def test_objects_stand_beside_the_road(seed: int) -> None:
    made = street(seed=seed)
    half = made.backdrop.road
    assert made.plants
    assert min(abs(plant.at[0]) for plant in made.plants) > half
    assert min(abs(sign.at[0]) for sign in made.signs) > half
    assert all(abs(x0) > half and abs(x1) > half and x0 * x1 > 0 for x0, x1, *_ in made.footprints)
    assert all(FROM_M <= z0 < TO_M for _, _, z0, _, _ in made.footprints)


def test_streets_run_north_or_east() -> None:
    bearings = np.degrees([street(seed=seed).backdrop.bearing for seed in range(12)])
    off = np.abs(bearings - 90 * np.round(bearings / 90))
    assert off.max() <= 22.01
    assert len(np.unique(np.round(bearings / 90))) == 2


def test_countries_follow_their_conventions() -> None:
    assert street("GB").roads.left
    assert not street("FR").roads.left
    poles = {kind for seed in range(12) for _, kind in street("DE", seed=seed).poles}
    assert poles <= {"lamp"}  # cables are underground
    assert "wood" in {kind for seed in range(12) for _, kind in street("SE", 60.0, 16.0, seed).poles}


def test_the_far_north_has_small_trees() -> None:
    def mean_height(lat: float) -> float:
        heights = [plant.height for seed in range(8) for plant in street("NO", lat, 15.0, seed).plants]
        return float(np.mean(heights))

    assert mean_height(70.5) < 0.75 * mean_height(61.0)


def test_houses_are_rarer_where_the_sea_is() -> None:
    built = [sum(len(street(seed=seed, sea=sea).footprints) for seed in range(8)) for sea in (True, False)]
    assert built[0] < 0.8 * built[1]
