"""The background of a scene, computed per pixel: sky, skyline, ground, road and shadows."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from geocell.quickstart.scenery.camera import SIZE, Array, Camera, Light
from geocell.quickstart.scenery.regions import Colour

_TILE = 256


@dataclass(frozen=True)
class Backdrop:
    """The surroundings of one street.

    Attributes:
        bearing: of the road's z, radians clockwise from north.
        zenith: colour of the sky overhead; the light's haze is its colour at the horizon.
        cloud: cover, 0 to 1.
        skyline: (360,) tangent of the height of the hills by degree of azimuth.
        hills, snow: colour of the hills; tangent of the elevation above which they are white.
        grass, soil, asphalt, pavement: colours.
        road: half width in metres.
        walk: width of the pavement in metres, 0 in the country.
        bare: share of bare soil in the grass.
        fields: colours of the fields beyond 30 m.
        snow_cover: share of snow on the grass.
        wet: how strongly the road reflects the sky.
        sea: whether there is open water to the north, east, south and west.
        shift: offset of the textures in texels, drawn per street.
    """

    bearing: float
    zenith: Colour
    cloud: float
    skyline: Array
    hills: Colour
    snow: float
    grass: Colour
    soil: Colour
    asphalt: Colour
    pavement: Colour
    road: float
    walk: float
    bare: float
    fields: tuple[Colour, ...]
    snow_cover: float
    wet: float
    sea: tuple[bool, ...]
    shift: tuple[int, int]


@cache
def _texture(power: float, seed: int) -> Array:
    """Return (256, 256) periodic noise with spectrum 1/f^power, mean 0, standard deviation 1."""
    rng = np.random.default_rng((seed, _TILE))
    frequency = np.hypot(np.fft.fftfreq(_TILE)[:, None], np.fft.rfftfreq(_TILE)[None, :])
    frequency[0, 0] = np.inf
    noise = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((_TILE, _TILE))) / frequency**power, s=(_TILE, _TILE))
    return np.asarray((noise - noise.mean()) / noise.std(), dtype=np.float32)


def _sample(texture: Array, u: NDArray[np.floating], v: NDArray[np.floating], shift: tuple[int, int]) -> Array:
    """Return the texture at real coordinates in texels, repeated over the plane, nearest texel."""
    i = np.floor(u).astype(np.int32) + shift[0]
    j = np.floor(v).astype(np.int32) + shift[1]
    return np.asarray(texture[i & (_TILE - 1), j & (_TILE - 1)])


def paint(scene: Backdrop, camera: Camera, light: Light, shadow: Array) -> Array:
    """Return the backdrop as (SIZE, SIZE, 3) float32 colours, 0 to 255.

    Args:
        scene: the surroundings.
        camera: the viewpoint.
        light: sun, sky and haze.
        shadow: (SIZE, SIZE), 1 where the ground is in shadow.
    """
    right, above = camera.rays()
    image = _sky(scene, camera, light, right, above)
    _hills(image, scene, camera, light, right, above)
    rows = np.flatnonzero((above < 0).any(axis=1))
    if len(rows):
        top = int(rows[0])
        below = np.minimum(above[top:], -2e-3)
        ground = _ground(scene, camera, light, right[top:], below, shadow[top:])
        image[top:] += (ground - image[top:]) * np.clip(-above[top:] * camera.focal + 0.5, 0, 1)[..., None]
    return image


def _azimuth(scene: Backdrop, camera: Camera, right: Array) -> Array:
    return np.asarray(scene.bearing + camera.yaw + np.arctan(right), dtype=np.float32)


def _sky(scene: Backdrop, camera: Camera, light: Light, right: Array, above: Array) -> Array:
    """Return the sky: a gradient, clouds on a plane, and a glow around the sun, computed at half resolution."""
    rows = np.flatnonzero((above > -0.05).any(axis=1))
    end = int(rows[-1]) // 2 * 2 + 2 if len(rows) else 2
    right, above = right[:end:2, ::2], above[:end:2, ::2]
    height = np.clip(above, 0, None)
    blend = np.clip(height / 0.75, 0, 1)[..., None] ** np.float32(0.65)
    sky = light.haze + (np.array(scene.zenith, dtype=np.float32) - light.haze) * blend
    far = 1 / (height + 0.07)
    sin, cos = np.float32(np.sin(camera.yaw)), np.float32(np.cos(camera.yaw))
    x, z = (right * cos + sin) * far, (cos - right * sin) * far
    noise = _sample(_texture(1.7, 1), x * 17, z * 17, scene.shift)
    level = np.float32(1.9 - 3.4 * scene.cloud)
    amount = np.clip((noise - level) * 0.8, 0, 1) * np.clip(height * 7, 0.25, 1)
    white = np.float32(250 - 70 * scene.cloud**2) - 16 * np.clip(noise - level - 0.6, 0, 2)
    sky += (white[..., None] * (0.6 + 0.4 * light.haze / light.haze.max()) - sky) * (0.92 * amount[..., None])
    sun = light.towards
    ahead = sun[0] * sin + sun[2] * cos
    if ahead > 0.2 and scene.cloud < 0.8:
        across = right - (sun[0] * cos - sun[2] * sin) / ahead
        distance = np.hypot(across, above - sun[1] / ahead)
        glow = np.exp(-distance * 3.5) * 0.55 + np.clip(1.6 - distance * 22, 0, 1)
        sky += (np.array([255, 248, 226], dtype=np.float32) - sky) * (np.clip(glow, 0, 1) * (1 - scene.cloud))[
            ..., None
        ]
    small = Image.fromarray(np.clip(sky, 0, 255).astype(np.uint8))
    image = np.empty((SIZE, SIZE, 3), dtype=np.float32)
    image[:end] = np.asarray(small.resize((SIZE, end), Image.Resampling.BILINEAR))[:SIZE]
    image[end:] = light.haze
    return image


def _hills(image: Array, scene: Backdrop, camera: Camera, light: Light, right: Array, above: Array) -> None:
    """Paint two ridges of hills over the sky, snow on the higher ones."""
    inside = (above > -0.01) & (above < float(scene.skyline.max()) + 0.01)
    rows = np.flatnonzero(inside.any(axis=1))
    if not len(rows):
        return
    band = slice(int(rows[0]), int(rows[-1]) + 1)
    right, above, part_of_image = right[band], above[band], image[band]
    azimuth = np.degrees(_azimuth(scene, camera, right))
    degree = np.floor(azimuth).astype(np.int32)
    hills = np.array(scene.hills, dtype=np.float32)
    grain = _sample(_texture(1.3, 2), azimuth * 3, above * 240, scene.shift)
    for size, veil, turn in ((1.0, 0.62, 0), (0.55, 0.38, 97)):
        ridge = size * scene.skyline[(degree + turn) % 360]
        ridge = ridge + (size * scene.skyline[(degree + turn + 1) % 360] - ridge) * (azimuth - degree).astype(
            np.float32
        )
        cover = np.clip((ridge - above) * np.float32(camera.focal) + 0.5, 0, 1)
        white = np.clip((above - np.float32(scene.snow) + 0.03 * grain) * 40, 0, 1)[..., None]
        colour = (hills + (np.float32(238) - hills) * white) * (1 + 0.07 * grain[..., None])
        colour += (light.haze - colour) * np.float32(veil)
        part_of_image += (colour - part_of_image) * cover[..., None]


@dataclass
class _Layers:
    """Materials composited from the top layer down, as albedo weights per pixel."""

    left: Array
    weights: list[Array] = field(default_factory=list)
    colours: list[Colour] = field(default_factory=list)

    def lay(self, colour: Colour, cover: Array | float, shade: Array | float = 1.0) -> None:
        """Add the next layer: a colour that covers a share of what is still uncovered, with a brightness per pixel."""
        part = self.left * np.float32(cover) if isinstance(cover, float) else self.left * cover
        self.left = self.left - part
        self.weights.append(part * np.float32(shade) if isinstance(shade, float) else part * shade)
        self.colours.append(colour)

    def seen(self, sky: Array, sun: Array, direct: Array) -> Array:
        """Return the (H, W, 3) colours under diffuse light, and under direct light weighted by `direct`."""
        weights, colours = np.stack(self.weights, axis=-1), np.array(self.colours, dtype=np.float32)
        return np.asarray(weights @ (colours * sky) + direct[..., None] * (weights @ (colours * sun)), dtype=np.float32)


def _ground(scene: Backdrop, camera: Camera, light: Light, right: Array, below: Array, shadow: Array) -> Array:
    """Return the ground plane: grass or yards, fields, pavement, road; lit, in shadow or under haze."""
    depth = np.float32(camera.height) / -below
    sin, cos = np.float32(np.sin(camera.yaw)), np.float32(np.cos(camera.yaw))
    x = np.float32(camera.x) + (right * cos + sin) * depth
    z = (cos - right * sin) * depth
    off = np.abs(x)
    fine = _sample(_texture(0.4, 3), x * 9, z * 9, scene.shift) * np.exp(depth * np.float32(-1 / 14))
    broad = _sample(_texture(1.5, 4), x * 1.1 + 40, z * 1.1, scene.shift)
    sharp = np.float32(camera.focal) / (depth + np.float32(0.04 * camera.focal))
    veil = 1 - np.exp(depth * np.float32(-1 / light.visibility))
    layers = _Layers(1 - veil)
    water = _water(scene, camera, right, depth) * layers.left
    layers.left = layers.left - water
    _pave(layers, scene, (off, z), (fine, broad), sharp)
    grain = 1 + 0.10 * fine + 0.05 * broad
    if scene.snow_cover > 0:
        layers.lay((240, 241, 245), np.clip((broad + 0.4 * fine - 1.6 + 3.6 * scene.snow_cover) * 2, 0, 1), grain)
    if scene.fields:
        beyond = np.clip((off - 30) / 1.5, 0, 1)
        strip = (np.floor(off / 70 + 0.55) * 7 + np.floor(z / 85) * 3 + (x > 0) * 5).astype(np.int32)
        which = (strip * 2654435 + scene.shift[0]) % len(scene.fields)
        furrow = grain * (1 + 0.06 * np.sin(x * 2.1))
        for index, crop in enumerate(scene.fields):
            layers.lay(crop, beyond * (which == index), furrow)
    layers.lay(scene.soil, np.clip((broad + 0.5 * fine - 1.8 + 3.6 * scene.bare) * 1.5, 0, 1), grain)
    layers.lay(scene.grass, 1.0, grain)
    ground = layers.seen(light.sky, light.sun * max(float(light.towards[1]), 0.0), 1 - shadow)
    ground += light.haze * veil[..., None]
    if any(scene.sea):
        sea = np.array(scene.zenith, dtype=np.float32) * np.float32(0.62) * light.sky + np.array(
            (6, 26, 34), dtype=np.float32
        )
        ground += sea * (water * (1 + 0.05 * np.sin(depth * 0.21 + right * 9)))[..., None]
    return ground


def _pave(
    layers: _Layers, scene: Backdrop, street: tuple[Array, Array], noise: tuple[Array, Array], sharp: Array
) -> None:
    """Lay kerb, road and pavement.

    Args:
        layers: the layers to add to.
        scene: widths and colours.
        street: distance from the middle of the road and position along it, in metres.
        noise: fine and coarse texture.
        sharp: pixels per metre; edges are blurred over one pixel.
    """
    (off, z), (fine, broad) = street, noise
    kerb = np.clip(1 - np.abs(off - scene.road) / (0.09 + 1 / sharp), 0, 1)
    grey = 170.0 if scene.walk else 110.0
    layers.lay((grey, grey, grey), kerb * np.float32(0.5 if scene.walk else 0.2))
    road = np.clip((scene.road - off) * sharp + 0.5, 0, 1)
    if scene.wet > 0:
        mirrored = scene.wet * np.clip(0.25 + 0.5 * broad, 0.05, 0.8)
        layers.lay((206, 210, 214), road * mirrored)
        road = road * (1 - mirrored) / (1 - road * mirrored)
    layers.lay(scene.asphalt, road, 1 + 0.06 * fine + 0.03 * broad - 0.05 * np.exp(-(((off % 3.0) - 0.9) ** 2) * 6))
    if scene.walk:
        tile = (np.floor(z / 0.9) + np.floor(off / 0.9)).astype(np.int32) & 1
        paved = np.clip((scene.road + scene.walk - off) * sharp + 0.5, 0, 1)
        layers.lay(scene.pavement, paved, 1 + 0.04 * fine - np.float32(0.08) * tile * np.clip(sharp / 40, 0, 1))


def _water(scene: Backdrop, camera: Camera, right: Array, depth: Array) -> Array:
    """Return 1 where there is open water: beyond 110 m in the directions that have it."""
    if not any(scene.sea):
        return np.zeros_like(depth)
    quarter = np.floor(np.degrees(_azimuth(scene, camera, right)) / 90 + 0.5).astype(np.int32) % 4
    return np.asarray(np.array(scene.sea)[quarter] & (depth > 110), dtype=np.float32)
