"""The decoder `mean`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geocell.decoders.base import Decoder, LocationData, LocationFunction, PartitionData
from geocell.geo.geodesy import Floats, latlon_from_unit, unit_vectors

_MIN_LENGTH = 1e-6
"""Below this length the mean of float32 probabilities times unit vectors is rounding noise, without a direction."""


@dataclass(frozen=True)
class Mean(Decoder):
    """The direction of the posterior mean ``Σ p_c u_c`` over the unit vectors of all centroids.

    It is the point that the haversine term of the loss trains. Where the mean has no direction (antipodal cells of
    equal probability) it is the centroid of the most probable cell.
    """

    name = "mean"
    summary = "mean of all centroids on the sphere, weighted by probability"

    def points(self, data: PartitionData) -> LocationFunction:
        """Return the product with the unit vectors."""
        vectors = unit_vectors(data.centroids)

        def function(posterior: NDArray[np.float32], _: LocationData) -> Floats:
            means = posterior @ vectors
            found = latlon_from_unit(means)
            directionless = np.linalg.norm(means, axis=1) < _MIN_LENGTH
            found[directionless] = data.centroids[posterior[directionless].argmax(axis=1)]
            return found

        return function
