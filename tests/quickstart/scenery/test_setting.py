"""A street and its settings."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.quickstart.scenery.plants import SPECIES
from geocell.quickstart.scenery.regions import climate_of, grass_of, roads_of
from geocell.quickstart.scenery.setting import Setting, leaf_tint, plant_tree
from geocell.quickstart.scenery.styles import styles_of
from geocell.quickstart.scenery.weather import draw_weather


def setting(kind: str = "town", lat: float = 48.0, lon: float = 11.0, country: str = "DE", day: float = 180) -> Setting:
    climate = climate_of(lat, lon)
    weather = replace(draw_weather(lat, climate, 0.0, np.random.default_rng(0)), day=day)
    return Setting(
        kind=kind, climate=climate, roads=roads_of(country), styles=np.asarray(styles_of(lat, lon), np.float32),
        weather=weather, grass=grass_of(climate), road=3.5, walk=2.0, forest=0.3, snow=0.0, open_sides=(False, False),
    )  # fmt: skip


@given(st.floats(36, 71), st.floats(-10, 40), st.integers(0, 99))
def test_a_tree_is_of_the_species_of_the_region_and_where_it_is_planted(lat: float, lon: float, seed: int) -> None:
    plant = plant_tree(setting(lat=lat, lon=lon), (7.0, 20.0), np.random.default_rng(seed))
    assert plant.at == (7.0, 20.0)
    assert plant.kind in SPECIES
    assert plant.height > 0


def test_trees_of_the_far_north_are_smaller() -> None:
    def heights(far: float) -> float:
        place = setting()
        place = replace(place, climate=replace(place.climate, far_north=far))
        return sum(plant_tree(place, (7.0, 0.0), np.random.default_rng(seed)).height for seed in range(30))

    assert heights(1.0) == pytest.approx(heights(0.0) / 2, rel=0.3)


@pytest.mark.parametrize(("kind", "turns"), [("birch", True), ("broadleaf", True), ("spruce", False)])
def test_leaves_of_some_species_turn_in_autumn(kind: str, turns: bool) -> None:
    def redness(day: float) -> float:
        tints = [leaf_tint(setting(day=day), kind, np.random.default_rng(seed)) for seed in range(20)]
        return float(np.mean([red / green for red, green, _ in tints]))

    assert (redness(290) > 1.2 * redness(180)) == turns
