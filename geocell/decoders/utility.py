"""Decoders that answer the candidate of the largest expected utility."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from geocell.decoders.base import Decoder, LocationFunction, Need, PartitionData
from geocell.decoders.place_candidates import Candidates, best_candidates
from geocell.geo.geodesy import EARTH_RADIUS_KM, Floats, unit_distance_km, unit_vectors

KEPT_CELLS = 11_585  # up to here the table of all pairs is kept: 512 MiB of float32
_BLOCK = 256  # candidates whose utilities are computed at a time: 60 MB of float64 differences at 10,000 cells
_CHUNK = 2048  # locations of one product: 45 MB of float32 at 5,444 cells
_MOST_CELLS = 1000  # whose training places are candidates
_TIE = 1e-6  # of the largest utility: float32 sums of equal expectations differ by less


@dataclass(frozen=True)
class UtilityDecoder(Decoder):
    """The candidate ``argmax_k Σ_c p_c u(d(k, c))``: the Bayes answer for a utility of the distance, among candidates.

    Candidates are the centroids, and the sum is over all cells; or, with `places`, the training places of the most
    probable cells (`geocell.decoders.place_candidates`): an answer below the cell. The probability of a cell is then
    spread over its places, and the sum is over these N cells alone, which is the expectation under the posterior given
    that the truth lies in one of them. Every decoder of this kind has, by its own utility, the largest such expectation
    among its candidates. Expectations are float32; among those that differ by rounding alone the most probable
    candidate wins, and the first one of equally probable ones.

    Attributes:
        places: N, the number of most probable cells whose training places are candidates; 0 for centroids.
    """

    places: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        """Check the number of cells."""
        if not 0 <= self.places <= _MOST_CELLS:
            raise ValueError(
                f"decode {self.name} needs places from 0 (centroids) to {_MOST_CELLS} cells, got {self.places}."
            )

    @property
    def needed(self) -> frozenset[Need]:
        """Training places, where they are candidates."""
        return frozenset(("places",)) if self.places else frozenset()

    @abstractmethod
    def utility(self, km: NDArray[Any], data: PartitionData) -> NDArray[Any]:
        """Return what answers are worth that are this many km off: finite, and never more for a larger distance.

        Args:
            km: distances, float64 or float32.
            data: what the decoder is prepared with.
        """

    def points(self, data: PartitionData) -> LocationFunction:
        """Return the search among the candidates."""
        return self.place_points(data) if self.places else self.centroid_points(data)

    def place_points(self, data: PartitionData) -> LocationFunction:
        """Return the search among training places."""
        candidates = Candidates.of(data.training_places(), data.centroids)
        best = best_candidates(
            candidates, self.places, lambda km: self.utility(km, data), _TIE * self._largest_utility(data)
        )
        return lambda posterior, _: np.asarray(candidates.latlon[best(posterior)])

    def _largest_utility(self, data: PartitionData) -> float:
        return float(np.abs(self.utility(np.array([0.0, np.pi * EARTH_RADIUS_KM]), data)).max())

    def centroid_points(self, data: PartitionData) -> LocationFunction:
        """Return the product with the (C, C) utilities, which is kept, or above 11,585 cells made in blocks."""
        n_cells = len(data.centroids)
        kept = self._table(data, slice(0, n_cells)) if n_cells <= KEPT_CELLS else None
        return lambda posterior, _: self.centroid_answers(posterior, kept, data)

    def centroid_answers(
        self, posterior: NDArray[np.float32], table: NDArray[np.float32] | None, data: PartitionData
    ) -> Floats:
        """Return the (P, 2) centroids of the largest expectation.

        Args:
            posterior: (P, C) probabilities.
            table: (C, C) utilities; None where they are made in blocks.
            data: what the decoder is prepared with.
        """
        tie = _TIE * self._largest_utility(data)
        best = np.empty(len(posterior), dtype=np.int64)
        for start in range(0, len(posterior), _CHUNK):
            p = posterior[start : start + _CHUNK]
            expected = self._product(p, data) if table is None else p @ table
            close = expected >= expected.max(axis=1, keepdims=True) - tie
            best[start : start + _CHUNK] = np.where(close, p, -1.0).argmax(axis=1)
        return np.asarray(data.centroids[best])

    def _table(self, data: PartitionData, candidates: slice) -> NDArray[np.float32]:
        """Return the (C, K) float32 utilities of K candidates, the true cell first."""
        return table_of(data.centroids, candidates, lambda km: self.utility(km, data), np.float32)

    def _product(self, p: NDArray[np.float32], data: PartitionData) -> NDArray[np.float32]:
        """Return the (P, C) expectations without keeping the table."""
        expected = np.empty(p.shape, dtype=np.float32)
        for start in range(0, p.shape[1], _BLOCK):
            columns = slice(start, min(start + _BLOCK, p.shape[1]))
            expected[:, columns] = p @ self._table(data, columns)
        return expected


def table_of(
    centroids: Floats, candidates: slice, value: Callable[[Floats], NDArray[Any]], dtype: DTypeLike
) -> NDArray[Any]:
    """Return the (C, K) values of the distances in km between C centroids and K of them, computed in blocks."""
    vectors = unit_vectors(centroids)
    chosen = vectors[candidates]
    table = np.empty((len(vectors), len(chosen)), dtype=dtype)
    for start in range(0, len(chosen), _BLOCK):
        columns = slice(start, start + _BLOCK)
        table[:, columns] = value(unit_distance_km(chosen[columns, None], vectors)).T
    return table
