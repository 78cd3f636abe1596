"""The picture: maps side by side, with a title, one legend and a caption, written as PNG or SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from geocell.plots.grid import SIDE, Grid, height_per_width, is_world
from geocell.plots.panel import (
    CENTROID,
    ERROR_COLOURS,
    ERROR_LABELS,
    PREDICTED_COLOUR,
    MapPanel,
    draw_panel,
    find_land,
)
from geocell.plots.paths import Box, extent, require_box
from geocell.plots.style import DPI, new_figure, own_style, require_picture_name, save_figure

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from geocell.partitioners.base import Partition

_GAP = 0.3  # inches between two maps


def draw_map(
    out: Path,
    truth: ArrayLike,
    predicted: ArrayLike,
    partition: Partition,
    title: str,
    subtitle: str = "",
    *,
    bbox: Box | None = None,
    caption: str = "",
) -> Path:
    """Draw true and predicted locations and the cells of one partition.

    Args:
        out: the picture to write, PNG or SVG by its suffix; an existing file is replaced.
        truth: (P, 2) degrees.
        predicted: (P, 2) degrees, row by row the answers to `truth`.
        partition: whose cells are drawn; one that cannot assign shows its centroids only.
        title: what stands above the map.
        subtitle: a second, smaller line.
        bbox: south, west, north, east in degrees; by default the box around all points.
        caption: what a reader must know about the data, below the map.

    Returns:
        `out`.

    Raises:
        ImportError: when matplotlib is not installed.
        ValueError: for another suffix, no points, a wrong shape, or a bad `bbox`.
    """
    return draw_maps(out, [MapPanel(truth, predicted, partition, title, subtitle)], bbox=bbox, caption=caption)


def draw_maps(
    out: Path, panels: Sequence[MapPanel], title: str = "", *, bbox: Box | None = None, caption: str = ""
) -> Path:
    """Draw several maps of the same part of the earth in one picture, two in a row.

    Args:
        out: the picture to write, PNG or SVG by its suffix; an existing file is replaced.
        panels: at least one.
        title: what stands above all of them.
        bbox: south, west, north, east in degrees; by default the box around the points of all panels.
        caption: what a reader must know about the data, below the maps.

    Returns:
        `out`.

    Raises:
        ImportError: when matplotlib is not installed.
        ValueError: for another suffix, no panel, no points, a wrong shape, or a bad `bbox`.
    """
    require_picture_name(out)
    if not panels:
        raise ValueError("a picture needs at least one panel, got none: pass a MapPanel.")
    points = [panel.points() for panel in panels]
    box = extent(np.vstack([np.vstack(pair) for pair in points])) if bbox is None else require_box(bbox)
    with own_style():
        grid = _grid(box, len(panels), title)
        figure = new_figure(*grid.size)
        land = find_land(box, (int(grid.height * DPI), int(grid.width * DPI)))
        line = 0.3 if is_world(box) else 0.5
        pale = [
            draw_panel(figure.add_axes(grid.panel(i)), panel, *points[i], box, land, line)
            for i, panel in enumerate(panels)
        ]
        captions = [caption, "Pale: in no known cell, assigned by the partition's fallback rule." if any(pale) else ""]
        _write_around(figure, grid, title, "  ".join(filter(None, captions)))
        return save_figure(figure, out)


def _grid(box: Box, n_panels: int, title: str) -> Grid:
    """Lay out `n_panels` maps of `box` between a title and a legend with a caption."""
    ratio = height_per_width(box)
    columns = min(2, n_panels)
    widest, highest = (11.0, 6.0) if is_world(box) else (8.0, 9.0)
    width = min(widest, highest / ratio) if columns == 1 else min(widest * 0.65, highest * 0.65 / ratio)
    width = max(width, (7.5 - _GAP * (columns - 1)) / columns)  # room for the legend below
    top = 0.5 if title else 0.1
    return Grid(columns, -(-n_panels // columns), width, width * ratio, gap=_GAP, head=0.55, top=top, bottom=0.68)


def _write_around(figure: Figure, grid: Grid, title: str, caption: str) -> None:
    """Write title, legend and caption."""
    from matplotlib.lines import Line2D

    width, height = grid.size
    left = SIDE / width
    figure.text(left, 1 - 0.33 / height, title, fontsize=14, fontweight="bold", color="#111111", va="baseline")
    no_line: dict[str, Any] = {"linestyle": "none", "color": "none"}
    handles: list[Artist] = [
        Line2D([], [], marker="o", mfc=colour, mec="white", markersize=7.5, label=label, **no_line)
        for colour, label in zip(ERROR_COLOURS, ERROR_LABELS, strict=True)
    ]
    handles.append(Line2D([], [], marker="x", mec=PREDICTED_COLOUR, markersize=5.5, label="answer", **no_line))
    handles.append(Line2D([], [], marker="o", mec=CENTROID, markersize=5, label="cell centroid", **no_line))
    bottom = 0.5 / height
    style = {"frameon": False, "borderpad": 0.0, "borderaxespad": 0.0, "handletextpad": 0.1, "columnspacing": 1.3}
    figure.text(left, bottom, "true location, by error:", color="#333333", va="center")
    start = left + 1.5 / width
    figure.legend(handles=handles, loc="center left", bbox_to_anchor=(start, bottom), ncols=len(handles), **style)
    figure.text(left, 0.18 / height, caption, fontsize=8, color="#555555", va="baseline")
