"""One map: land and sea, the cells of a partition, true locations and the answers to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.geo.geodesy import Floats, as_latlon, distance_km
from geocell.geo.maps import COUNTRY_LINE, ERROR_COLOURS, ERROR_LABELS, LAND, SEA, error_class, shapes_in, turns
from geocell.plots.paths import Box, great_circle, split_at_antimeridian
from geocell.plots.rasters import cell_image, cell_raster, pixels_near

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import PathPatch
    from shapely.geometry.base import BaseGeometry

    from geocell.geo.shapes import Geometries
    from geocell.partitioners.base import Partition

    Land = tuple[Geometries, NDArray[np.bool_], BaseGeometry]

__all__ = [
    "CENTROID",
    "COUNTRY_LINE",
    "ERROR_COLOURS",
    "ERROR_LABELS",
    "LAND",
    "PREDICTED_COLOUR",
    "SEA",
    "MapPanel",
    "countries_and_sea",
    "draw_panel",
    "error_class",
    "find_land",
    "shapes_patch",
]

PREDICTED_COLOUR = "#151515"
CENTROID = "#6b655b"


@dataclass(frozen=True, eq=False)
class MapPanel:
    """One map of a picture.

    Attributes:
        truth: (P, 2) degrees.
        predicted: (P, 2) degrees, row by row the answers to `truth`.
        partition: whose cells are drawn.
        title: what stands above the map.
        subtitle: a second, smaller line.
    """

    truth: ArrayLike
    predicted: ArrayLike
    partition: Partition
    title: str
    subtitle: str = ""

    def points(self) -> tuple[Floats, Floats]:
        """Return the validated (P, 2) true and predicted coordinates, P >= 1."""
        truth, predicted = as_latlon(self.truth, "truth"), as_latlon(self.predicted, "predicted")
        if len(truth) != len(predicted) or not len(truth):
            raise ValueError(
                f"a map needs one prediction for every true location and at least one of them, "
                f"got {len(truth)} true and {len(predicted)} predicted."
            )
        return truth, predicted


def countries_and_sea(box: Box) -> tuple[Geometries, BaseGeometry]:
    """Return the outlines of countries in the box, and the sea as one geometry."""
    import shapely

    from geocell.geo.countries import valid_country_shapes

    south, west, north, east = box
    window = shapely.box(west, south, east, north)
    shapes = shapes_in(valid_country_shapes(), box)
    shapes = shapes[~shapely.is_empty(shapes)]
    return shapes, window.difference(shapely.union_all(shapes))


def find_land(box: Box, pixels: tuple[int, int]) -> Land:
    """Return the outlines of countries in the box, the pixels at or near land, and the sea as one geometry."""
    import shapely

    shapes, sea = countries_and_sea(box)
    south, west, north, east = box
    return shapes, pixels_near(shapely.box(west, south, east, north).difference(sea), box, pixels), sea


def draw_panel(
    axes: Axes,
    panel: MapPanel,
    truth: Floats,
    predicted: Floats,
    box: Box,
    land: Land,
    country_line: float,
) -> bool:
    """Draw one map, and return whether the fallback rule chose the cell of some of its pixels."""
    south, west, north, east = box
    axes.set(xlim=(west, east), ylim=(south, north), xticks=[], yticks=[], facecolor=LAND)
    for side in axes.spines.values():
        side.set(color="#b9b4aa", linewidth=0.8)
    shapes, land_pixels, sea = land
    pale = False
    if panel.partition.can_assign:
        raster, fallback = cell_raster(panel.partition, box, land_pixels)
        pale = bool(fallback.any())
        image = cell_image(raster, fallback)
        axes.imshow(image, extent=(west, east, south, north), origin="upper", aspect="auto", interpolation="bilinear")
    # artists, not patches: a patch's limits are computed segment by segment, which takes seconds for coastlines
    axes.add_artist(shapes_patch([sea], facecolor=SEA, edgecolor="none", zorder=2))
    axes.add_artist(shapes_patch(shapes, facecolor="none", edgecolor=COUNTRY_LINE, linewidth=country_line, zorder=3))
    _draw_centroids(axes, panel.partition, box)
    _draw_answers(axes, truth, predicted, box)
    axes.set(xlim=(west, east), ylim=(south, north))
    offset = (0, 20 if panel.subtitle else 7)
    style: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points", "va": "baseline"}
    axes.annotate(panel.title, (0, 1), xytext=offset, fontsize=11, fontweight="bold", color="#222222", **style)
    axes.annotate(panel.subtitle, (0, 1), xytext=(0, 6), fontsize=8.5, color="#555555", **style)
    return pale


def shapes_patch(shapes: Iterable[BaseGeometry], **style: str | float) -> PathPatch:
    """Return polygons of any kind as one matplotlib patch, holes included."""
    import shapely
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path as Outline

    parts = shapely.get_parts(shapely.get_parts(np.array(list(shapes), dtype=object)))
    rings = shapely.get_rings(parts[shapely.get_type_id(parts) == 3])
    outlines = [Outline(shapely.get_coordinates(ring), closed=True) for ring in rings]
    return PathPatch(Outline.make_compound_path(*outlines), **style)


def _draw_centroids(axes: Axes, partition: Partition, box: Box) -> None:
    counts = np.maximum(1, np.asarray(partition.counts))
    area = np.clip(90.0 * counts / max(1, counts.sum()) * 6.0, 1.5, 45.0)
    lat, lon = partition.centroids.T
    axes.scatter(
        lon + turns(lon, box),
        lat,
        s=area,
        marker="o",
        facecolors="none",
        edgecolors=CENTROID,
        linewidths=0.6,
        alpha=0.75,
        zorder=4,
    )


def _draw_answers(axes: Axes, truth: Floats, predicted: Floats, box: Box) -> None:
    from matplotlib.collections import LineCollection

    classes = error_class(distance_km(truth, predicted))
    scale = float(np.clip(np.sqrt(80.0 / len(truth)), 0.35, 1.25))
    lines, colours = [], []
    for a, b, kind in zip(truth, predicted, classes, strict=True):
        for piece in split_at_antimeridian(great_circle(a, b)):
            lines.append(piece[:, ::-1] + [turns(piece[:, 1].mean(), box), 0.0])
            colours.append(ERROR_COLOURS[kind])
    axes.add_collection(LineCollection(lines, colors=colours, linewidths=0.9 * scale, alpha=0.6, zorder=5))
    axes.scatter(
        predicted[:, 1] + turns(predicted[:, 1], box),
        predicted[:, 0],
        s=26 * scale**2,
        marker="x",
        c=PREDICTED_COLOUR,
        linewidths=1.1 * scale,
        zorder=6,
    )
    axes.scatter(
        truth[:, 1] + turns(truth[:, 1], box),
        truth[:, 0],
        s=30 * scale**2,
        c=[ERROR_COLOURS[kind] for kind in classes],
        edgecolors="white",
        linewidths=0.6 * scale,
        zorder=7,
    )
