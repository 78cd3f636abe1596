import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.quickstart.scenery.styles import STYLES, styles_of

latitudes, longitudes = st.floats(34, 72), st.floats(-12, 35)


@given(latitudes, longitudes, st.floats(-0.02, 0.02), st.floats(-0.02, 0.02))
def test_shares_sum_to_one_and_change_slowly(lat: float, lon: float, north: float, east: float) -> None:
    shares = styles_of(lat, lon)
    assert shares.sum() == pytest.approx(1, abs=1e-5)
    assert shares.min() >= 0
    assert np.abs(shares - styles_of(lat + north, lon + east)).max() < 0.05


@pytest.mark.parametrize(
    ("lat", "lon", "style"),
    [
        (37.0, -4.5, "whitewash"),
        (60.0, 16.0, "falun"),
        (52.3, 5.3, "brick"),
        (46.8, 8.5, "chalet"),
        (38.0, 23.7, "aegean"),
        (50.4, 30.4, "panel"),
    ],
)
def test_regions_have_their_styles(lat: float, lon: float, style: str) -> None:
    assert STYLES[int(styles_of(lat, lon).argmax())] == style
