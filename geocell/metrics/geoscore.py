"""GeoScore: the points of a round of GeoGuessr on its world map, as the field reports them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

MOST_POINTS = 5000.0
SCALE_KM = 1492.7


def geoscore_points(distances_km: ArrayLike, *, rounded: bool = False) -> NDArray[np.float64]:
    """Return the points of each answer, 5000·exp(−d / 1492.7 km).

    The formula is that of PIGEON (Haas et al., CVPR 2024, section 4) and of OSV-5M (Astruc et al., CVPR 2024), which
    average it as it is; the game shows whole points, and who averages those says so.

    Args:
        distances_km: (P,) km, at least 0.
        rounded: whether each answer's points are rounded to the nearest whole number, as the game shows them.

    Returns:
        (P,) points from 0 to 5000.
    """
    points = MOST_POINTS * np.exp(-np.asarray(distances_km, dtype=np.float64) / SCALE_KM)
    # Halves go up, as in the game; numpy's rint would take them to the even neighbour.
    return np.asarray(np.floor(points + 0.5) if rounded else points)


def geoscore(distances_km: ArrayLike, *, rounded: bool = False) -> float:
    """Return the mean points of (P,) answers, P >= 1; see `geoscore_points`.

    >>> geoscore([0.0, 0.0])
    5000.0
    """
    return float(geoscore_points(distances_km, rounded=rounded).mean())
