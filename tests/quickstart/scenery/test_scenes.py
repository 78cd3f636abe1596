import numpy as np
import pytest
from PIL import Image

from geocell.quickstart.places import HEADINGS, Place
from geocell.quickstart.scenery.camera import SIZE
from geocell.quickstart.scenery.scenes import take_picture
from geocell.quickstart.scenery.setting import Street
from geocell.quickstart.scenery.streets import build_street


def place(lat: float, lon: float, country: str, sea: tuple[bool, ...] = (False,) * 4) -> Place:
    return Place("somewhere", country, lat, lon, 50_000, sea)


def pixels(at: Place, seed: int, heading: int = 0) -> np.ndarray:
    street = build_street(at, np.random.default_rng((seed, 1)))
    image, quality = take_picture(street, heading, np.random.default_rng((seed, 2, heading)))
    assert image.size == (SIZE, SIZE)
    assert 78 <= quality < 92
    return np.asarray(image, dtype=np.float64)


def greens_and_ochres(at: Place, n: int = 10) -> tuple[float, float]:
    """Share of clearly green and of clearly ochre pixels in n pictures."""
    views = np.stack([pixels(at, seed, HEADINGS[seed % 4]) for seed in range(n)])
    red, green, blue = views[..., 0], views[..., 1], views[..., 2]
    return float(np.mean((green > 1.15 * red) & (green > 1.15 * blue))), float(
        np.mean((red > 1.12 * green) & (green > 1.12 * blue))
    )


def test_the_south_is_ochre_and_the_atlantic_green() -> None:
    south, west = greens_and_ochres(place(37.2, -5.0, "ES")), greens_and_ochres(place(52.8, -8.0, "IE"))
    assert west[0] > 2 * south[0]
    assert south[1] > 2 * west[1]


def test_headings_show_different_things_and_repeat_themselves() -> None:
    at = place(48.1, 11.6, "DE")
    views = [pixels(at, 5, heading) for heading in HEADINGS]
    for index, view in enumerate(views):
        np.testing.assert_array_equal(view, pixels(at, 5, HEADINGS[index]))
        for other in views[:index]:
            assert np.abs(view - other).mean() > 10


@pytest.mark.parametrize(
    ("at", "seed"),
    [
        (place(41.0, 14.0, "IT", (True, True, True, True)), 1),
        (place(46.6, 9.5, "CH"), 2),
        (place(64.0, 20.0, "SE", (False, True, False, False)), 3),
        (place(69.5, 19.0, "NO"), 4),
        (place(55.9, 37.0, "RU"), 6),
        (place(52.3, 5.0, "NL"), 7),
        (place(43.9, 18.3, "BA"), 8),
        (place(53.0, -1.5, "GB"), 9),
        (place(55.6, 9.8, "DK"), 10),
        (place(47.0, 20.0, "HU"), 11),
    ],
)
def test_every_region_is_a_picture_with_contrast(at: Place, seed: int) -> None:
    for kind in range(3):
        view = pixels(at, seed + 100 * kind, HEADINGS[kind])
        assert 50 < view.mean() < 215
        assert view.std() > 15


def test_the_sky_is_above_and_markings_lie_on_the_road() -> None:
    street = build_street(place(38.0, -3.0, "ES"), np.random.default_rng(4))
    heading = round(float(np.degrees(street.backdrop.bearing)) / 90) * 90 % 360
    image, _ = take_picture(street, heading, np.random.default_rng(1))
    view = np.asarray(image, dtype=np.float64)
    assert view[:40].mean() > view[-60:].mean() - 60
    road = view[-60:, SIZE // 2 - 60 : SIZE // 2 + 60]
    assert np.abs(road[..., 0] - road[..., 2]).mean() < 40


def test_a_street_without_plants_or_houses_is_still_drawn() -> None:
    street = build_street(place(48.0, 2.0, "FR"), np.random.default_rng(0))
    bare = Street(street.backdrop, street.weather, street.roads, meshes=street.meshes[:1])
    image, _ = take_picture(bare, 0, np.random.default_rng(0))
    assert isinstance(image, Image.Image)
    assert np.asarray(image).std() > 10
