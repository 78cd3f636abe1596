"""Maps of a partition: its cells coloured by how many training locations they have, over country outlines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geocell.geo.geodesy import EARTH_RADIUS_KM
from geocell.geo.maps import shapes_in
from geocell.partitioners.cell_polygons import class_polygons
from geocell.plots.centroids import NOTE
from geocell.plots.grid import SIDE, Grid, height_per_width, is_world
from geocell.plots.panel import COUNTRY_LINE, LAND, SEA, countries_and_sea, shapes_patch
from geocell.plots.paths import Box, extent, require_box
from geocell.plots.style import (
    COLOURS,
    CountRange,
    count_range,
    new_figure,
    own_style,
    require_picture_name,
    save_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure
    from shapely.geometry.base import BaseGeometry

    from geocell.geo.geodesy import Floats
    from geocell.geo.shapes import Geometries
    from geocell.partitioners.base import Partition

    Land = tuple[Geometries, BaseGeometry]

EDGE = "#5b5f66"
KM_PER_DEGREE = EARTH_RADIUS_KM * np.pi / 180.0
"""Kilometres in one degree of latitude."""


def require_map_name(out: Path) -> None:
    """Raise ValueError unless a map of cells can be written to a file of this name."""
    if not is_page(out):
        require_picture_name(out, "a map must be written to a .png, .svg or .html file")


def is_page(out: Path) -> bool:
    """Return whether a map is written as a page, by its name."""
    return out.suffix.lower() in (".html", ".htm")


def draw_cells(out: Path, partition: Partition, title: str = "", *, bbox: Box | None = None, caption: str = "") -> Path:
    """Draw the cells of a partition, coloured by their training locations, over country outlines.

    Args:
        out: PNG or SVG picture, or an interactive HTML page that needs no network; an existing file is replaced.
        partition: one that assigns; a page may be of one that only decodes, whose centroids it shows as discs.
        title: what stands above the map; kind and number of cells when empty.
        bbox: south, west, north, east in degrees; by default the box around the cells' locations.
        caption: what a reader must know about the locations, below the map; how many, and from where, when empty.

    Returns:
        `out`.

    Raises:
        ImportError: when matplotlib is not installed, for a picture.
        ValueError: for another suffix, a bad `bbox`, or a partition that only decodes.
    """
    require_map_name(out)
    box = box_of(partition) if bbox is None else require_box(bbox)
    heading = title or f"{partition.kind}: {len(partition):,} cells"
    caption = caption or (_origin(partition) if partition.can_assign else NOTE)
    if is_page(out):
        from geocell.plots.web import write_page

        return write_page(out, partition, heading, box, caption)
    return _draw(out, [(heading, partition)], box, caption)


def draw_cell_maps(
    out: Path, panels: Sequence[tuple[str, Partition]], *, bbox: Box | None = None, caption: str = ""
) -> Path:
    """Draw the cells of several partitions of the same part of the earth side by side, four in a row, in one scale.

    Args:
        out: PNG or SVG picture; an existing file is replaced.
        panels: title and partition of each map, at least one.
        bbox: south, west, north, east in degrees; by default the box around the locations of the first partition.
        caption: what a reader must know about the locations, below the maps.

    Returns:
        `out`.

    Raises:
        ImportError: when matplotlib is not installed.
        ValueError: for another suffix, no panel, a bad `bbox`, or a partition that only decodes.
    """
    require_picture_name(out)
    if not panels:
        raise ValueError("a picture needs at least one map, got none: pass a title and a partition.")
    return _draw(out, panels, box_of(panels[0][1]) if bbox is None else require_box(bbox), caption)


def _origin(partition: Partition) -> str:
    source = partition.fitted_on.get("source")
    return f"{int(partition.counts.sum()):,} training locations" + (f" from {source}" if source else "")


def box_of(partition: Partition) -> Box:
    """Return the box around the training locations of all cells, roughly: centroids and the radii that are known."""
    lat, lon = partition.centroids.T
    reach = np.minimum(np.nan_to_num(partition.radius_km, nan=0.0) / KM_PER_DEGREE, 15.0)
    across = np.minimum(reach / np.maximum(np.cos(np.radians(lat)), 0.1), 15.0)
    corners = [np.stack((lat + s * reach, lon + t * across), axis=1) for s in (-1, 1) for t in (-1, 1)]
    south_north, west_east = np.concatenate(corners).T
    west_east -= 360.0 * np.round(west_east / 360.0)
    return extent(np.stack((np.clip(south_north, -90.0, 90.0), west_east), axis=1), margin=0.03)


def _draw(out: Path, panels: Sequence[tuple[str, Partition]], box: Box, caption: str) -> Path:
    polygons = [class_polygons(partition) for _, partition in panels]
    counts = [np.maximum(partition.counts, 1) for _, partition in panels]
    with own_style():
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import LinearSegmentedColormap, LogNorm

        grid = _grid(box, len(panels))
        figure = new_figure(*grid.size)
        colours = LinearSegmentedColormap.from_list("cells", COLOURS)
        shown = count_range(*counts)
        norm = LogNorm(shown.low, shown.high, clip=True)
        land = countries_and_sea(box)
        for i, (title, _) in enumerate(panels):
            axes = figure.add_axes(grid.panel(i))
            _draw_map(axes, polygons[i], colours(norm(counts[i])), box, grid.width, land)
            size = 12 if len(panels) == 1 else 10
            axes.annotate(
                title,
                (0, 1),
                (0, 6),
                textcoords="offset points",
                xycoords="axes fraction",
                fontsize=size,
                fontweight="bold",
                color="#111111",
            )
        _draw_below(figure, grid, shown, ScalarMappable(norm, colours), caption)
        return save_figure(figure, out)


def _grid(box: Box, n_panels: int) -> Grid:
    """Lay out `n_panels` maps of `box` above a scale of colours and a caption."""
    ratio = height_per_width(box)
    columns = min(4, n_panels)
    width = 10.0 if is_world(box) else float(np.clip(8.0 / ratio, 5.0, 9.5))
    if columns > 1:
        width *= 0.75 if columns == 2 else 1.45 / columns
    return Grid(columns, -(-n_panels // columns), width, width * ratio, gap=0.15, head=0.4, top=0.0, bottom=0.75)


def _draw_below(figure: Figure, grid: Grid, shown: CountRange, colours: ScalarMappable, caption: str) -> None:
    width, height = grid.size
    left = SIDE / width
    bar = figure.add_axes((1 - left - 2.4 / width, 0.45 / height, 2.4 / width, 0.13 / height))
    _draw_bar(figure.colorbar(colours, cax=bar, orientation="horizontal").ax, shown)
    note = "training locations in a cell"
    figure.text(1 - left - 2.5 / width, 0.47 / height, note, ha="right", fontsize=8.5, color="#333333")
    figure.text(left, 0.12 / height, caption, fontsize=8, color="#555555")


def _draw_map(axes: Axes, polygons: Geometries, colours: Floats, box: Box, width: float, land: Land) -> None:
    import shapely
    from matplotlib.collections import PathCollection

    south, west, north, east = box
    axes.set(xlim=(west, east), ylim=(south, north), xticks=[], yticks=[], facecolor=LAND)
    for spine in axes.spines.values():
        spine.set(color="#b9b4aa", linewidth=0.8)
    if east > 180.0:
        polygons = shapes_in(polygons, box)
    shown = np.flatnonzero(shapely.intersects(polygons, shapely.box(west, south, east, north)))
    paths = [shapes_patch([polygons[i]]).get_path() for i in shown]
    # Borders as wide as a share of the typical cell in inches, so that thousands of cells still show their colours.
    typical = width * float(np.median(np.sqrt(shapely.area(polygons[shown])))) / (east - west) if len(shown) else 1.0
    line = float(np.clip(4.0 * typical, 0.08, 0.6))
    axes.add_collection(
        PathCollection(paths, facecolors=colours[shown], edgecolors=EDGE, linewidths=line, zorder=1), autolim=False
    )
    countries, sea = land
    axes.add_artist(shapes_patch([sea], facecolor=SEA, edgecolor="none", alpha=0.82, zorder=2))
    axes.add_artist(shapes_patch(countries, facecolor="none", edgecolor=COUNTRY_LINE, linewidth=0.5, zorder=3))
    axes.set(xlim=(west, east), ylim=(south, north))


def _draw_bar(axes: Axes, shown: CountRange) -> None:
    """Write the ends of the range and the powers of ten between them under the bar."""
    span = shown.high / shown.low
    powers = [10**n for n in range(12) if shown.low * span**0.16 < 10**n < shown.high / span**0.28]  # room for the ends
    texts = [f"{tick:,}" for tick in (shown.low, *powers)]
    texts.append(f"{'≥ ' if shown.exceeded else ''}{shown.high:,}")
    axes.set_xticks([shown.low, *powers, shown.high], texts, fontsize=8)
    axes.get_xticklabels()[0].set_horizontalalignment("left")
    axes.get_xticklabels()[-1].set_horizontalalignment("right")
    axes.set_xticks([], minor=True)
    axes.tick_params(length=2.5, pad=2)
