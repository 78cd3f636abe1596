"""Street furniture: markings, bollards, poles, signs, fences, cars, bus shelters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import ImageDraw

from geocell.quickstart.scenery.camera import SIZE, Array, Camera, Light, Mesh
from geocell.quickstart.scenery.regions import PAINT, Colour, Roads

_UP = (0.0, 1.0, 0.0)
_REACH_M = (-60.0, 130.0)


@dataclass(frozen=True)
class Sign:
    """A sign on a post at (x, z) that faces along the road.

    Attributes:
        at: (x, z).
        kind: name and paint: "stop r", "priority y", "limit w", "crossing b", and "warning" and "town" with the
            letters of `Roads`.
        face: -1 towards smaller z, 1 towards larger.
    """

    at: tuple[float, float]
    kind: str
    face: int


def markings(roads: Roads, half_width: float, phase: float, light: Light, worn: float) -> Mesh:
    """Return the painted lines of a road; `worn` blends them with the grey of the asphalt."""
    mesh = Mesh((0.0, 1e6), light)

    def stripe(x: float, paint: str, start: Array, end: Array, wide: float) -> None:
        colour = np.array(PAINT[paint]) * (1 - worn) + 96 * worn
        n = len(start)
        left, right = np.full(n, x - wide / 2), np.full(n, x + wide / 2)
        level = np.full(n, 0.0)
        corners = [(left, start), (right, start), (right, end), (left, end)]
        quads = np.stack([np.stack([u, level, v], axis=-1) for u, v in corners], axis=1)
        mesh.add(quads, colour, _UP)

    def dashes(dash: float, gap: float) -> tuple[Array, Array]:
        start = np.arange(_REACH_M[0] + phase * (dash + gap), _REACH_M[1], dash + gap, dtype=np.float32)
        return start, start + np.float32(dash)

    whole = dashes(8.0, 0.0)
    if roads.centre:
        stripe(0.0, roads.centre, *dashes(roads.dash, roads.gap), wide=0.14)
    edge = half_width - 0.25
    for x in (-edge, edge):
        if roads.edge == "w":
            stripe(x, "w", *whole, wide=0.13)
        elif roads.edge == "d":
            stripe(x, "w", *dashes(1.5, 1.5), wide=0.16)
        elif roads.edge == "y":
            stripe(x, "y", *whole, wide=0.10)
            stripe(x * (1 - 0.22 / edge), "y", *whole, wide=0.10)
    return mesh


def bollard(kind: str, x: float, z: float, light: Light) -> Mesh:
    """Return a delineator post with its reflector."""
    body, band = PAINT[kind[0]], PAINT[kind[1]]
    mesh = Mesh((x, z), light)
    mesh.box((x - 0.07, 0, z - 0.07), (x + 0.07, 1.0, z + 0.07), body)
    mesh.box((x - 0.08, 0.68, z - 0.08), (x + 0.08, 0.88, z + 0.08), band)
    return mesh


def fence(kind: str, side: int, x: float, z: float, length: float, light: Light, green: Colour) -> Mesh:
    """Return a stretch of hedge, stone wall, rendered wall, pickets or mesh along the road."""
    mesh = Mesh((x, z + length / 2), light)
    far = x + side * 0.5
    low, high = min(x, far), max(x, far)
    if kind == "hedge":
        mesh.box((low, 0, z), (high + 0.4, 1.5, z + length), (0.72 * green[0], 0.78 * green[1], 0.72 * green[2]), green)
    elif kind == "stone":
        mesh.box((low, 0, z), (high, 1.0, z + length), (146, 140, 130), (170, 164, 154))
    elif kind == "wall":
        mesh.box((low, 0, z), (high, 1.9, z + length), (236, 228, 210), (196, 120, 84))
    else:
        post: Colour = (232, 232, 228) if kind == "picket" else (104, 112, 108)
        start = np.arange(z, z + length, 0.32 if kind == "picket" else 2.2, dtype=np.float32)
        wide = np.float32(0.16 if kind == "picket" else 0.08)
        rails = np.array([0.35, 0.8] if kind == "picket" else [0.2, 0.55, 0.9, 1.25], dtype=np.float32)
        tall = np.float32(1.05 if kind == "picket" else 1.35)
        upright = _standing(x, start, start + wide, np.zeros_like(start), np.full_like(start, tall))
        ends = np.full_like(rails, z), np.full_like(rails, z + length)
        level = _standing(x, *ends, rails, rails + np.float32(0.07))
        for normal in (-1.0, 1.0):
            mesh.add(upright, post, (normal, 0, 0))
            mesh.add(level, post, (normal, 0, 0))
    return mesh


def _standing(x: float, start: Array, end: Array, low: Array, high: Array) -> Array:
    """Return upright quadrilaterals (n, 4, 3) in the plane at `x`, from z `start` to `end` and y `low` to `high`."""
    across = np.full_like(start, x)
    corners = [(low, start), (low, end), (high, end), (high, start)]
    return np.stack([np.stack([across, y, z], axis=-1) for y, z in corners], axis=1)


def car(x: float, z: float, paint: Colour, plates: tuple[Colour, Colour], light: Light, face: int) -> Mesh:
    """Return a parked car; with `face` 1 its rear points towards smaller z."""
    mesh = Mesh((x, z), light)
    half, length = 0.88, 4.2
    dark: Colour = (24, 24, 26)
    for end in (0.75, length - 0.75):
        mesh.box((x - half, 0, z + end - 0.33), (x + half, 0.62, z + end + 0.33), dark)
    mesh.box((x - half, 0.28, z), (x + half, 0.92, z + length), paint)
    roof = [(x - 0.7, 1.45, z + 1.1), (x + 0.7, 1.45, z + 1.1), (x + 0.7, 1.45, z + 3.0), (x - 0.7, 1.45, z + 3.0)]
    foot = [
        (x - half, 0.92, z + 0.35),
        (x + half, 0.92, z + 0.35),
        (x + half, 0.92, z + 3.6),
        (x - half, 0.92, z + 3.6),
    ]
    glass: Colour = (58, 66, 76)
    windows = ((0, 1, (0.0, 0.5, -0.86)), (1, 2, (0.95, 0.3, 0.0)), (2, 3, (0.0, 0.5, 0.86)), (3, 0, (-0.95, 0.3, 0.0)))
    for a, b, outwards in windows:
        mesh.add([foot[a], foot[b], roof[b], roof[a]], glass, outwards)
    mesh.add(roof, paint, _UP)
    back, front = plates[1], plates[0]
    for at, normal, rear in ((z - 0.01, -1.0, face > 0), (z + length + 0.01, 1.0, face < 0)):
        lamp: Colour = (180, 26, 28) if rear else (246, 244, 226)
        plates_at = [(x - 0.26, 0.5, 0.26, 0.13, back if rear else front)]
        for left, low, wide, tall, colour in [
            *plates_at,
            (x - 0.82, 0.62, 0.13, 0.2, lamp),
            (x + 0.56, 0.62, 0.13, 0.2, lamp),
        ]:
            corners = [
                (left, low, at),
                (left + 2 * wide, low, at),
                (left + 2 * wide, low + tall, at),
                (left, low + tall, at),
            ]
            mesh.add(corners, colour, (0, 0, normal))
    return mesh


def shelter(livery: str, side: int, x: float, z: float, light: Light) -> Mesh:
    """Return a bus shelter with a post box beside it, in the colours of the country."""
    first, second = PAINT[livery[0]], PAINT[livery[1]]
    mesh = Mesh((x, z + 1.5), light)
    back = x + side * 1.3
    glass: Colour = (170, 190, 198)
    thin = 0.06
    mesh.box((back - thin, 0.0, z), (back + thin, 2.3, z + 3.6), second)
    mesh.box((min(x, back), 0.3, z), (max(x, back), 2.3, z + thin), glass)
    mesh.box((min(x, back), 0.3, z + 3.6 - thin), (max(x, back), 2.3, z + 3.6), glass)
    mesh.box((min(x, back) - 0.15, 2.3, z - 0.2), (max(x, back) + 0.15, 2.62, z + 3.8), first)
    mesh.box((x - 0.3, 0.0, z + 4.6), (x + 0.3, 1.45, z + 5.1), first)
    mesh.box((x - 0.31, 1.05, z + 4.59), (x + 0.31, 1.2, z + 5.11), second)
    return mesh


def draw_pole(
    draw: ImageDraw.ImageDraw, camera: Camera, light: Light, at: tuple[float, float], kind: str, scale: float
) -> None:
    """Draw a utility pole with its arm, or a street lamp."""
    height = 7.5 if kind == "lamp" else 8.5
    colour: Colour = {"wood": (104, 82, 62), "concrete": (176, 172, 164), "steel": (120, 130, 130)}.get(
        kind, (96, 100, 104)
    )
    points = [[at[0], y, at[1]] for y in (0.0, height, height - 0.5)]
    seen = camera.to_camera(points)
    if seen[0, 2] < 1.5:
        return
    (x0, y0), (x1, y1), (_, y2) = camera.to_pixels(seen, scale).tolist()
    size = camera.focal * scale / float(seen[0, 2])
    if not -size * 2 < x0 < SIZE * scale + size * 2:
        return
    fill = faded(light, light.on(colour, (0.5, 0, -0.5)), float(np.linalg.norm(seen[0])))
    wide = max(size * (0.16 if kind == "concrete" else 0.11), 0.5)
    draw.polygon([x0 - wide, y0, x0 + wide, y0, x1 + wide * 0.7, y1, x1 - wide * 0.7, y1], fill=fill)
    if kind == "lamp":
        reach = size * (1.4 if at[0] < camera.x else -1.4)
        draw.line([x1, y1, x1 + reach, y1 - size * 0.2], fill=fill, width=max(int(wide), 1))
        draw.ellipse([x1 + reach - size * 0.3, y1 - size * 0.3, x1 + reach + size * 0.3, y1], fill=fill)
    else:
        reach = size * 0.9
        draw.line([x1 - reach, y2, x1 + reach, y2], fill=fill, width=max(int(wide * 0.8), 1))


def draw_wires(draw: ImageDraw.ImageDraw, camera: Camera, light: Light, x: float, posts: Array, scale: float) -> None:
    """Draw two sagging wires between the poles at z = posts."""
    for offset in (-0.8, 0.8):
        for z0, z1 in zip(posts[:-1].tolist(), posts[1:].tolist(), strict=True):
            along = np.linspace(0, 1, 7)
            sag = 8.0 - 0.8 * 4 * along * (1 - along)
            seen = camera.to_camera(np.stack([np.full(7, x + offset), sag, z0 + (z1 - z0) * along], axis=1))
            seen = seen[seen[:, 2] > 1.0]
            if len(seen) > 1:
                fill = faded(light, np.array([52, 52, 56], dtype=np.float32), float(seen[:, 2].mean()))
                draw.line(camera.to_pixels(seen, scale).ravel().tolist(), fill=fill, width=1)


def draw_sign(draw: ImageDraw.ImageDraw, camera: Camera, light: Light, sign: Sign, scale: float) -> None:
    """Draw a sign: its plate when the camera sees the front, else its grey back; only the post when seen edge-on."""
    seen = camera.to_camera([[sign.at[0], y, sign.at[1]] for y in (0.0, 2.3)])
    if seen[0, 2] < 2.0:
        return
    (x0, y0), (x, y) = camera.to_pixels(seen, scale).tolist()
    size = camera.focal * scale / float(seen[0, 2])
    if not -size * 2 < x < SIZE * scale + size * 2:
        return
    distance = float(np.linalg.norm(seen[0]))
    facing = float(np.cos(camera.yaw)) * -sign.face
    squeeze = abs(facing)
    draw.line(
        [x0, y0, x, y - size * 0.4],
        fill=faded(light, light.on((128, 130, 130), _UP), distance),
        width=max(int(size * 0.07), 1),
    )
    if squeeze < 0.25:
        return
    for colour, outline in _plate(sign.kind):
        shown = PAINT["s"] if facing < 0 else PAINT[colour]
        lit = faded(light, np.array(shown) * np.clip(light.sky + light.sun * 0.5, 0, 1.05), distance)
        points = [(x + u * size * squeeze, y - v * size) for u, v in outline]
        draw.polygon(points, fill=lit)


def _plate(kind: str) -> list[tuple[str, list[tuple[float, float]]]]:
    """Return the layers of a sign: letter of the paint, and outline in metres from the centre of the plate."""

    def ring(n: int, radius: float, turn: float) -> list[tuple[float, float]]:
        angle = np.arange(n) * 2 * np.pi / n + turn
        return list(zip((radius * np.cos(angle)).tolist(), (radius * np.sin(angle)).tolist(), strict=True))

    def bar(wide: float, tall: float, up: float = 0.0) -> list[tuple[float, float]]:
        return [(-wide, up - tall), (wide, up - tall), (wide, up + tall), (-wide, up + tall)]

    name, paint = kind.split(" ")
    ground, border = paint[-2:][0], paint[-1]
    mark = "k" if ground in "wy" else "w"
    layers = {
        "stop": [("w", ring(8, 0.48, np.pi / 8)), ("r", ring(8, 0.44, np.pi / 8)), ("w", bar(0.3, 0.08))],
        "priority": [("w", ring(4, 0.5, 0)), ("y", ring(4, 0.38, 0))],
        "limit": [("r", ring(16, 0.42, 0)), (border, ring(16, 0.31, 0)), ("k", bar(0.13, 0.13))],
        "crossing": [("b", bar(0.42, 0.42)), ("w", ring(3, 0.34, np.pi / 2)), ("k", bar(0.05, 0.12))],
        "town": [(border, bar(0.95, 0.42)), (ground, bar(0.86, 0.33)), (mark, bar(0.6, 0.08))],
    }
    if name in layers:
        return layers[name]
    if ground == "t":
        return [("r", ring(3, 0.58, np.pi / 2)), (border, ring(3, 0.38, np.pi / 2)), ("k", bar(0.05, 0.12))]
    return [("k", ring(4, 0.58, 0)), (border, ring(4, 0.54, 0)), ("k", bar(0.07, 0.2))]


def faded(light: Light, colour: Array, distance: float) -> tuple[int, int, int]:
    """Return a lit colour blended with the haze at a distance."""
    veil = 1 - np.exp(-distance / light.visibility)
    red, green, blue = np.clip(colour + (light.haze - colour) * veil, 0, 255).astype(int).tolist()
    return red, green, blue
