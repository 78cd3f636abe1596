"""What is placed along a street."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from geocell.quickstart.places import Place
from geocell.quickstart.scenery.roadside import furnish, line_with_plots, park_cars, raise_landmarks
from geocell.quickstart.scenery.setting import FROM_M, TO_M, Setting, Street
from geocell.quickstart.scenery.streets import build_street
from tests.quickstart.scenery.test_setting import setting

PLACE = Place("somewhere", "DE", 48.0, 11.0, 50_000, (False,) * 4)


def empty(made: Setting) -> Street:
    return Street(build_street(PLACE, np.random.default_rng(0)).backdrop, made.weather, made.roads)


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("kind", ["town", "village", "country"])
def test_plots_are_on_their_side_and_do_not_overlap(side: int, kind: str) -> None:
    for seed in range(4):
        made = setting(kind)
        street = empty(made)
        line_with_plots(street, made, side, np.random.default_rng(seed))
        kerb = made.road + made.walk
        assert all(side * plant.at[0] > kerb for plant in street.plants)
        assert all(min(side * x0, side * x1) > kerb for x0, x1, *_ in street.footprints)
        ends = [(z0, z1) for _, _, z0, z1, _ in street.footprints]
        assert all(FROM_M <= z0 < TO_M for z0, _ in ends)
        assert all(first[1] <= second[0] + 1e-9 for first, second in pairwise(ends))


def test_towns_are_built_more_densely_than_the_country_and_open_sides_less() -> None:
    def houses(made: Setting) -> int:
        streets = [empty(made) for _ in range(8)]
        for seed, street in enumerate(streets):
            line_with_plots(street, made, 1, np.random.default_rng(seed))
        return sum(len(street.footprints) for street in streets)

    assert houses(setting("town")) > 1.5 * houses(setting("country"))
    assert houses(setting("town")) > 1.5 * houses(replace(setting("town"), open_sides=(False, True)))


def test_cars_stand_at_the_kerb_of_towns_and_not_in_the_country() -> None:
    street, country = empty(setting("town")), empty(setting("country"))
    park_cars(country, setting("country"), np.random.default_rng(0))
    assert country.meshes == []
    for seed in range(4):
        park_cars(street, setting("town"), np.random.default_rng(seed))
    assert street.meshes
    kerb = setting("town").road - 1.0
    assert all(abs(abs(mesh.at[0]) - kerb) < 0.5 for mesh in street.meshes)


def test_signs_and_poles_stand_beside_the_road_and_signs_on_the_side_of_traffic() -> None:
    for country, sign in (("DE", -1), ("GB", 1)):
        for seed in range(6):
            made = setting("village", country=country)
            street = empty(made)
            furnish(street, made, np.random.default_rng(seed))
            assert street.signs
            assert all(np.sign(s.at[0]) == sign * s.face and abs(s.at[0]) > made.road for s in street.signs)
            assert all(abs(x) > made.road for (x, _), _ in street.poles)


def test_landmarks_are_tall_and_off_the_road() -> None:
    found = 0
    for seed in range(6):
        street = empty(setting())
        raise_landmarks(street, PLACE, setting(), np.random.default_rng(seed))
        found += len(street.meshes)
        for mesh in street.meshes:
            corners = np.concatenate(mesh.quads).reshape(-1, 3)
            assert corners[:, 1].max() > 8
            assert np.abs(corners[:, 0]).min() > setting().road
    assert found >= 6
