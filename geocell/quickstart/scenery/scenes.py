"""Rendering of a street as seen by a camera, with the imperfections of a real picture."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from geocell.quickstart.scenery.backdrop import paint
from geocell.quickstart.scenery.camera import SIZE, SUPERSAMPLING, Array, Camera, draw_model
from geocell.quickstart.scenery.furniture import draw_pole, draw_sign, draw_wires
from geocell.quickstart.scenery.plants import KINDS, draw_plant
from geocell.quickstart.scenery.setting import Street


def take_picture(street: Street, heading: float, rng: np.random.Generator) -> tuple[Image.Image, int]:
    """Return the picture of a street towards `heading` (degrees from north), and its JPEG quality."""
    camera = _place_camera(street, heading, rng)
    backdrop = paint(street.backdrop, camera, street.weather.light, _shadows(street, camera))
    image = Image.fromarray(np.clip(backdrop, 0, 255).astype(np.uint8))
    image = image.resize((SIZE * SUPERSAMPLING, SIZE * SUPERSAMPLING), Image.Resampling.NEAREST)
    _draw_objects(street, camera, image)
    return _develop(image.reduce(SUPERSAMPLING), street, rng), int(rng.integers(78, 92))


def _place_camera(street: Street, heading: float, rng: np.random.Generator) -> Camera:
    """Return a camera in the driving lane, slightly tilted and turned."""
    lane = -0.45 if street.roads.left else 0.45
    return Camera(
        x=lane * street.backdrop.road + float(rng.normal(0, 0.2)),
        height=float(rng.uniform(2.2, 2.7)),
        yaw=float(np.radians(heading + rng.normal(0, 3)) - street.backdrop.bearing),
        focal=SIZE * float(rng.uniform(0.50, 0.58)),
        horizon=SIZE * float(rng.normal(0.53, 0.025)),
        roll=float(np.radians(rng.normal(0, 0.8))),
    )


def _draw_objects(street: Street, camera: Camera, image: Image.Image) -> None:
    """Draw all objects in the street from far to near."""
    draw = ImageDraw.Draw(image)
    light, scale = street.weather.light, float(SUPERSAMPLING)

    def far(at: tuple[float, float]) -> float:
        return -float(np.hypot(at[0] - camera.x, at[1]))

    flat = [
        *((far(plant.at), index, "plant") for index, plant in enumerate(street.plants)),
        *((far(at), index, "pole") for index, (at, _) in enumerate(street.poles)),
        *((far(sign.at), index, "sign") for index, sign in enumerate(street.signs)),
    ]
    flat.sort()
    waiting = iter(flat)
    following = next(waiting, None)

    def draw_until(distance: float) -> None:
        nonlocal following
        while following is not None and following[0] <= distance:
            _, index, kind = following
            if kind == "plant":
                draw_plant(draw, camera, light, street.plants[index], scale)
            elif kind == "pole":
                at, pole = street.poles[index]
                draw_pole(draw, camera, light, at, pole, scale)
            else:
                draw_sign(draw, camera, light, street.signs[index], scale)
            following = next(waiting, None)

    for at in draw_model(draw, camera, light, street.model, scale):
        draw_until(far(at))
    for x, posts in street.wires:
        draw_wires(draw, camera, light, x, posts, scale)
    draw_until(0.0)


def _shadows(street: Street, camera: Camera) -> Array:
    """Return the (SIZE, SIZE) shadow mask of houses and trees on the ground."""
    mask = Image.new("L", (SIZE, SIZE))
    sun = street.weather.light.towards
    if street.weather.cloud < 0.85:
        draw = ImageDraw.Draw(mask)
        away = -sun[[0, 2]] / max(float(sun[1]), 0.12)
        for outline in _shadow_outlines(street, camera, away):
            draw.polygon(outline.ravel().tolist(), fill=255)
        mask = mask.filter(ImageFilter.BoxBlur(1))
    return np.asarray(mask, dtype=np.float32) / np.float32(255) * np.float32(0.92)


def _shadow_outlines(street: Street, camera: Camera, away: Array) -> list[Array]:
    """Return the shadows on the ground as polygons in pixels.

    Args:
        street: the objects that cast shadows.
        camera: the viewpoint.
        away: (2,) displacement of a shadow in x and z per metre of height.
    """
    return [*camera.outlines(_blocks(street, away)), *camera.outlines(_crowns(street, away))]


def _blocks(street: Street, away: Array) -> Array:
    """Return the shadows of buildings as (n, 4, 3) quadrilaterals on the ground: one of the roof and one per wall."""
    if not street.footprints:
        return np.empty((0, 4, 3), dtype=np.float32)
    x0, x1, z0, z1, height = np.array(street.footprints, dtype=np.float32).T
    base = np.stack([np.stack([x0, x1, x1, x0], axis=1), np.stack([z0, z0, z1, z1], axis=1)], axis=2)
    top = base + away * height[:, None, None]
    following = np.roll(np.arange(4), -1)
    walls = np.stack([base, base[:, following], top[:, following], top], axis=2).reshape(-1, 4, 2)
    return np.asarray(np.insert(np.concatenate([top, walls]), 1, 0.0, axis=2), dtype=np.float32)


def _crowns(street: Street, away: Array) -> Array:
    """Return the shadows of plants as (n, 8, 3) octagons on the ground, stretched away from the sun."""
    if not street.plants:
        return np.empty((0, 8, 3), dtype=np.float32)
    kinds = [KINDS[plant.kind] for plant in street.plants]
    height = np.array([plant.height for plant in street.plants], dtype=np.float32)
    at = np.array([plant.at for plant in street.plants], dtype=np.float32)
    foot, tall, wide = np.array([(kind.foot, kind.crown[1], kind.crown[0]) for kind in kinds], dtype=np.float32).T
    turn = np.arange(8) * (2 * np.pi / 8)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1).astype(np.float32)
    middle = at + away * (height * (foot + tall / 2))[:, None]
    stretch = (circle @ (away / max(float(np.linalg.norm(away)), 1e-6)))[None, :, None] * away
    shape = (
        middle[:, None] + circle * (0.4 * height * wide)[:, None, None] + stretch * (height * tall / 2)[:, None, None]
    )
    return np.asarray(np.insert(shape, 1, 0.0, axis=2), dtype=np.float32)


def _develop(image: Image.Image, street: Street, rng: np.random.Generator) -> Image.Image:
    """Return the picture with rain, blur, exposure, white balance, vignette and noise."""
    if street.weather.rain:
        draw = ImageDraw.Draw(image)
        for x, y, length in rng.uniform((0, 0, 4), (SIZE, SIZE, 16), (70, 3)).tolist():
            draw.line([x, y, x - length * 0.15, y + length], fill=(190, 194, 198), width=1)
    softness = float(np.clip(rng.normal(0.25, 0.35), 0, 1.2))
    if softness > 0.35:
        image = image.filter(ImageFilter.BoxBlur(softness))
    pixels = np.array(image, dtype=np.float32)
    gain = np.float32(rng.normal(1, 0.06)) * rng.normal(1, 0.012, 3).astype(np.float32)
    line = np.linspace(-1, 1, SIZE, dtype=np.float32) ** 2
    vignette = 1 - np.float32(rng.uniform(0, 0.10)) * (line[:, None] + line[None, :])
    grain = rng.standard_normal((SIZE, SIZE), dtype=np.float32) * np.float32(rng.uniform(1, 5))
    pixels *= gain * vignette[..., None]
    pixels += grain[..., None]
    return Image.fromarray(np.clip(pixels, 0, 255, out=pixels).astype(np.uint8))


def to_jpeg(image: Image.Image, quality: int, exif: Image.Exif) -> bytes:
    """Return the picture as JPEG bytes with its EXIF block."""
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=quality, exif=exif)
    return buffer.getvalue()
