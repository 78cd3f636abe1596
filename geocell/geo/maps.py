"""What every map shares: the box it shows, what lies in it, its proportions, its colours. All of it is pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.geo.geodesy import Floats, as_latlon

if TYPE_CHECKING:
    from geocell.geo.shapes import Geometries

Box = tuple[float, float, float, float]
"""South, west, north, east in degrees; east is above 180 where the box goes on past ±180°."""

WORLD: Box = (-60.0, -180.0, 85.0, 180.0)
"""What a map shows when its points span more than half of the earth's longitudes: all but Antarctica and the pole."""

SEA, LAND, COUNTRY_LINE = "#e3ebf1", "#f7f5f0", "#8d867a"

ERROR_KM = (25.0, 200.0, 750.0)
"""Upper ends (included) of the error classes; the last class has none."""
ERROR_COLOURS = ("#1b5fa8", "#3fa0cf", "#ee8a3a", "#b3203a")
ERROR_LABELS = ("≤ 25 km", "≤ 200 km", "≤ 750 km", "> 750 km")

COLOURS = ("#fdf3c0", "#cfe3ae", "#8cc9a8", "#4aa8ae", "#2b7ba6", "#27508f", "#231d5c")
"""From few locations to many: lightness falls evenly, so that the order is seen without colour too."""


def extent(latlon: ArrayLike, margin: float = 0.06) -> Box:
    """Return the box around points.

    Args:
        latlon: (P, 2) degrees, P >= 1.
        margin: added on every side, as a fraction of the larger side, and at least half a degree.

    Returns:
        South, west, north, east in degrees, past ±180° where that is the shorter way around the points; `WORLD` when
        they span more than 180° of longitude either way, up to a pole where a point lies beyond it.
    """
    points = as_latlon(latlon)
    (south, west), (north, east) = points.min(axis=0), points.max(axis=0)
    if east - west > 180.0:
        lon = np.sort(points[:, 1])
        gap = int(np.argmax(np.diff(lon)))
        if lon[gap + 1] - lon[gap] < 180.0:
            return (-90.0 if south < WORLD[0] else WORLD[0], WORLD[1], 90.0 if north > WORLD[2] else WORLD[2], WORLD[3])
        west, east = lon[gap + 1], lon[gap] + 360.0
    pad = max(0.5, margin * max(north - south, east - west))
    return (
        max(-90.0, float(south - pad)),
        max(-180.0, float(west - pad)),
        min(90.0, float(north + pad)),
        float(east + pad) if east > 180.0 else min(180.0, float(east + pad)),
    )


def turns(lon: ArrayLike, box: Box) -> Floats:
    """Return what to add to longitudes in [-180, 180] for a map of a box: 0, or a whole turn where it goes past ±180°.

    Args:
        lon: (...) degrees.
        box: what the map shows.

    Returns:
        (...) degrees, by which each lies at most half a turn from the middle of such a box.
    """
    longitudes = np.asarray(lon, dtype=np.float64)
    if box[3] <= 180.0:
        return np.zeros_like(longitudes)
    return np.asarray(360.0 * np.round(((box[1] + box[3]) / 2.0 - longitudes) / 360.0), dtype=np.float64)


def boxes_within(box: Box) -> list[Box]:
    """Return the one or two boxes within ±180° that a box consists of."""
    south, west, north, east = box
    return [box] if east <= 180.0 else [(south, west, north, 180.0), (south, -180.0, north, east - 360.0)]


def shapes_in(shapes: Geometries, box: Box) -> Geometries:
    """Return shapes that are cut at ±180° as far as they lie in a box, in one piece where it goes on past ±180°.

    Args:
        shapes: (S,) valid polygons in (lon, lat) degrees.
        box: what a map shows.

    Returns:
        (S,) shapes whose longitudes are those of the box, some of them empty.
    """
    import shapely

    parts = [
        shapely.intersection(shapes, shapely.box(west, south, east, north))
        for south, west, north, east in boxes_within(box)
    ]
    if len(parts) == 1:
        return np.asarray(parts[0])
    beyond = shapely.transform(parts[1], lambda xy: np.add(xy, [360.0, 0.0]))
    return np.asarray(shapely.union(parts[0], beyond))


def is_world(box: Box) -> bool:
    """Return whether a box is a map of the world, which is not stretched."""
    return box[3] - box[1] > 180.0


def height_per_width(box: Box) -> float:
    """Return how high a map is that is stretched so that its middle latitude has its true shape."""
    south, west, north, east = box
    # one degree of latitude in degrees of longitude, at the middle latitude
    stretch = 1.0 if is_world(box) else 1.0 / max(0.1, float(np.cos(np.radians((south + north) / 2.0))))
    return stretch * (north - south) / (east - west)


def error_class(km: ArrayLike) -> NDArray[np.int64]:
    """Return the class of every error: the first of `ERROR_KM` that it does not exceed, or the last."""
    return np.searchsorted(np.asarray(ERROR_KM), np.asarray(km, dtype=np.float64), side="left").astype(np.int64)


class CountRange(NamedTuple):
    """The counts at the two ends of the colours, and whether some cells have more."""

    low: int
    high: int
    exceeded: bool


def count_range(*counts: NDArray[np.int64]) -> CountRange:
    """Return the range of the colours of one map or several: up to the fullest cells but for one in a hundred.

    Those few would take the colours from all others. Nearly equal counts do not get opposite colours.
    """
    low, most = max(1, min(int(c.min()) for c in counts)), max(int(c.max()) for c in counts)
    high = max(4 * low, *(int(np.quantile(c, 0.99, method="higher")) for c in counts))
    return CountRange(low, high, most > high)
