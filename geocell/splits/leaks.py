"""Leakage between splits: how near other locations are to training locations, and coordinates that they share."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocell.files import counted
from geocell.geo.geodesy import EARTH_RADIUS_KM, Floats, as_latlon, unit_vectors
from geocell.splits.splits import Splits
from geocell.views import coordinate_numbers
from geocell.views.codes import TextCodes

NEAR_KM = 1.0
"""Two locations closer than this show much of the same scene or street."""

EDGES_KM = (0.1, 1.0, 5.0, 25.0, 100.0)
"""Upper ends of the bins of the distance from the nearest training location; the last bin has none."""

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def length_text(km: float) -> str:
    """Return a distance for people: metres below one kilometre.

    >>> length_text(0.0111), length_text(222.39)
    ('11 m', '222.4 km')
    """
    return f"{1000 * km:.0f} m" if round(1000 * km) < 1000 else f"{km:,.1f} km"


def nearest_km(latlon: Floats, train: Floats) -> Floats:
    """Return the (P,) distance in km of each location from the nearest training location.

    Args:
        latlon: (P, 2) degrees.
        train: (Q, 2) degrees, Q >= 1.
    """
    from scipy.spatial import cKDTree

    chords, _ = cKDTree(unit_vectors(train)).query(unit_vectors(latlon))
    return np.asarray(2.0 * EARTH_RADIUS_KM * np.arcsin(np.minimum(chords / 2.0, 1.0)))


def distance_bins(km: Floats) -> NDArray[np.int64]:
    """Return the (P,) bin of every distance: 0 below the first of `EDGES_KM`, up to their number from the last on."""
    return np.searchsorted(EDGES_KM, km, side="right").astype(np.int64)


def bin_names() -> tuple[str, ...]:
    """Return what the bins of `distance_bins` are called.

    >>> bin_names()
    ('<0.1', '0.1–1', '1–5', '5–25', '25–100', '≥100')
    """
    ends = [f"{edge:g}" for edge in EDGES_KM]
    return (f"<{ends[0]}", *(f"{low}–{high}" for low, high in pairwise(ends)), f"≥{ends[-1]}")


def at_training_coordinates(latlon: Floats, train: Floats) -> NDArray[np.bool_]:
    """Return which of (P, 2) locations have the coordinates of a training location, to 1e-6 degrees."""
    return np.isin(coordinate_numbers(as_latlon(latlon)), coordinate_numbers(as_latlon(train)))


def count_at_training_coordinates(latlon: Floats, train: Floats) -> int:
    """Return how many of (P, 2) locations have the coordinates of a training location, to 1e-6 degrees."""
    return int(at_training_coordinates(latlon, train).sum())


def shared_coordinates_remark(latlon: Floats, train: Floats, split: str) -> str | None:
    """Return the sentence about locations of a split at coordinates of training locations, None where there are none.

    Args:
        latlon: (P, 2) degrees, the locations of the split.
        train: (Q, 2) degrees, the training locations.
        split: its name.
    """
    n = count_at_training_coordinates(latlon, train)
    if not n:
        return None
    return (
        f"{n:,} of {counted(len(latlon), f'{split} location')} {'has' if n == 1 else 'have'} the coordinates of a "
        "training location, so their scores say little about new places: draw splits with `geocell split`"
    )


def leak_report(
    splits: Splits, ids: Sequence[str] | NDArray[Any] | TextCodes, latlon: Floats
) -> dict[str, dict[str, float]]:
    """Return how near the locations of each other split are to training locations.

    Args:
        splits: the splits.
        ids: (N,) location id of every row.
        latlon: (N, 2) degrees.

    Returns:
        Split name -> `min_km` and `median_km`, the least and the median distance from the nearest training location.
    """
    homes, points, names = splits.homes(ids), as_latlon(latlon), list(splits.ids)
    train = homes == (names.index("train") if "train" in names else len(names))
    others = ~train & (homes >= 0)
    if not train.any() or not others.any():
        return {}
    km, homes = nearest_km(points[others], points[train]), homes[others]
    parts = {name: km[homes == number] for number, name in enumerate(names)}
    return {
        name: {"min_km": float(part.min()), "median_km": float(np.median(part))}
        for name, part in parts.items()
        if len(part)
    }
