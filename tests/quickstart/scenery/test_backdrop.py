"""Sky, skyline, ground and shadows, per pixel."""

from dataclasses import replace

import numpy as np
import pytest

from geocell.quickstart.places import Place
from geocell.quickstart.scenery.backdrop import paint
from geocell.quickstart.scenery.camera import SIZE, Camera
from geocell.quickstart.scenery.scenes import _place_camera
from geocell.quickstart.scenery.setting import Street
from geocell.quickstart.scenery.streets import build_street

LIT = np.zeros((SIZE, SIZE), np.float32)


@pytest.fixture(scope="module")
def street() -> Street:
    return build_street(Place("somewhere", "FR", 47.0, 2.0, 50_000, (False,) * 4), np.random.default_rng(2))


@pytest.fixture(scope="module")
def camera(street: Street) -> Camera:
    return _place_camera(street, 0, np.random.default_rng(1))


def below_the_horizon(camera: Camera) -> np.ndarray:
    return np.asarray((camera.rays()[1] < -0.05).all(axis=1))


def test_colours_are_finite_and_of_the_range_of_a_picture(street: Street, camera: Camera) -> None:
    image = paint(street.backdrop, camera, street.weather.light, LIT)
    assert image.shape == (SIZE, SIZE, 3)
    assert image.dtype == np.float32
    assert np.isfinite(image).all()
    assert image.min() >= 0


def test_the_same_backdrop_is_the_same_picture(street: Street, camera: Camera) -> None:
    one, two = (paint(street.backdrop, camera, street.weather.light, LIT) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    shifted = replace(street.backdrop, shift=(street.backdrop.shift[0] + 7, 3))
    assert np.abs(paint(shifted, camera, street.weather.light, LIT) - one).max() > 1


def test_a_shadow_darkens_the_ground_alone(street: Street, camera: Camera) -> None:
    lit = paint(street.backdrop, camera, street.weather.light, LIT)
    dark = paint(street.backdrop, camera, street.weather.light, np.ones_like(LIT))
    ground = below_the_horizon(camera)
    sky = np.asarray((camera.rays()[1] > 0.05).all(axis=1))
    assert dark[ground].mean() < lit[ground].mean() - 1
    np.testing.assert_array_equal(dark[sky], lit[sky])


def test_snow_whitens_the_ground(street: Street, camera: Camera) -> None:
    bare = paint(replace(street.backdrop, snow_cover=0.0), camera, street.weather.light, LIT)
    snow = paint(replace(street.backdrop, snow_cover=0.9), camera, street.weather.light, LIT)
    ground = below_the_horizon(camera)
    assert snow[ground].mean() > bare[ground].mean()


def test_higher_hills_hide_more_of_the_sky(street: Street, camera: Camera) -> None:
    flat = replace(street.backdrop, skyline=np.full(360, 0.004, np.float32))
    high = replace(street.backdrop, skyline=np.full(360, 0.3, np.float32))
    changed = (
        np.abs(paint(high, camera, street.weather.light, LIT) - paint(flat, camera, street.weather.light, LIT)).max(
            axis=2
        )
        > 1
    )
    above = camera.rays()[1]
    assert changed[(above > 0.05) & (above < 0.15)].mean() > 0.5
    assert not changed[above > 0.6].any()
