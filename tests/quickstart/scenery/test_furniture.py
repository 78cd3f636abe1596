import numpy as np
import pytest

from geocell.quickstart.scenery.camera import Light, Mesh
from geocell.quickstart.scenery.furniture import bollard, car, faded, fence, markings, shelter
from geocell.quickstart.scenery.regions import PAINT, roads_of

LIGHT = Light(
    np.array([0, 1, 0], np.float32), np.zeros(3, np.float32), np.ones(3, np.float32), np.full(3, 200, np.float32), 100.0
)


def corners(mesh: Mesh) -> np.ndarray:
    return np.concatenate(mesh.quads).reshape(-1, 3)


def colours(mesh: Mesh) -> set[tuple[float, ...]]:
    return {tuple(row) for row in np.concatenate(mesh.facts)[:, :3].round().tolist()}


@pytest.mark.parametrize(
    ("country", "paints", "lines"),
    [("GB", "yw", 5), ("FI", "yw", 3), ("DE", "w", 3), ("NL", "w", 2)],
)
def test_roads_are_marked_as_their_country_does(country: str, paints: str, lines: int) -> None:
    mesh = markings(roads_of(country), 3.5, 0.0, LIGHT, worn=0.0)
    assert colours(mesh) == {tuple(map(float, PAINT[letter])) for letter in paints}
    assert len(mesh.quads) == lines
    assert np.abs(corners(mesh)[:, 0]).max() < 3.5
    assert (corners(mesh)[:, 1] == 0).all()


def test_worn_paint_is_nearer_to_the_asphalt() -> None:
    (worn,) = colours(markings(roads_of("DE"), 3.5, 0.0, LIGHT, worn=0.5))
    assert worn == tuple(float(round(0.5 * value + 48)) for value in PAINT["w"])


def test_bollards_and_shelters_have_the_colours_of_the_country() -> None:
    assert colours(bollard("ky", 4.0, 10.0, LIGHT)) == {tuple(map(float, PAINT[letter])) for letter in "ky"}
    assert {tuple(map(float, PAINT[letter])) for letter in "rs"} <= colours(shelter("rs", 1, 4.0, 10.0, LIGHT))


@pytest.mark.parametrize("kind", ["hedge", "stone", "wall", "picket", "mesh"])
def test_a_fence_runs_along_its_plot(kind: str) -> None:
    points = corners(fence(kind, -1, -6.0, 10.0, 8.0, LIGHT, (90, 130, 60)))
    assert points[:, 2].min() == pytest.approx(10)
    assert 17.9 <= points[:, 2].max() <= 20.3
    assert points[:, 0].max() <= -5
    assert 0.8 < points[:, 1].max() < 2


@pytest.mark.parametrize(("face", "rear_z"), [(1, 4.99), (-1, 9.21)])
def test_a_car_shows_its_rear_lamps_at_its_rear(face: int, rear_z: float) -> None:
    mesh = car(2.0, 5.0, (200, 202, 206), ((255, 255, 0), (0, 255, 0)), LIGHT, face)
    red = np.concatenate(mesh.quads)[(np.concatenate(mesh.facts)[:, :3] == (180, 26, 28)).all(axis=1)]
    assert len(red) == 2
    np.testing.assert_allclose(red[..., 2], rear_z, atol=1e-5)


def test_distance_fades_to_the_haze() -> None:
    colour = np.array([10, 20, 30], np.float32)
    assert faded(LIGHT, colour, 0.0) == (10, 20, 30)
    assert faded(LIGHT, colour, 1e6) == (200, 200, 200)
    assert faded(LIGHT, colour, 100.0) == tuple(int(200 - (200 - c) * np.exp(-1)) for c in (10, 20, 30))
