"""Small maps as inline SVG, for notebooks: marks over the outlines of countries, in a bounded number of bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from geocell.geo.geodesy import Floats, as_latlon
from geocell.geo.maps import COUNTRY_LINE, LAND, SEA, Box, extent, height_per_width, shapes_in, turns

WIDTH = 360
"""Pixels."""
_LOWEST, _HIGHEST = 140, 420


@dataclass(frozen=True, eq=False)
class Marks:
    """Points that are drawn alike; of those within half a mark one is drawn.

    Attributes:
        latlon: (P, 2) degrees.
        colour: of CSS.
        size: diameter in pixels.
        hollow: whether only a ring is drawn.
    """

    latlon: ArrayLike
    colour: str
    size: float = 4.0
    hollow: bool = False


def map_svg(marks: Iterable[Marks], lines: Sequence[ArrayLike] = (), label: str = "map") -> str:
    """Return a map as an `<svg>` element that asks for nothing: land, then lines, then marks, the last ones on top.

    The map is plate carrée as the others; it has its own light ground, so that it looks the same on dark pages.

    Args:
        marks: of which at least one has a point.
        lines: (n, 2) degrees each, cut at ±180°.
        label: what the picture is for readers that do not see it: no markup.

    Raises:
        ValueError: when there is no point.
    """
    import html

    drawn = [(group, as_latlon(group.latlon)) for group in marks]
    points = np.concatenate([latlon for _, latlon in drawn]) if drawn else np.empty((0, 2))
    if not len(points):
        raise ValueError("a map needs at least one point, got none.")
    box = extent(points)
    height = int(np.clip(round(WIDTH * height_per_width(box)), _LOWEST, _HIGHEST))
    inside = [_path(_pixels(_moved(line, box, line[:, 1].mean()), box, height)) for line in map(as_latlon, lines)]
    ways = f'<path d="{"".join(inside)}" fill="none" stroke="#151515" stroke-opacity="0.45"/>' if inside else ""
    dots = [_dots(group, _pixels(_moved(latlon, box, latlon[:, 1]), box, height)) for group, latlon in drawn]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'role="img" aria-label="{html.escape(label)}" style="max-width:100%;height:auto;border-radius:4px">'
        f'<rect width="{WIDTH}" height="{height}" fill="{SEA}"/>'
        f'<path d="{_land(box, height)}" fill="{LAND}" stroke="{COUNTRY_LINE}" stroke-width="0.5"/>{ways}'
        f"{''.join(dots)}</svg>"
    )


def _moved(latlon: Floats, box: Box, lon: ArrayLike) -> Floats:
    """Return (P, 2) degrees moved by the whole turns of longitudes, which are those of each or of all together."""
    return np.stack((latlon[:, 0], latlon[:, 1] + turns(lon, box)), axis=1)


def _pixels(latlon: Floats, box: Box, height: int) -> Floats:
    """Return (P, 2) degrees as x, y in pixels, to a tenth."""
    south, west, north, east = box
    x = (latlon[:, 1] - west) * (WIDTH / (east - west))
    y = (north - latlon[:, 0]) * (height / (north - south))
    return np.asarray(np.round(np.stack((x, y), axis=1), 1), dtype=np.float64)


def _path(xy: Floats, *, closed: bool = False) -> str:
    """Return the corners of a line as path data."""
    steps = " ".join(f"{x:g},{y:g}" for x, y in xy.tolist())
    return f"M{steps}{'Z' * closed}"


def _dots(group: Marks, xy: Floats) -> str:
    """Return the marks as one path of dots, one for each half of a dot that has some."""
    step = max(1.0, group.size / 2.0)
    whole = np.unique(np.round(np.round(xy / step) * step).astype(np.int64), axis=0)
    if not len(whole):
        return ""
    dots = "".join(f"M{x},{y}h0" for x, y in whole.tolist())
    style = f'fill="none" stroke-linecap="round" stroke="{group.colour}" stroke-width="{group.size:g}"'
    if not group.hollow:
        return f'<path d="{dots}" {style}/>'
    inner = style.replace(group.colour, "#ffffff").replace(f"{group.size:g}", f"{max(group.size - 2.5, 1.0):g}")
    return f'<path d="{dots}" {style}/><path d="{dots}" {inner}/>'


@lru_cache(maxsize=16)
def _land(box: Box, height: int) -> str:
    """Return the outlines of countries in a box as path data, as fine as the pixels show."""
    import shapely

    from geocell.geo.countries import valid_country_shapes

    south, west, north, east = box
    pixel = (east - west) / WIDTH
    sides = (south - pixel, west - pixel, north + pixel, east + pixel)
    if east > 180.0:
        shapes = shapes_in(valid_country_shapes(), sides)
    else:
        shapes = shapely.clip_by_rect(valid_country_shapes(), *(sides[i] for i in (1, 0, 3, 2)))
    parts = shapely.get_parts(shapes)
    parts = shapely.simplify(parts[shapely.area(parts) > 2.0 * pixel**2], 0.6 * pixel)
    rings = [shapely.get_coordinates(ring)[:-1, ::-1] for ring in shapely.get_rings(parts)]
    return "".join(_path(_pixels(ring, box, height), closed=True) for ring in rings if len(ring) > 2)
