"""The cells of a partition as an image: which cell every pixel is in, and a colour for every cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geocell.geo.geodesy import Floats
from geocell.plots.paths import Box

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from geocell.partitioners.base import Partition

Ints = NDArray[np.int64]

CELL_COLOURS = ("#e6dcc3", "#cfd8c4", "#e3cfc6", "#d0d5de", "#ddd3df", "#c9d9d8")
CELL_LINE = "#ffffff"
NO_CELL = -1
_FAINT = 0.4
"""Share of its colour that a cell keeps where the fallback rule, and not the cell itself, answers."""


def pixel_centres(box: Box, shape: tuple[int, int]) -> tuple[Floats, Floats]:
    """Return the latitudes of the rows (north to south) and the longitudes of the columns (west to east).

    Args:
        box: south, west, north, east in degrees.
        shape: rows and columns.
    """
    south, west, north, east = box
    rows, columns = shape
    lat = north - (np.arange(rows) + 0.5) * (north - south) / rows
    lon = west + (np.arange(columns) + 0.5) * (east - west) / columns
    return lat, lon


def pixels_near(area: BaseGeometry, box: Box, shape: tuple[int, int], reach: int = 3) -> NDArray[np.bool_]:
    """Return which pixels lie in an area, or up to `reach` pixels beside one that does.

    Args:
        area: polygons in (lon, lat) degrees.
        box: south, west, north, east in degrees.
        shape: rows and columns.
        reach: number of pixels.

    Returns:
        (rows, columns) bool.
    """
    import shapely
    from scipy.ndimage import binary_dilation

    lat, lon = pixel_centres(box, shape)
    shapely.prepare(area)
    inside = shapely.contains_xy(area, *np.meshgrid(lon, lat))
    return np.asarray(binary_dilation(inside, iterations=reach))


def cell_raster(partition: Partition, box: Box, asked: NDArray[np.bool_]) -> tuple[Ints, NDArray[np.bool_]]:
    """Return which cell every pixel of a box is in.

    Args:
        partition: one that can assign.
        box: south, west, north, east in degrees.
        asked: (rows, columns) pixels to ask for; the others get no cell.

    Returns:
        (rows, columns) cells with `NO_CELL` for none, and whether the fallback rule chose the cell.
    """
    lat, lon = pixel_centres(box, (asked.shape[0], asked.shape[1]))
    grid_lat, grid_lon = np.meshgrid(lat, lon, indexing="ij")
    raster = np.full(asked.shape, NO_CELL, dtype=np.int64)
    fallback = np.zeros(asked.shape, dtype=bool)
    if asked.any():
        asked_lon = grid_lon[asked]
        asked_lon = np.where(asked_lon > 180.0, asked_lon - 360.0, asked_lon)
        found = partition.locate(np.stack((grid_lat[asked], asked_lon), axis=1))
        raster[asked] = np.where(found.cells >= 0, found.cells, NO_CELL)
        fallback[asked] = found.fallback
    return raster, fallback


def cell_image(raster: Ints, fallback: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the image of a raster: neighbouring cells in different pastel colours, with lines between them.

    Args:
        raster: (rows, columns) cells, `NO_CELL` for none.
        fallback: (rows, columns) where the colour is paler.

    Returns:
        (rows, columns, 4) red, green, blue and opacity in 0 … 1; transparent where there is no cell.
    """
    from matplotlib.colors import to_rgb, to_rgba_array

    palette = to_rgba_array(CELL_COLOURS).astype(np.float32)
    colours = np.zeros(int(raster.max(initial=0)) + 1, dtype=np.int64)
    for cell, colour in colour_cells(raster).items():
        colours[cell] = colour
    image = palette[colours[np.maximum(raster, 0)]]
    image[fallback, :3] = _FAINT * image[fallback, :3] + (1.0 - _FAINT)
    border = np.zeros(raster.shape, dtype=bool)
    border[:, :-1] |= raster[:, :-1] != raster[:, 1:]
    border[:-1] |= raster[:-1] != raster[1:]
    image[border, :3] = to_rgb(CELL_LINE)
    image[raster == NO_CELL, 3] = 0.0
    return image


def colour_cells(raster: Ints) -> dict[int, int]:
    """Choose a colour for every cell of a raster so that neighbours differ.

    Greedy colouring, cells with most neighbours first, each taking the colour that is rarest so far among those that
    no neighbour has (Welsh and Powell, 1967).

    Args:
        raster: (rows, columns) cell of every pixel, `NO_CELL` for none.

    Returns:
        Cell -> 0 … len(CELL_COLOURS)-1. Neighbours share a colour only where more cells touch than there are colours.
    """
    pairs = np.concatenate(
        [
            np.stack((raster[:, :-1].ravel(), raster[:, 1:].ravel()), axis=1),
            np.stack((raster[:-1].ravel(), raster[1:].ravel()), axis=1),
        ]
    )
    pairs = pairs[(pairs[:, 0] != pairs[:, 1]) & (pairs >= 0).all(axis=1)]
    pairs = np.unique(np.sort(pairs, axis=1), axis=0)
    neighbours: dict[int, set[int]] = {int(cell): set() for cell in np.unique(raster[raster >= 0])}
    for a, b in pairs.tolist():
        neighbours[a].add(b)
        neighbours[b].add(a)
    colours: dict[int, int] = {}
    used = [0] * len(CELL_COLOURS)
    for cell in sorted(neighbours, key=lambda cell: (-len(neighbours[cell]), cell)):
        taken = {colours[other] for other in neighbours[cell] if other in colours}
        free = [colour for colour in range(len(CELL_COLOURS)) if colour not in taken] or range(len(CELL_COLOURS))
        colours[cell] = min(free, key=lambda colour: (used[colour], colour))
        used[colours[cell]] += 1
    return colours
