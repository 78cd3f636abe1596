"""How near the locations of the other splits come to the training locations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocell.geo.geodesy import EARTH_RADIUS_KM, Floats, as_latlon, unit_vectors
from geocell.splits.splits import Splits


def nearest_km(latlon: Floats, train: Floats) -> Floats:
    """Return the (P,) distance of each location to the nearest training location, in km: the leak report's measure."""
    from scipy.spatial import cKDTree

    chords, _ = cKDTree(unit_vectors(train)).query(unit_vectors(latlon))
    return np.asarray(2.0 * EARTH_RADIUS_KM * np.arcsin(np.minimum(chords / 2.0, 1.0)))


def leak_report(splits: Splits, ids: Sequence[str] | NDArray[Any], latlon: Floats) -> dict[str, dict[str, float]]:
    """Return how near each other split comes to the training locations.

    Args:
        splits: the splits.
        ids: (N,) location id of every row.
        latlon: (N, 2) degrees.

    Returns:
        Split name -> `min_km` and `median_km` of the distance to the nearest training location.
    """
    home = {location: name for name, members in splits.ids.items() for location in members}
    names = np.asarray([home.get(str(location), "") for location in ids], dtype=str)
    points = as_latlon(latlon)
    others = (names != "train") & (names != "")
    if not (names == "train").any() or not others.any():
        return {}
    km = nearest_km(points[others], points[names == "train"])
    found, which = np.unique(names[others], return_inverse=True)
    ends = np.cumsum(np.bincount(which))
    parts = dict(zip(found.tolist(), np.split(km[np.argsort(which, kind="stable")], ends[:-1]), strict=True))
    return {
        name: {"min_km": float(parts[name].min()), "median_km": float(np.median(parts[name]))}
        for name in splits.ids
        if name in parts
    }
