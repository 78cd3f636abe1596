"""Trees and shrubs: a trunk and clusters of leaves, drawn facing the camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import ImageDraw

from geocell.quickstart.scenery.camera import SIZE, Array, Camera, Light
from geocell.quickstart.scenery.regions import Climate, Colour

SPECIES: tuple[str, ...] = ("broadleaf", "poplar", "spruce", "pine", "cypress", "palm", "olive", "birch")


@dataclass(frozen=True)
class Kind:
    """Shape and colours of a species: heights in metres, the rest as shares of the height.

    Attributes:
        height: minimum and maximum.
        crown: width and height of the crown.
        foot: height at which the crown starts.
        leaf: colour of the leaves.
        bark: colour of the trunk.
        trunk: its width.
    """

    height: tuple[float, float]
    crown: tuple[float, float]
    foot: float
    leaf: Colour
    bark: Colour
    trunk: float = 0.04


KINDS: dict[str, Kind] = {
    "broadleaf": Kind((6, 13), (0.75, 0.75), 0.25, (78, 118, 48), (84, 66, 50), 0.05),
    "poplar": Kind((12, 19), (0.20, 0.92), 0.08, (92, 128, 56), (110, 98, 80), 0.03),
    "spruce": Kind((9, 20), (0.40, 0.95), 0.05, (44, 78, 52), (70, 54, 44), 0.03),
    "pine": Kind((8, 14), (0.85, 0.28), 0.70, (62, 98, 50), (120, 84, 62), 0.035),
    "cypress": Kind((8, 14), (0.15, 0.97), 0.03, (40, 70, 42), (84, 66, 50), 0.03),
    "palm": Kind((6, 11), (0.65, 0.30), 0.85, (86, 124, 60), (134, 108, 78), 0.04),
    "olive": Kind((3.5, 6), (0.95, 0.65), 0.35, (132, 146, 106), (96, 84, 70), 0.07),
    "birch": Kind((8, 15), (0.42, 0.72), 0.28, (128, 158, 66), (226, 224, 216), 0.028),
    "shrub": Kind((0.8, 2.2), (1.6, 1.0), 0.0, (92, 124, 58), (84, 66, 50), 0.02),
    "heath": Kind((0.4, 0.9), (2.6, 1.0), 0.0, (122, 92, 96), (84, 66, 50), 0.02),
}


@dataclass(frozen=True)
class Plant:
    """One plant at (x, z): its kind, height, tint, and the (n, 4) clusters of its crown: x, y, radius, brightness."""

    at: tuple[float, float]
    kind: str
    height: float
    tint: Colour
    clusters: Array


def species_shares(climate: Climate) -> Array:
    """Return the shares of `SPECIES` in a climate, which sum to 1."""
    south, north, wet, east = climate.south, climate.north, climate.wet, climate.east
    middle = (1 - south) * (1 - north)
    shares = np.array(
        [
            middle * (0.8 + 0.6 * wet) + 0.10 * south,
            0.35 * middle * (0.3 + east) + 0.05 * south,
            0.15 * middle * (1 - wet) + 0.75 * north,
            0.45 * south + 0.02 * north,
            0.55 * south * (1 - 0.5 * climate.dry),
            0.65 * south * climate.dry,
            0.45 * south,
            0.06 + 0.55 * north + 0.30 * middle * east,
        ],
        dtype=np.float32,
    )
    return np.asarray(shares / shares.sum(), dtype=np.float32)


def grow(kind: str, at: tuple[float, float], tint: Colour, rng: np.random.Generator, size: float = 1.0) -> Plant:
    """Return a plant of a kind at (x, z) with a crown drawn from `rng`."""
    low, high = KINDS[kind].height
    n = 80
    angle, radius = rng.uniform(0, 2 * np.pi, n), np.sqrt(rng.uniform(0, 1, n))
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    clusters = np.stack([x, y, rng.uniform(0.75, 1.25, n), 0.16 * y + rng.normal(0, 0.10, n) - 0.06 * x], axis=1)
    return Plant(at, kind, float(rng.uniform(low, high)) * size, tint, clusters.astype(np.float32))


def draw_plant(draw: ImageDraw.ImageDraw, camera: Camera, light: Light, plant: Plant, scale: float) -> None:
    """Draw a plant, if the camera sees it."""
    seen = camera.to_camera([plant.at[0], 0.0, plant.at[1]])
    if seen[2] < 1.5:
        return
    x, y = (float(value) for value in camera.to_pixels(seen, scale))
    size = plant.height * camera.focal * scale / float(seen[2])
    kind = KINDS[plant.kind]
    half = size * kind.crown[0] / 2
    if x + half < 0 or x - half > SIZE * scale or size < 2:
        return
    veil = float(1 - np.exp(-float(np.linalg.norm(seen)) / light.visibility))
    shine = light.sky + light.sun * 0.55

    def lit(colour: Colour, bright: float = 1.0) -> tuple[int, int, int]:
        base = np.array(colour) * np.array(plant.tint) * shine * bright
        red, green, blue = np.clip(base + (light.haze - base) * veil, 0, 255).astype(int).tolist()
        return red, green, blue

    trunk = max(size * kind.trunk / 2, 0.5)
    top = y - size * (kind.foot + 0.35 * kind.crown[1])
    bark = lit(tuple(np.array(kind.bark) / np.array(plant.tint)))
    draw.polygon([x - trunk * 1.3, y, x + trunk * 1.3, y, x + trunk * 0.7, top, x - trunk * 0.7, top], fill=bark)
    crown = (x, y - size * (kind.foot + kind.crown[1] / 2), half, size * kind.crown[1] / 2)
    if plant.kind == "palm":
        _fronds(draw, (x, top), half, plant, [lit(kind.leaf, 0.8), lit(kind.leaf, 1.1)])
    elif plant.kind == "spruce":
        _tiers(draw, crown, plant, [lit(kind.leaf, 0.72), lit(kind.leaf, 0.92), lit(kind.leaf, 1.12)])
    else:
        _leaves(draw, crown, plant, [lit(kind.leaf, 0.62 + 0.13 * step) for step in range(6)])


def _leaves(
    draw: ImageDraw.ImageDraw,
    crown: tuple[float, float, float, float],
    plant: Plant,
    shades: list[tuple[int, int, int]],
) -> None:
    """Draw a crown of overlapping clusters, dark ones first."""
    x, y, a, b = crown
    n = int(np.clip(b / 1.7, 6, len(plant.clusters)))
    draw.ellipse([x - a * 0.8, y - b * 0.85, x + a * 0.8, y + b * 0.85], fill=shades[1])
    clusters = plant.clusters[:n]
    spread = 0.98 / n**0.46
    for cx, cy, r, shade in clusters[np.argsort(clusters[:, 3], kind="stable")].tolist():
        px, py = x + a * cx * 0.85, y - b * cy * 0.85
        rx, ry = max(a * r * spread, 1.0), max(min(b, a * 1.4) * r * spread, 1.0)
        fill = shades[int(np.clip((shade + 0.3) * 9, 0, 5))]
        draw.ellipse([px - rx, py - ry, px + rx, py + ry], fill=fill)


def _tiers(
    draw: ImageDraw.ImageDraw,
    crown: tuple[float, float, float, float],
    plant: Plant,
    shades: list[tuple[int, int, int]],
) -> None:
    """Draw a conifer as tiers of drooping branches."""
    x, y, a, b = crown
    n = 7
    for tier in range(n):
        foot = y + b - 2 * b * tier / n
        width = a * (1 - tier / n) * float(plant.clusters[tier, 2])
        tip = foot - 2 * b / n * 1.9
        draw.polygon([x - width, foot, x, foot - b * 0.05, x + width, foot, x, tip], fill=shades[tier % 2])
        draw.polygon([x - width * 0.6, foot - b * 0.03, x, foot - b * 0.09, x, tip], fill=shades[2])


def _fronds(
    draw: ImageDraw.ImageDraw,
    top: tuple[float, float],
    reach: float,
    plant: Plant,
    shades: list[tuple[int, int, int]],
) -> None:
    """Draw the leaves of a palm as bent blades."""
    x, y = top
    for index, cluster in enumerate(plant.clusters[:13].tolist()):
        angle = np.pi * (index + 0.5) / 13 + 0.12 * cluster[0]
        dx, dy = float(np.cos(angle)) * reach, float(np.sin(angle)) * reach
        middle, tip = (x + dx * 0.6, y - dy * 0.75 - reach * 0.06), (x + dx * 1.05, y - dy * 0.55 + reach * 0.34)
        width = max(reach * 0.07, 0.7)
        draw.polygon([x, y, middle[0], middle[1] - width, *tip, middle[0], middle[1] + width], fill=shades[index % 2])
