import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.quickstart.scenery.camera import Light
from geocell.quickstart.scenery.landmarks import LANDMARKS, landmark, landmarks_of

latitudes, longitudes = st.floats(34, 72), st.floats(-12, 35)

LIGHT = Light(
    np.array([0, 1, 0], np.float32), np.ones(3, np.float32), np.ones(3, np.float32), np.full(3, 200, np.float32), 1000.0
)


@given(latitudes, longitudes)
def test_shares_sum_to_one(lat: float, lon: float) -> None:
    shares = landmarks_of(lat, lon)
    assert shares.sum() == pytest.approx(1, abs=1e-5)
    assert shares.min() >= 0


@pytest.mark.parametrize(
    ("lat", "lon", "kind"),
    [
        (37.0, -4.5, "belfry"),
        (60.0, 16.0, "timber church"),
        (52.3, 5.3, "windmill"),
        (46.8, 12.5, "onion"),
        (38.0, 23.7, "blue dome"),
        (50.4, 30.4, "gold domes"),
    ],
)
def test_regions_have_their_landmarks(lat: float, lon: float, kind: str) -> None:
    assert LANDMARKS[int(landmarks_of(lat, lon).argmax())] == kind


@pytest.mark.parametrize("kind", LANDMARKS)
def test_a_landmark_is_a_tower_at_its_base(kind: str) -> None:
    mesh = landmark(kind, 30.0, -20.0, LIGHT, np.random.default_rng(0))
    corners = np.concatenate(mesh.quads).reshape(-1, 3)
    assert mesh.at == (30.0, -20.0)
    assert corners[:, 1].min() == 0
    assert corners[:, 1].max() > 9
    if kind != "turbine":  # the tip of a blade is its highest point
        top = corners[corners[:, 1] > corners[:, 1].max() - 0.5]
        assert np.hypot(top[:, 0].mean() - 30, top[:, 2].mean() + 20) < 8
