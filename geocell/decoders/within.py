"""The decoder `within`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.decoders.base import LocationData, LocationFunction, PartitionData
from geocell.decoders.utility import UtilityDecoder
from geocell.geo.geodesy import EARTH_RADIUS_KM, Floats, unit_distance_km, unit_vectors
from geocell.partitioners.s2ids import s2_ids

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_CHUNK = 256  # locations at a time: 11 MB of float64 at 5,444 cells
_BLOCK = 256  # cells whose neighbours are looked up at a time
_FIXED = 2.0**40
_ROUNDING = 1e-12  # dots of unit vectors that differ by less are compared as distances


@dataclass(frozen=True)
class Within(UtilityDecoder):
    """The centroid with the largest probability within a radius: it maximises the expected share within that radius.

    The most probable cell wins among centroids of equal mass, the first one among those. Over training places see
    `UtilityDecoder`; their distances are 10 cm wrong at most.

    Over centroids, probabilities are rounded to multiples of 2⁻⁴⁰ (1e-12; float32 resolves 6e-8), whose sums are exact
    in float64 in any order: the answer does not depend on how the product is computed, and equals that of brute force.

    Attributes:
        radius_km: the radius, inclusive.
    """

    radius_km: float

    name = "within"
    summary = "centroid with the largest probability within that many km"

    def __post_init__(self) -> None:
        """Check the radius."""
        super().__post_init__()
        if not 0 < self.radius_km < EARTH_RADIUS_KM * np.pi:
            raise ValueError(
                f"decode within needs a radius in km above 0 and below half the circumference of the earth, got "
                f"{self.radius_km:g}."
            )

    def utility(self, km: NDArray[Any], data: PartitionData) -> NDArray[Any]:  # noqa: ARG002 - the same for all
        """Return 1 within the radius, else 0."""
        return np.asarray(km <= self.radius_km, dtype=km.dtype)

    def centroid_points(self, data: PartitionData) -> LocationFunction:
        """Return the product with the changes of the neighbourhood along a curve, and their running sums."""
        order, changes = neighbourhood_changes(data.centroids, self.radius_km)
        back = np.argsort(order)

        def function(posterior: NDArray[np.float32], _: LocationData) -> Floats:
            best = np.empty(len(posterior), dtype=np.int64)
            for start in range(0, len(posterior), _CHUNK):
                rows = slice(start, start + _CHUNK)
                p = np.array(posterior[rows].T, dtype=np.float64, order="C")  # a copy, in which losers are marked
                mass = changes @ np.rint(p * _FIXED)
                mass = np.cumsum(mass, axis=0, out=mass)[back]
                p[mass < mass.max(axis=0)] = -1.0
                best[rows] = p.argmax(axis=0)
            return np.asarray(data.centroids[best])

        return function


def neighbourhood_changes(centroids: Floats, radius_km: float) -> tuple[NDArray[np.int64], csr_array[np.float64]]:
    """Return the cells along the Hilbert curve of S2, and how the cells within the radius change from one to the next.

    Neighbours on the curve are close, so that nearly the same cells are within a radius of both: of 5,444 cells over
    Europe, 660 are within 750 km of one, and 48 enter or leave on the way to the next.

    Returns:
        (C,) order of the cells, and the (C, C) matrix whose running sums over the rows are 1 where cell ``order[i]``
        and the cell of the column are at most `radius_km` apart.
    """
    from scipy.sparse import csr_array

    order = np.argsort(s2_ids(centroids), kind="stable")
    vectors = unit_vectors(centroids)
    n_cells, last = len(vectors), np.zeros((1, len(vectors)), dtype=np.bool_)
    found, signs = [], []
    for start in range(0, n_cells, _BLOCK):
        near = np.concatenate((last, _near(vectors[order[start : start + _BLOCK]], vectors, radius_km)))
        changed = np.flatnonzero(near[1:] != near[:-1])
        found.append(changed + start * n_cells)
        signs.append(np.where(near[1:].ravel()[changed], 1.0, -1.0))
        last = near[-1:]
    rows, columns = np.divmod(np.concatenate(found), n_cells)
    return order, csr_array((np.concatenate(signs), (rows, columns)), shape=(n_cells, n_cells))


def _near(block: Floats, vectors: Floats, radius_km: float) -> NDArray[np.bool_]:
    """Return the (B, C) pairs of unit vectors at most that far apart; where their dots are too close, by distance."""
    dots, limit = block @ vectors.T, np.cos(radius_km / EARTH_RADIUS_KM)
    near = dots >= limit
    i, j = np.nonzero(np.abs(dots - limit) <= _ROUNDING)
    near[i, j] = unit_distance_km(block[i], vectors[j]) <= radius_km
    return np.asarray(near)
