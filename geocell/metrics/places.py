"""Places: locations whose coordinates agree so closely that they are not independent draws."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.geo.geodesy import as_latlon

PLACE_DEGREES = 0.01


def place_clusters(latlon: ArrayLike) -> NDArray[np.int64]:
    """Return the place of each location: those that share their coordinates to 0.01 degrees (about 1 km) are one.

    The longitudes 180 and −180 are one, and so are all longitudes at a pole. Neighbours on two sides of a border of
    the grid are two places.

    Args:
        latlon: (P, 2) degrees.

    Returns:
        (P,) numbers from 0, in the order of latitude, then longitude.

    Raises:
        ValueError: for invalid coordinates.
    """
    grid = np.rint(as_latlon(latlon, "locations") / PLACE_DEGREES).astype(np.int64)
    half, quarter = round(180 / PLACE_DEGREES), round(90 / PLACE_DEGREES)
    grid[:, 1] = (grid[:, 1] + half) % (2 * half) - half
    grid[np.abs(grid[:, 0]) == quarter, 1] = 0
    return np.asarray(np.unique(grid, axis=0, return_inverse=True)[1].reshape(-1), dtype=np.int64)
