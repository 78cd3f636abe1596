import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.quickstart.scenery.landmarks import LANDMARKS, landmarks_of
from geocell.quickstart.scenery.plants import SPECIES, species_shares
from geocell.quickstart.scenery.regions import climate_of, grass_of, relief_of, roads_of, soil_of
from geocell.quickstart.scenery.styles import STYLES, styles_of
from geocell.quickstart.scenery.weather import sun_at

latitudes = st.floats(34, 72)
longitudes = st.floats(-12, 35)


@given(latitudes, longitudes)
def test_shares_sum_to_one(lat: float, lon: float) -> None:
    climate = climate_of(lat, lon)
    for shares in (styles_of(lat, lon), landmarks_of(lat, lon), species_shares(climate)):
        assert shares.sum() == pytest.approx(1, abs=1e-5)
        assert shares.min() >= 0
    for colour in (grass_of(climate), soil_of(climate)):
        assert 0 <= min(colour) <= max(colour) <= 255
    relief = relief_of(lat, lon)
    assert relief.shape == (360,)
    assert 0 < relief.min() <= relief.max() < 0.5


@given(latitudes, longitudes, st.floats(-0.02, 0.02), st.floats(-0.02, 0.02))
def test_what_is_seen_changes_slowly(lat: float, lon: float, north: float, east: float) -> None:
    near = (lat + north, lon + east)
    assert np.abs(styles_of(lat, lon) - styles_of(*near)).max() < 0.05
    assert np.abs(np.array(grass_of(climate_of(lat, lon))) - grass_of(climate_of(*near))).max() < 3


@pytest.mark.parametrize(
    ("lat", "lon", "style", "landmark"),
    [
        (37.0, -4.5, "whitewash", "belfry"),
        (60.0, 16.0, "falun", "timber church"),
        (52.3, 5.3, "brick", "windmill"),
        (46.8, 8.5, "chalet", "onion"),
        (38.0, 23.7, "aegean", "blue dome"),
        (50.4, 30.4, "panel", "gold domes"),
    ],
)
def test_regions_build_as_they_do(lat: float, lon: float, style: str, landmark: str) -> None:
    assert STYLES[int(styles_of(lat, lon).argmax())] == style
    assert LANDMARKS[int(landmarks_of(lat, lon).argmax())] == landmark


def test_palms_stand_in_the_south_and_spruces_in_the_north() -> None:
    south, north = species_shares(climate_of(37, -5)), species_shares(climate_of(63, 20))
    assert south[SPECIES.index("palm")] > 0.15
    assert north[SPECIES.index("palm")] < 0.01
    assert north[SPECIES.index("spruce")] > 0.3
    assert south[SPECIES.index("spruce")] < 0.05


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


def test_sun_at_noon_and_in_the_afternoon() -> None:
    elevation, azimuth = sun_at(48.0, 172, 12.0)
    assert np.degrees(elevation) == pytest.approx(90 - 48 + 23.44, abs=0.1)
    assert np.degrees(azimuth) == pytest.approx(180, abs=1e-6)
    elevation, azimuth = sun_at(48.0, 81, 18.0)
    assert np.degrees(elevation) == pytest.approx(0, abs=0.1)
    assert np.degrees(azimuth) % 360 == pytest.approx(270, abs=0.1)
