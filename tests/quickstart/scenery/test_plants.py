import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.quickstart.scenery.plants import KINDS, SPECIES, grow, species_shares
from geocell.quickstart.scenery.regions import climate_of


@given(st.floats(34, 72), st.floats(-12, 35))
def test_shares_sum_to_one(lat: float, lon: float) -> None:
    shares = species_shares(climate_of(lat, lon))
    assert shares.sum() == pytest.approx(1, abs=1e-5)
    assert shares.min() >= 0


def test_palms_stand_in_the_south_and_spruces_in_the_north() -> None:
    south, north = species_shares(climate_of(37, -5)), species_shares(climate_of(63, 20))
    assert south[SPECIES.index("palm")] > 0.15
    assert north[SPECIES.index("palm")] < 0.01
    assert north[SPECIES.index("spruce")] > 0.3
    assert south[SPECIES.index("spruce")] < 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_a_plant_has_the_height_of_its_kind(kind: str) -> None:
    low, high = KINDS[kind].height
    plants = [grow(kind, (3.0, 9.0), (1, 1, 1), np.random.default_rng(seed), size=0.5) for seed in range(20)]
    assert all(0.5 * low <= plant.height <= 0.5 * high for plant in plants)
    assert all(np.hypot(*plant.clusters[:, :2].T).max() <= 1 + 1e-6 for plant in plants)
