import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.quickstart.scenery.regions import climate_of, grass_of, mix, relief_of, roads_of, soil_of

latitudes, longitudes = st.floats(34, 72), st.floats(-12, 35)


@given(latitudes, longitudes)
def test_everywhere_has_colours_and_a_skyline(lat: float, lon: float) -> None:
    climate = climate_of(lat, lon)
    for colour in (grass_of(climate), soil_of(climate)):
        assert 0 <= min(colour) <= max(colour) <= 255
    relief = relief_of(lat, lon)
    assert relief.shape == (360,)
    assert 0 < relief.min() <= relief.max() < 0.5


@given(latitudes, longitudes, st.floats(-0.02, 0.02), st.floats(-0.02, 0.02))
def test_colours_change_slowly(lat: float, lon: float, north: float, east: float) -> None:
    near = climate_of(lat + north, lon + east)
    assert np.abs(np.array(grass_of(climate_of(lat, lon))) - grass_of(near)).max() < 3


def test_a_mix_is_a_weighted_mean() -> None:
    assert mix((10, 20, 30), ((40, 50, 60), 1.0)) == pytest.approx((30, 40, 50))


def test_mountains_stand_towards_the_alps() -> None:
    munich = relief_of(48.1, 11.6)
    assert munich[180] > 2 * munich[0]
    assert relief_of(46.5, 8.5).max() > 10 * relief_of(52.4, 5.5).max()


def test_roads_by_country() -> None:
    assert {code for code in ("GB", "IE", "CY", "MT", "DE", "FR") if roads_of(code).left} == {"GB", "IE", "CY", "MT"}
    assert roads_of("NO").centre == "y"
    assert roads_of("DE").town == "yk"
    assert roads_of("NL").plate == "yy"
    assert roads_of("ZZ") == roads_of("")
