"""Areas of cells, the smallest area that holds a share of the probability, and recall against area."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.geo.geodesy import EARTH_RADIUS_KM, Floats
from geocell.partitioners.base import OUTSIDE, Partition
from geocell.partitioners.cell_polygons import class_areas_km2
from geocell.uncertainty.radii import cell_spread_km

EARTH_KM2 = float(4 * np.pi * EARTH_RADIUS_KM**2)

RECALLS = (0.5, 0.9)
"""Shares of locations for which the area is told that holds them."""

RECALL_AREAS_KM2 = (*(float(step * 10**power) for power in range(2, 8) for step in (1, 2, 5)), 1e8)
"""Where the curve of recall against area is told: 100 km² to 100 million."""


@dataclass(frozen=True, eq=False)
class CellAreas:
    """The areas of the C cells of a partition.

    Attributes:
        km2: (C,) above 0, on the sphere.
        estimated: (C,) whether it is that of a disc of the cell's spread (`cell_spread_km`), because the cell has no
            polygon: its partition has centroids alone, or its locations lie outside their region.
        points: whether the cells are candidate points (training places, cities), whose discs say by which of them
            probability is dense, but are no area that could hold the truth.
    """

    km2: Floats
    estimated: NDArray[np.bool_]
    points: bool = False

    @property
    def note(self) -> str:
        """A clause that says how many areas are estimates, or why none is told; "" where all are known."""
        if self.points:
            return "no areas are told: the cells are points"
        n = int(self.estimated.sum())
        if not n:
            return ""
        which = "the areas of the cells are estimates" if n == len(self.km2) else f"{n} areas of cells are estimates"
        return f"{which}, discs of the size that their training locations and neighbours suggest"


@lru_cache(maxsize=4)
def cell_areas(partition: Partition) -> CellAreas:
    """Return the areas of the cells: of their polygons, and estimates where there are none; computed once."""
    known = class_areas_km2(partition) if partition.can_assign else np.zeros(len(partition))
    missing = ~(known > 0)
    if missing.any():
        known = np.where(missing, disc_area_km2(cell_spread_km(partition)), known)
    for array in (known, missing):
        array.setflags(write=False)
    return CellAreas(known, missing, "candidates" in partition.parameters)


def disc_area_km2(radius_km: ArrayLike) -> Floats:
    """Return the area of spherical discs, ``2πR²(1 − cos(r/R))``, at most that of the earth."""
    angle = np.minimum(np.asarray(radius_km, dtype=np.float64) / EARTH_RADIUS_KM, np.pi)
    return np.asarray(EARTH_KM2 * np.sin(angle / 2.0) ** 2)  # 1 − cos loses all digits of a small disc


def smallest_area_cells(row: ArrayLike, areas_km2: Floats, mass: float) -> NDArray[np.int64]:
    """Return the cells of the smallest area with a share of the probability: the region of highest density.

    Cells are taken by ``p / area`` (Hyndman 1996, "Computing and graphing highest density regions") until their sum
    reaches the share. No other set with as much probability as the one returned has a smaller area.

    Args:
        row: (C,) probabilities.
        areas_km2: (C,).
        mass: the share, below 1.

    Returns:
        (k,) cells, the densest first, k >= 1.
    """
    p = np.asarray(row, dtype=np.float64)
    order = np.argsort(-p / areas_km2, kind="stable")
    total = np.cumsum(p[order])
    return order[: int(np.searchsorted(total, mass * total[-1])) + 1]


def areas_to_truth_km2(posterior: ArrayLike, cells: NDArray[np.int64], areas_km2: Floats) -> Floats:
    """Return the area that is searched until the true cell is: cells in order of ``p / area``, it being the last.

    The area at which a location counts as found in recall against area (Bianco, Eigen and Gormish 2024,
    arXiv 2407.13862), whose ranking is by the density of the probability.

    Args:
        posterior: (P, C) probabilities.
        cells: (P,) true cells; `OUTSIDE` for locations in none.
        areas_km2: (C,).

    Returns:
        (P,) km², infinite for locations outside every cell.
    """
    p = np.asarray(posterior)
    found = np.full(len(p), np.inf)
    for i, (row, cell) in enumerate(zip(p, cells.tolist(), strict=True)):
        if cell != OUTSIDE:
            found[i] = areas_km2[ranked_before(row / areas_km2, cell)].sum() + areas_km2[cell]
    return found


def ranked_before(values: NDArray[np.floating], cell: int) -> NDArray[np.bool_]:
    """Return which of (C,) cells come before one: those of a larger value, and of an equal one with a lower number."""
    before = values > values[cell]
    before[:cell] |= values[:cell] == values[cell]
    return np.asarray(before)


def recall_against_area(found_km2: Floats) -> tuple[dict[float, float | None], Floats]:
    """Return the areas that hold shares of the locations, and the curve.

    Args:
        found_km2: (P,) of `areas_to_truth_km2`, P >= 1.

    Returns:
        Share of `RECALLS` -> km² that are searched for each location until so many are found, None where that is
        never; and the (A,) shares that are found within each of `RECALL_AREAS_KM2`.
    """
    ordered = np.sort(found_km2)
    ranks = {share: int(np.ceil(share * len(ordered))) - 1 for share in RECALLS}
    held = {share: float(ordered[rank]) for share, rank in ranks.items()}
    curve = np.searchsorted(ordered, RECALL_AREAS_KM2, side="right") / len(ordered)
    return {share: km2 if np.isfinite(km2) else None for share, km2 in held.items()}, curve
