"""The decoder `centroid`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geocell.decoders.base import Decoder, LocationData, LocationFunction, PartitionData
from geocell.geo.geodesy import Floats


@dataclass(frozen=True)
class Centroid(Decoder):
    """The centroid of the most probable cell; the first one of equals."""

    name = "centroid"
    summary = "centroid of the most probable cell"

    def points(self, data: PartitionData) -> LocationFunction:
        """Return the lookup of centroids."""

        def function(posterior: NDArray[np.float32], _: LocationData) -> Floats:
            return np.asarray(data.centroids[posterior.argmax(axis=1)])

        return function
