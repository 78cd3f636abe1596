"""A map of the centroids of cells, for a partition that has nothing else: one that only decodes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geocell.geo.maps import turns
from geocell.plots.grid import height_per_width
from geocell.plots.panel import COUNTRY_LINE, LAND, SEA, countries_and_sea, shapes_patch
from geocell.plots.paths import Box, extent, require_box
from geocell.plots.style import new_figure, own_style, require_picture_name, save_figure

if TYPE_CHECKING:
    from geocell.partitioners.base import Partition

_WIDTH, _HEAD, _FOOT = 7.0, 0.4, 0.35  # inches


NOTE = "Centroids of the cells; where the cells end is not known."
"""What stands below a map of centroids."""


def draw_centroids(
    out: Path, partition: Partition, title: str = "", *, bbox: Box | None = None, caption: str = ""
) -> Path:
    """Draw the centroids of a partition over country outlines.

    Args:
        out: PNG or SVG picture; an existing file is replaced.
        partition: any.
        title: what stands above the map; the number of cells when empty.
        bbox: south, west, north, east in degrees; by default the box around the centroids.
        caption: what stands below it; that only the centroids are known when empty.

    Returns:
        `out`.

    Raises:
        ImportError: when matplotlib is not installed.
        ValueError: for another suffix, or a bad `bbox`.
    """
    require_picture_name(out)
    south, west, north, east = box = extent(partition.centroids) if bbox is None else require_box(bbox)
    height = float(np.clip(_WIDTH * height_per_width(box), 2.0, 10.0))
    total = height + _HEAD + _FOOT
    with own_style():
        figure = new_figure(_WIDTH + 0.5, total)
        axes = figure.add_axes((0.25 / (_WIDTH + 0.5), _FOOT / total, _WIDTH / (_WIDTH + 0.5), height / total))
        axes.set(xlim=(west, east), ylim=(south, north), xticks=[], yticks=[], facecolor=LAND)
        countries, sea = countries_and_sea(box)
        axes.add_artist(shapes_patch([sea], facecolor=SEA, edgecolor="none", zorder=1))
        axes.add_artist(shapes_patch(countries, facecolor="none", edgecolor=COUNTRY_LINE, linewidth=0.5, zorder=2))
        lat, lon = partition.centroids.T
        lon = lon + turns(lon, box)
        axes.scatter(lon, lat, s=float(np.clip(8000.0 / len(lat), 4.0, 30.0)), color="#27508f", linewidths=0, zorder=3)
        axes.set_title(title or f"{len(partition):,} cells", loc="left", fontsize=12, fontweight="bold")
        figure.text(0.25 / (_WIDTH + 0.5), 0.12 / total, caption or NOTE, fontsize=8, color="#555555")
        return save_figure(figure, out)
