"""A decoder of one's own in one file: the mean over the k most probable cells."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geocell.decoders.base import Decoder, LocationData, LocationFunction, PartitionData
from geocell.geo.geodesy import Floats, latlon_from_unit, unit_vectors


@dataclass(frozen=True)
class TopMean(Decoder):
    """The direction of the posterior mean over the k most probable cells."""

    k: int = 3

    name = "top-mean"
    summary = "mean of the k most probable centroids on the sphere"

    def points(self, data: PartitionData) -> LocationFunction:
        vectors = unit_vectors(data.centroids)

        def function(posterior: NDArray[np.float32], _: LocationData) -> Floats:
            kept = np.where(posterior >= np.sort(posterior, axis=1)[:, -self.k :][:, :1], posterior, 0)
            return latlon_from_unit(kept @ vectors)

        return function
