"""Houses in the styles of the regions, as meshes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geocell.quickstart.scenery.camera import Light, Mesh, Wall
from geocell.quickstart.scenery.regions import Colour
from geocell.quickstart.scenery.styles import STYLE, Style

_DETAIL_M = 40.0

GLASS: Colour = (66, 78, 92)


@dataclass(frozen=True)
class Plot:
    """A building plot: `side` 1 right or -1 left of the road, the front at `x`, from `z` for `width` metres."""

    side: int
    x: float
    z: float
    width: float


def house(
    name: str, plot: Plot, light: Light, tints: tuple[Colour, Colour], rng: np.random.Generator
) -> tuple[Mesh, float]:
    """Return a house and its height to the eaves in metres; `tints` are factors on the colours of walls and roof."""
    style = STYLE[name]
    depth = float(rng.uniform(8, 11))
    storeys = int(rng.integers(style.storeys[0], style.storeys[1] + 1))
    eaves = storeys * 2.9 + float(rng.uniform(0.2, 0.7))
    shade = float(rng.uniform(0.92, 1.06))
    wall_colour = _tinted(style.walls[int(rng.integers(len(style.walls)))], tints[0], shade)
    mesh = Mesh((plot.x + plot.side * depth / 2, plot.z + plot.width / 2), light)
    if style.chimney:  # first, because the roof and the gable are painted over its base
        _chimney(mesh, plot, depth, eaves, style, (140, 84, 66) if name in {"brick", "falun"} else (160, 146, 134), rng)
    for wall, length in _walls(plot, depth):
        mesh.add(wall.panels(0, length, 0, eaves), wall_colour, wall.normal)
        facade = bool(wall.normal[0])
        if facade or abs(plot.z) < _DETAIL_M:
            _boards(mesh, wall, length, eaves, style, wall_colour)
        _openings(mesh, wall, length, storeys, style, facade, rng)
    roof = style.roofs[int(rng.integers(len(style.roofs)))]
    _roof(mesh, plot, depth, eaves, style, _tinted(roof, tints[1], 1.0), wall_colour)
    return mesh, eaves


def _tinted(colour: Colour, tint: Colour, shade: float) -> Colour:
    return colour[0] * tint[0] * shade, colour[1] * tint[1] * shade, colour[2] * tint[2] * shade


def _walls(plot: Plot, depth: float) -> list[tuple[Wall, float]]:
    """Return the two side walls and the front, each with its length; the corner is the left one from outside."""
    side, x, z, width = plot.side, plot.x, plot.z, plot.width
    back = x + side * depth
    along_x = np.array([1, 0, 0], dtype=np.float32)
    along_z = np.array([0, 0, 1], dtype=np.float32)
    low = np.array([min(x, back), 0, z], dtype=np.float32)
    high = np.array([min(x, back), 0, z + width], dtype=np.float32)
    front = np.array([x, 0, z], dtype=np.float32)
    return [
        (Wall(low, along_x, -along_z), depth),
        (Wall(high, along_x, along_z), depth),
        (Wall(front, along_z, -side * along_x), width),
    ]


def _boards(mesh: Mesh, wall: Wall, length: float, height: float, style: Style, colour: Colour) -> None:
    """Add the texture of a wall: courses, boards, the joints of panels, a plinth."""
    dark = tuple(0.9 * value for value in colour)
    if style.boards == "h":
        low = np.arange(0.5, height - 0.2, 0.75)
        mesh.add(wall.panels(0, length, low, low + 0.09), dark, wall.normal)
    elif style.boards == "v":
        left = np.arange(0.4, length - 0.2, 0.8)
        mesh.add(wall.panels(left, left + 0.08, 0, height), dark, wall.normal)
        mesh.add(wall.panels([0, length - 0.2], [0.2, length], 0, height), style.frame, wall.normal)
    elif style.boards == "p":
        low = np.arange(2.9, height, 2.9)
        mesh.add(wall.panels(0, length, low, low + 0.12), dark, wall.normal)
        left = np.arange(3.2, length - 1, 3.2)
        mesh.add(wall.panels(left, left + 0.1, 0, height), dark, wall.normal)
    elif style.boards == "t":
        beam = (92, 62, 46)
        left = np.arange(0.0, length - 0.1, 1.6)
        mesh.add(wall.panels(left, left + 0.16, 2.7, height), beam, wall.normal)
        low = np.arange(2.7, height, 1.45)
        mesh.add(wall.panels(0, length, low, low + 0.16), beam, wall.normal)
    if style.plinth:
        mesh.add(wall.panels(0, length, 0, 0.6), style.plinth, wall.normal)


def _openings(
    mesh: Mesh, wall: Wall, length: float, storeys: int, style: Style, facade: bool, rng: np.random.Generator
) -> None:
    """Add windows with frames, shutters, balconies and, in a façade, a door."""
    spacing = 3.2 if style.boards == "p" else float(rng.uniform(2.3, 3.0))
    columns = max(int(length / spacing), 1) if facade else (1 if length < 12 else 3)
    centre = (np.arange(columns) + 0.5) * (length / columns)
    at, floor = (grid.ravel() for grid in np.meshgrid(centre, np.arange(storeys)))
    low = floor * 2.9 + 0.95
    if facade:
        door = int(rng.integers(columns))
        at, low = (values[(floor > 0) | (np.arange(len(at)) % columns != door)] for values in (at, low))
    wide, tall = style.window[0] / 2, style.window[1]
    frame = 0.12
    mesh.add(
        wall.panels(at - wide - frame, at + wide + frame, low - frame, low + tall + frame), style.frame, wall.normal
    )
    mesh.add(wall.panels(at - wide, at + wide, low, low + tall), GLASS, wall.normal)
    mesh.add(wall.panels(at - wide, at + wide, low + tall * 0.62, low + tall), (104, 122, 140), wall.normal)
    mesh.add(wall.panels(at - 0.04, at + 0.04, low, low + tall), style.frame, wall.normal)
    if style.shutters:
        colour = style.shutters[int(rng.integers(len(style.shutters)))]
        leaf = wide * 0.95
        sides = np.concatenate([at - wide - frame - leaf, at + wide + frame])
        both = np.concatenate([low, low])
        mesh.add(wall.panels(sides, sides + leaf, both - 0.05, both + tall + 0.05), colour, wall.normal)
    if facade:
        mesh.add(wall.panels(centre[door] - 0.65, centre[door] + 0.65, 0, 2.25), style.frame, wall.normal)
        paint = ((92, 58, 40), (44, 72, 58), (60, 74, 104), (120, 44, 40))[int(rng.integers(4))]
        mesh.add(wall.panels(centre[door] - 0.5, centre[door] + 0.5, 0, 2.1), paint, wall.normal)
    if facade and style.balconies and storeys > 1:
        rows = np.repeat(np.arange(1, storeys), 2) * 2.9 + 0.1
        left = np.tile([length * 0.22, length * 0.68], storeys - 1)
        rail = style.balconies[int(rng.integers(len(style.balconies)))]
        mesh.add(wall.panels(left, left + length * 0.12, rows, rows + 1.0), rail, wall.normal)


def _roof(mesh: Mesh, plot: Plot, depth: float, eaves: float, style: Style, colour: Colour, wall: Colour) -> None:
    """Add the roof over the eaves, 0.4 m wider than the walls."""
    out = 0.4
    x0, x1 = sorted((plot.x, plot.x + plot.side * depth))
    z0, z1 = plot.z, plot.z + plot.width
    if style.roof == "flat":
        mesh.box((x0, eaves, z0), (x1, eaves + 0.5, z1), _tinted(wall, (0.93, 0.93, 0.93), 1.0), colour)
        return
    across = style.roof == "front"
    half = (z1 - z0 if across else x1 - x0) / 2
    rise = style.pitch * half
    tilt = np.array([1.0, style.pitch]) / np.hypot(1, style.pitch)
    sag = eaves - out * style.pitch
    inset = half * 0.85 if style.roof == "hip" else -out

    def point(u: float, y: float, v: float) -> tuple[float, float, float]:
        """Return a point from its position across the ridge, its height, and its position along the ridge."""
        return (v, y, u) if across else (u, y, v)

    u0, u1, v0, v1 = (z0, z1, x0, x1) if across else (x0, x1, z0, z1)
    middle = (u0 + u1) / 2
    for end, way in ((v0, -1), (v1, 1)):
        gable = [point(u0, eaves, end), point(u1, eaves, end), point(middle, eaves + rise, end - way * max(inset, 0))]
        slope = (0, 0.5, way * 0.86) if inset > 0 else (0, 0, way)
        normal = (slope[2], slope[1], 0) if across else slope
        mesh.add([*gable, gable[2]], colour if inset > 0 else wall, normal)
        if inset <= 0:
            _gable_window(mesh, gable, normal, style)
    for edge, way in ((u0 - out, -1), (u1 + out, 1)):
        ridge = [point(middle, eaves + rise, v1 - max(inset, -out)), point(middle, eaves + rise, v0 + max(inset, -out))]
        face = [point(edge, sag, v0 - out), point(edge, sag, v1 + out), *ridge]
        normal = (0, tilt[0], way * tilt[1]) if across else (way * tilt[1], tilt[0], 0)
        mesh.add(face, colour, normal)


def _chimney(
    mesh: Mesh, plot: Plot, depth: float, eaves: float, style: Style, colour: Colour, rng: np.random.Generator
) -> None:
    """Add a chimney on the ridge."""
    across = style.roof == "front"
    ridge = eaves + style.pitch * (plot.width if across else depth) / 2
    along = float(rng.uniform(0.25, 0.75))
    x = plot.x + plot.side * depth * (along if across else 0.5)
    z = plot.z + plot.width * (0.5 if across else along)
    mesh.box((x - 0.3, ridge - 1.0, z - 0.4), (x + 0.3, ridge + 0.9, z + 0.4), colour)


def _gable_window(mesh: Mesh, gable: list[tuple[float, float, float]], normal: object, style: Style) -> None:
    """Add a window under the ridge."""
    left, right, top = (np.array(corner) for corner in gable)
    along = (right - left) / max(float(np.linalg.norm(right - left)), 1e-6)
    rise = float(top[1] - left[1])
    if rise < 2.2:
        return
    foot = (left + right) / 2 + np.array([0, rise * 0.2, 0])
    for wide, tall, colour in ((0.55, 1.25, style.frame), (0.42, 1.1, GLASS)):
        up = np.array([0, tall, 0])
        mesh.add([foot - along * wide, foot + along * wide, foot + along * wide + up, foot - along * wide + up], colour,
                 np.asarray(normal))  # fmt: skip
