import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.quickstart.scenery.regions import climate_of
from geocell.quickstart.scenery.weather import draw_weather, sun_at


def test_sun_at_noon_and_in_the_afternoon() -> None:
    elevation, azimuth = sun_at(48.0, 172, 12.0)
    assert np.degrees(elevation) == pytest.approx(90 - 48 + 23.44, abs=0.1)
    assert np.degrees(azimuth) == pytest.approx(180, abs=1e-6)
    elevation, azimuth = sun_at(48.0, 81, 18.0)
    assert np.degrees(elevation) == pytest.approx(0, abs=0.1)
    assert np.degrees(azimuth) % 360 == pytest.approx(270, abs=0.1)


@given(st.floats(34, 72), st.floats(-12, 35), st.floats(0, 6), st.integers(0, 2**32))
def test_no_scene_is_dark(lat: float, lon: float, bearing: float, seed: int) -> None:
    weather = draw_weather(lat, climate_of(lat, lon), bearing, np.random.default_rng(seed))
    assert 0 <= weather.cloud <= 1
    assert np.linalg.norm(weather.light.towards) == pytest.approx(1, abs=1e-5)
    assert weather.light.towards[1] >= np.sin(np.radians(7)) - 1e-6
    grey = weather.light.on((128, 128, 128), (0, 1, 0))
    assert 50 < grey.min() <= grey.max() < 255
    assert min(weather.zenith) > 20
    assert weather.light.visibility >= 70
