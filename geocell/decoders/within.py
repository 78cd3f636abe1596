"""The decoder `within`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geocell.decoders.base import Decoder, LocationData, LocationFunction, PartitionData
from geocell.geo.geodesy import EARTH_RADIUS_KM, Floats, chord_from_km, unit_distance_km, unit_vectors

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_CHUNK = 512  # locations at a time: 22 MB of float64 at 5,444 cells
_BLOCK = 256  # cells whose neighbours are looked up at a time
_FIXED = 2.0**40
_DENSE = 0.1  # share of pairs within the radius from which BLAS is faster than a sparse product


@dataclass(frozen=True)
class Within(Decoder):
    """The centroid with the largest probability within a radius: it maximises the expected share within that radius.

    The most probable cell wins among centroids of equal mass, the first one among those.

    Probabilities are rounded to multiples of 2⁻⁴⁰ (1e-12; float32 resolves 6e-8), whose sums are exact in float64 in
    any order: the answer does not depend on how the product is computed, and equals that of brute force.

    Attributes:
        radius_km: the radius, inclusive.
    """

    radius_km: float

    name = "within"
    summary = "centroid with the largest probability within that many km"

    def __post_init__(self) -> None:
        """Check the radius."""
        if not 0 < self.radius_km < EARTH_RADIUS_KM * np.pi:
            raise ValueError(
                f"decode within needs a radius in km above 0 and below half the circumference of the earth, got "
                f"{self.radius_km:g}."
            )

    def points(self, data: PartitionData) -> LocationFunction:
        """Return the product with the (C, C) matrix of the pairs of centroids within the radius."""
        near = neighbours(data.centroids, self.radius_km)
        matrix = near.toarray() if near.nnz > _DENSE * near.shape[0] ** 2 else near

        def function(posterior: NDArray[np.float32], _: LocationData) -> Floats:
            best = np.empty(len(posterior), dtype=np.int64)
            for start in range(0, len(posterior), _CHUNK):
                rows = slice(start, start + _CHUNK)
                fixed = np.rint(posterior[rows].astype(np.float64) * _FIXED)
                mass = (matrix @ fixed.T).T
                winners = mass == mass.max(axis=1, keepdims=True)
                best[rows] = np.where(winners, posterior[rows], -1.0).argmax(axis=1)
            return np.asarray(data.centroids[best])

        return function


def neighbours(centroids: Floats, radius_km: float) -> csr_array[np.float64]:
    """Return the symmetric (C, C) matrix that is 1 where two centroids are at most `radius_km` apart, in blocks."""
    from scipy.sparse import coo_array, vstack
    from scipy.spatial import cKDTree

    vectors = unit_vectors(centroids)
    tree = cKDTree(vectors)
    reach = chord_from_km(radius_km) * (1 + 1e-9) + 1e-12  # a little more; distances in km decide
    blocks = []
    for start in range(0, len(vectors), _BLOCK):
        block = vectors[start : start + _BLOCK]
        found = cKDTree(block).sparse_distance_matrix(tree, reach, output_type="ndarray")
        i, j = found["i"].astype(np.int32), found["j"].astype(np.int32)
        close = unit_distance_km(block[i], vectors[j]) <= radius_km
        ones = np.ones(int(close.sum()))
        blocks.append(coo_array((ones, (i[close], j[close])), shape=(len(block), len(vectors))).tocsr())
    return vstack(blocks, format="csr")
