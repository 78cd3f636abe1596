"""One function that draws the cells of whatever has some."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from geocell.partitioners.base import Partition
from geocell.plots.cells import draw_cells, is_page, require_map_name
from geocell.plots.centroids import draw_centroids
from geocell.plots.paths import Box, require_box


class HasCells(Protocol):
    """A head, a combination or a zero-shot classifier."""

    @property
    def partition(self) -> Partition:
        """The cells."""
        ...


def plot(
    cells: Partition | HasCells, out: Path | str, title: str = "", *, bbox: Box | None = None, caption: str = ""
) -> Path:
    """Draw cells over country outlines, coloured by their training locations.

    Of cells that are known by their centroids alone, as those of imported heads are, these are drawn.

    Args:
        cells: a partition, or what answers with one: a head, say.
        out: .png or .svg picture, or .html page to move about in; an existing file is replaced.
        title: what stands above the map; kind and number of cells otherwise.
        bbox: south, west, north, east in degrees; the box around the training locations otherwise.
        caption: what stands below the map; how many training locations from where otherwise.

    Returns:
        `out`.

    Raises:
        ImportError: without matplotlib, for a picture.
        ValueError: for another kind of file, or a box that is none.
    """
    path = Path(out)
    require_map_name(path)
    if bbox is not None:
        require_box(bbox)
    partition = cells if isinstance(cells, Partition) else cells.partition
    draw = draw_cells if partition.can_assign or is_page(path) else draw_centroids
    return draw(path, partition, title, bbox=bbox, caption=caption)
