"""The decoder `knn`: which training locations of the most probable cells a location resembles."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geocell.decoders.balscore import SHARE_RADII_KM
from geocell.decoders.base import Decoder, LocationData, LocationFunction, PartitionData
from geocell.features.neighbour_masses import most_probable, neighbour_masses
from geocell.features.neighbours import Ints, Singles
from geocell.geo.geodesy import EARTH_RADIUS_KM, Floats, unit_vectors

_PAIRS = 64 * 256**2  # pairs of candidates that are compared at a time: 34 MB of distances


@dataclass(frozen=True)
class KNN(Decoder):
    """The training location with the largest expected gain of balscore under the vote of the nearest ones.

    The k training locations with the largest cosine vote inside the `n_cells` most probable cells (see
    `geocell.features.neighbour_masses.neighbour_masses`), and among them the answer is
    ``argmax_j Σ_r P(d(j, ·) ≤ r) / W_r``; see `geocell.heads.neighbours.fit_neighbours`, which finds the parameters on
    validation locations. Of equally good ones the most probable wins.

    Attributes:
        n_cells: cells in which neighbours are looked for.
        temperature: T of the cosines.
        share: of the head's own probabilities, from 0 to 1.
        k: neighbours.
        within_25: W_25, the share of locations within 25 km that answers reach, a fraction.
        within_200: W_200 likewise.
        within_750: W_750 likewise.
    """

    n_cells: int = 5
    temperature: float = 0.08
    share: float = 0.5
    k: int = 256
    within_25: float = 0.3
    within_200: float = 0.6
    within_750: float = 0.8

    name = "knn"
    summary = "training location that the nearest features in the most probable cells vote for, of a head with an index"
    needs = frozenset({"features", "neighbours"})

    def __post_init__(self) -> None:
        """Check the parameters."""
        if not (self.n_cells >= 1 and 1 <= self.k <= 4096):
            raise ValueError(f"decode knn needs n_cells >= 1 and k from 1 to 4096, got {self.n_cells} and {self.k}.")
        if not (math.isfinite(self.temperature) and self.temperature > 0 and 0 <= self.share <= 1):
            raise ValueError(
                f"decode knn needs a temperature above 0 and a share from 0 to 1, got {self.temperature:g} and "
                f"{self.share:g}."
            )
        if not 0 < self.within_25 <= self.within_200 <= self.within_750 <= 1:
            raise ValueError(
                "decode knn needs three shares of locations, rising from above 0 to at most 1, got "
                f"{self.within_25:g}, {self.within_200:g} and {self.within_750:g}."
            )

    def points(self, data: PartitionData) -> LocationFunction:
        """Return the search and the vote."""
        index = data.neighbours
        if index is None:
            raise TypeError("the decoder knn needs PartitionData.neighbours.")
        vectors = unit_vectors(index.latlon)

        def function(posterior: NDArray[np.float32], locations: LocationData) -> Floats:
            if locations.features is None:
                raise TypeError("the decoder knn needs LocationData.features.")
            if len(posterior) == 0:
                return np.empty((0, 2))
            allowed = most_probable(posterior, self.n_cells)
            found, cosines = index.nearest(locations.features(), self.k, allowed)
            return np.asarray(index.latlon[self.vote(posterior, index.cells, vectors, found, cosines)])

        return function

    def vote(self, posterior: NDArray[np.float32], cells: Ints, vectors: Floats, found: Ints, cosines: Singles) -> Ints:
        """Return the (P,) training locations that the nearest ones vote for.

        Args:
            posterior: (P, C) probabilities.
            cells: (N,) cell of each training location.
            vectors: (N, 3) their unit vectors.
            found: (P, k) the nearest in the `n_cells` most probable cells; see `NeighbourIndex.nearest`.
            cosines: (P, k) of these.
        """
        best = np.empty(len(posterior), dtype=np.int64)
        chunk = max(1, _PAIRS // max(1, found.shape[1]) ** 2)
        for start in range(0, len(posterior), chunk):
            rows = slice(start, start + chunk)
            places, near = found[rows], cosines[rows]
            mass = neighbour_masses(posterior[rows], cells[places], near, self.temperature, self.share)
            chosen = self._best(vectors[places], mass, np.isfinite(near))
            best[rows] = np.take_along_axis(places, chosen[:, None], axis=1)[:, 0]
        return best

    def _best(self, vectors: Floats, mass: Floats, there: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return which of (P, k) candidates has the largest expected gain, for their (P, k, 3) unit vectors."""
        dots = vectors @ vectors.transpose(0, 2, 1)  # exact to 1e-16, which is 0.1 m at 25 km
        worth = np.zeros(mass.shape)
        for radius, reached in zip(SHARE_RADII_KM, (self.within_25, self.within_200, self.within_750), strict=True):
            near = (dots >= math.cos(radius / EARTH_RADIUS_KM)).astype(np.float64)
            worth += (near @ mass[:, :, None])[:, :, 0] / reached
        worth[~there] = -np.inf
        close = worth >= worth.max(axis=1, keepdims=True) * (1 - 1e-12)  # sums of equal masses in another order
        return np.asarray(np.where(close, mass, -1.0).argmax(axis=1))
