"""Landmarks of the regions: campanile, onion dome, spire, blue dome, minaret, windmill, turbine, water tower."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from geocell.geo.geodesy import distance_km
from geocell.quickstart.scenery.camera import Light, Mesh
from geocell.quickstart.scenery.regions import Colour

_HOMES: dict[str, tuple[tuple[float, float, float], ...]] = {
    "campanile": ((43.5, 11.8, 4.0), (40.9, 15.0, 3.5), (45.5, 10.5, 3.0), (43.6, 5.0, 2.5), (45.3, 14.5, 2.0)),
    "belfry": ((40.5, -4.0, 4.5), (38.8, -7.5, 3.5), (41.8, 0.5, 3.0), (37.5, -3.5, 3.5)),
    "blue dome": ((37.5, 24.5, 3.5), (35.0, 33.0, 3.0), (39.5, 22.3, 2.5), (35.2, 25.0, 3.0)),
    "minaret": ((43.9, 18.0, 2.2), (41.4, 20.2, 2.2), (42.4, 21.2, 1.8), (41.8, 25.3, 2.2)),
    "onion": ((47.9, 12.5, 3.0), (49.0, 15.0, 2.5), (47.0, 15.0, 2.5), (47.2, 10.5, 2.5)),
    "gold domes": ((50.4, 30.5, 5.0), (53.8, 28.5, 4.0), (59.0, 31.0, 4.0), (47.0, 28.0, 3.0), (48.3, 33.0, 3.5)),
    "spire": (
        (52.5, 10.0, 4.0),
        (48.5, 2.5, 4.0),
        (55.5, 11.0, 3.0),
        (50.5, 18.0, 4.0),
        (46.5, 0.5, 3.0),
        (56.8, 24.5, 2.5),
    ),
    "square": ((52.2, -1.2, 3.5), (53.2, -7.0, 3.5), (55.8, -3.8, 3.0), (51.0, -3.8, 2.5)),
    "timber church": ((61.0, 9.0, 4.0), (60.0, 16.0, 4.0), (64.0, 19.0, 5.0), (62.0, 25.5, 4.5), (68.5, 18.0, 5.0)),
    "windmill": ((52.3, 5.2, 1.8), (51.2, 3.6, 1.3)),
    "turbine": ((55.6, 9.6, 2.5), (53.6, 9.2, 2.0), (58.0, 13.0, 2.0)),
    "water tower": ((46.8, 20.0, 2.5), (45.2, 21.0, 2.0), (44.6, 26.0, 3.0), (48.0, 22.5, 2.0)),
}
"""Name -> points (lat, lon) around which it is common, with a radius in units of 75 km."""

LANDMARKS: tuple[str, ...] = tuple(_HOMES)

_BRICK: Colour = (158, 84, 62)
_COPPER: Colour = (96, 150, 128)


def landmarks_of(lat: float, lon: float) -> NDArray[np.float64]:
    """Return the shares of `LANDMARKS` at a point."""
    shares = []
    for homes in _HOMES.values():
        places = np.array(homes)
        km = distance_km(np.broadcast_to((lat, lon), (len(places), 2)), places[:, :2])
        shares.append(
            float(np.exp(-0.5 * (km / (75 * places[:, 2])) ** 2).max()) + 1e-6 * float(np.exp(-km / 500).max())
        )
    total = np.array(shares) + 1e-12
    return np.asarray(total / total.sum())


def landmark(kind: str, x: float, z: float, light: Light, rng: np.random.Generator) -> Mesh:
    """Return a landmark with its base at (x, z)."""
    mesh = Mesh((x, z), light)
    size = float(rng.uniform(0.9, 1.15))
    if kind == "turbine":
        _turbine(mesh, x, z, 46 * size, float(rng.uniform(0, 2)))
    elif kind == "windmill":
        _windmill(mesh, x, z, 13 * size, float(rng.uniform(0, 1)))
    elif kind == "water tower":
        _prism(mesh, (x, z), (1.3, 1.1), (0, 17 * size), (176, 182, 188))
        _prism(mesh, (x, z), (1.2, 4.2), (17 * size, 20 * size), (160, 176, 190))
        _prism(mesh, (x, z), (4.2, 0.3), (20 * size, 23.5 * size), (184, 194, 202))
    elif kind == "minaret":
        _nave(mesh, x, z, 5, 6, (236, 234, 226), (120, 140, 150), 0.35)
        _prism(mesh, (x, z), (1.1, 0.9), (0, 19 * size), (240, 238, 230))
        _prism(mesh, (x, z), (1.7, 1.7), (14 * size, 15 * size), (214, 210, 200))
        _prism(mesh, (x, z), (1.0, 0.05), (19 * size, 24 * size), (104, 120, 128))
    else:
        _church(mesh, kind, x, z, size)
    return mesh


def _church(mesh: Mesh, kind: str, x: float, z: float, size: float) -> None:
    """Add a nave, and a tower with the roof of the region."""
    walls: dict[str, Colour] = {
        "campanile": (212, 160, 112), "belfry": (224, 200, 150), "blue dome": (250, 250, 250),
        "onion": (246, 236, 204), "gold domes": (244, 248, 246), "spire": (190, 164, 142),
        "square": (150, 146, 138), "timber church": (240, 238, 230),
    }  # fmt: skip
    wall = walls[kind]
    roof: Colour = {"square": (84, 88, 96), "timber church": (60, 58, 60), "gold domes": (70, 120, 96)}.get(
        kind, (170, 84, 58)
    )
    height = {"square": 13.0, "blue dome": 6.5, "timber church": 10.0, "gold domes": 9.0}.get(kind, 19.0) * size
    if kind == "blue dome":
        mesh.box((x - 5, 0, z - 4), (x + 5, 4.5, z + 4), wall)
    else:
        _nave(mesh, x, z, 5, 7, wall, roof, 1.0)
    wide = 3.4 if kind in {"blue dome", "gold domes"} else 2.4
    mesh.box((x - wide, 0, z - wide), (x + wide, height, z + wide), wall)
    for side in (-1.0, 1.0):
        for low in [sill for sill in (height - 3.4, height - 7.5) if sill > 0]:
            face = z + side * (wide + 0.02)
            mesh.add([(x - 0.6, low, face), (x + 0.6, low, face), (x + 0.6, low + 2, face), (x - 0.6, low + 2, face)],
                     (62, 60, 64), (0, 0, side))  # fmt: skip
            face = x + side * (wide + 0.02)
            mesh.add([(face, low, z - 0.6), (face, low, z + 0.6), (face, low + 2, z + 0.6), (face, low + 2, z - 0.6)],
                     (62, 60, 64), (side, 0, 0))  # fmt: skip
    at = (x, z)
    if kind in {"campanile", "belfry"}:
        _prism(mesh, at, (wide * 1.35, 0.1), (height, height + 2.4), (186, 100, 66), sides=4)
    elif kind == "square":
        for dx in (-1.0, 1.0):
            for dz in (-1.0, 1.0):
                mesh.box(
                    (x + dx * wide - 0.5, height, z + dz * wide - 0.5),
                    (x + dx * wide + 0.5, height + 1.5, z + dz * wide + 0.5),
                    wall,
                )
    elif kind in {"spire", "timber church"}:
        _prism(
            mesh,
            at,
            (wide * 1.4, 0.05),
            (height, height + (15 if kind == "spire" else 9) * size),
            roof if kind != "spire" else _COPPER,
            sides=4,
        )
    else:
        colour: Colour = {"blue dome": (40, 96, 176), "gold domes": (226, 178, 52)}.get(kind, _COPPER)
        _dome(mesh, at, height, wide * (1.0 if kind == "blue dome" else 1.15), colour, pointed=kind != "blue dome")
        if kind == "gold domes":
            for dx in (-4.6, 4.6):
                _prism(mesh, (x + dx, z), (1.0, 1.0), (6, 9.5 * size), wall)
                _dome(mesh, (x + dx, z), 9.5 * size, 1.4, colour, pointed=True)


def _nave(mesh: Mesh, x: float, z: float, half: float, height: float, wall: Colour, roof: Colour, pitch: float) -> None:
    """Add a hall with a gable roof behind the tower, its ridge along x."""
    side = 1.0 if x > 0 else -1.0
    x0, x1 = sorted((x + side * 2, x + side * 18))
    mesh.box((x0, 0, z - half), (x1, height, z + half), wall)
    top = height + pitch * half
    for way in (-1.0, 1.0):
        edge = z + way * (half + 0.4)
        mesh.add([(x0, height, edge), (x1, height, edge), (x1, top, z), (x0, top, z)], roof, (0, 0.7, way * 0.7))
    for end, way in ((x0, -1.0), (x1, 1.0)):
        mesh.add([(end, height, z - half), (end, height, z + half), (end, top, z), (end, top, z)], wall, (way, 0, 0))


def _prism(
    mesh: Mesh,
    at: tuple[float, float],
    radii: tuple[float, float],
    heights: tuple[float, float],
    colour: Colour,
    sides: int = 8,
) -> None:
    """Add the walls of a tapered prism, from the radii and heights of its base and its top."""
    turn = (np.arange(sides + 1) + 0.5) * 2 * np.pi / sides
    ring = np.stack([np.cos(turn), np.zeros(sides + 1), np.sin(turn)], axis=1)
    low, high = (
        ring * radius + np.array([at[0], height, at[1]]) for radius, height in zip(radii, heights, strict=True)
    )
    slant = (radii[0] - radii[1]) / max(heights[1] - heights[0], 1e-6)
    for i in range(sides):
        middle = ring[i] + ring[i + 1]
        normal = middle / np.linalg.norm(middle) + np.array([0, slant, 0])
        mesh.add([low[i], low[i + 1], high[i + 1], high[i]], colour, normal / np.linalg.norm(normal))


def _dome(mesh: Mesh, at: tuple[float, float], foot: float, radius: float, colour: Colour, pointed: bool) -> None:
    """Add a dome, or a pointed onion dome."""
    profile = (
        ((0.8, 0), (1.15, 0.5), (1.1, 1.0), (0.6, 1.6), (0.15, 2.2), (0.03, 3.0))
        if pointed
        else ((1, 0), (0.92, 0.4), (0.7, 0.72), (0.38, 0.92), (0.03, 1.0))
    )
    for (r0, y0), (r1, y1) in pairwise(profile):
        _prism(mesh, at, (r0 * radius, r1 * radius), (foot + y0 * radius, foot + y1 * radius), colour)


def _blade(
    mesh: Mesh, hub: tuple[float, float, float], angle: float, length: float, wide: float, colour: Colour
) -> None:
    """Add a blade in the plane across the road's z, visible from both sides."""
    x, y, z = hub
    dx, dy = float(np.cos(angle)), float(np.sin(angle))
    tip = (x + dx * length, y + dy * length)
    quad = [
        (x - dy * wide * 0.3, y + dx * wide * 0.3, z),
        (tip[0] - dy * wide, tip[1] + dx * wide, z),
        (*tip, z),
        (x + dy * wide * 0.3, y - dx * wide * 0.3, z),
    ]
    for normal in (-1.0, 1.0):
        mesh.add(quad, colour, (0, 0, normal))


def _turbine(mesh: Mesh, x: float, z: float, height: float, turn: float) -> None:
    white: Colour = (244, 246, 248)
    _prism(mesh, (x, z), (1.3, 0.6), (0, height), white)
    for i in range(3):
        _blade(mesh, (x, height, z - 1.0), turn + i * 2 * np.pi / 3, height * 0.5, 0.8, white)


def _windmill(mesh: Mesh, x: float, z: float, height: float, turn: float) -> None:
    _prism(mesh, (x, z), (4.4, 2.6), (0, height), _BRICK)
    _prism(mesh, (x, z), (2.8, 0.4), (height, height + 2.6), (80, 70, 60))
    for i in range(4):
        _blade(mesh, (x, height, z - 3.0), turn + i * np.pi / 2, height * 0.75, 1.7, (226, 220, 204))
