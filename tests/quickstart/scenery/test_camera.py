import numpy as np
import pytest
from PIL import Image, ImageDraw

from geocell.quickstart.scenery.camera import SIZE, Camera, Light, Mesh, Model, draw_model

LIGHT = Light(
    np.array([0, 1, 0], np.float32), np.ones(3, np.float32), np.full(3, 0.5, np.float32), np.zeros(3, np.float32), 1e9
)
AHEAD = Camera(x=0.0, height=2.5, yaw=0.0, focal=180.0, horizon=170.0, roll=0.0)


def test_camera_projects_ahead_to_the_horizon_and_back() -> None:
    camera = Camera(x=1.0, height=2.5, yaw=0.3, focal=180.0, horizon=170.0, roll=0.02)
    right, above = camera.rays()
    row, column = 250, 90
    depth = camera.height / -above[row, column]
    sin, cos = np.sin(camera.yaw), np.cos(camera.yaw)
    point = [
        camera.x + (right[row, column] * cos + sin) * depth,
        0.0,
        (cos - right[row, column] * sin) * depth,
    ]
    np.testing.assert_allclose(camera.to_pixels(camera.to_camera(point)), [column + 0.5, row + 0.5], atol=0.02)


def test_polygons_behind_the_camera_are_cut_off() -> None:
    camera = Camera(x=0.0, height=2.5, yaw=0.0, focal=180.0, horizon=170.0, roll=0.0)
    behind = np.array([(-1, 0, -5), (1, 0, -5), (1, 0, -2), (-1, 0, -2)], dtype=np.float32)
    across = np.array([(-1, 0, -5), (1, 0, -5), (1, 0, 5), (-1, 0, 5)], dtype=np.float32)
    assert len(camera.outline(behind)) == 0
    cut = camera.outline(across)
    assert len(cut) == 4
    assert (cut[:, 1] > camera.horizon).all()


def test_light_falls_on_what_faces_it() -> None:
    np.testing.assert_allclose(LIGHT.on((100, 50, 10), (0, 1, 0)), (150, 75, 15))
    np.testing.assert_allclose(LIGHT.on((100, 50, 10), (0, -1, 0)), (50, 25, 5))


def box(z: float, colour: tuple[float, float, float]) -> Mesh:
    mesh = Mesh((0.0, z), LIGHT)
    mesh.box((-1, 0, z), (1, 5, z + 1), colour)
    return mesh


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_near_objects_cover_far_ones(order: tuple[int, int]) -> None:
    meshes = [box(8.0, (200, 0, 0)), box(20.0, (0, 0, 200))]
    image = Image.new("RGB", (SIZE, SIZE))
    model = Model.from_meshes([meshes[i] for i in order])
    assert list(draw_model(ImageDraw.Draw(image), AHEAD, LIGHT, model, 1.0)) == [(0.0, 20.0), (0.0, 8.0)]
    assert image.getpixel((SIZE // 2, 170)) == (100, 0, 0)


def test_what_is_behind_the_camera_is_not_drawn() -> None:
    image = Image.new("RGB", (SIZE, SIZE))
    list(draw_model(ImageDraw.Draw(image), AHEAD, LIGHT, Model.from_meshes([box(-20.0, (200, 0, 0))]), 1.0))
    assert image.getbbox() is None
