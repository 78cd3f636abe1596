"""The decoder `offset`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geocell.decoders.base import Decoder, LocationData, LocationFunction, PartitionData
from geocell.geo.geodesy import Floats, moved


@dataclass(frozen=True)
class Offset(Decoder):
    """The centroid of the most probable cell, moved by the offset that the head regresses in that cell."""

    name = "offset"
    summary = "that centroid moved within its cell, for heads fitted with offsets"
    needs = frozenset({"offsets"})

    def points(self, data: PartitionData) -> LocationFunction:
        """Return the lookup of centroids and the move."""

        def function(posterior: NDArray[np.float32], locations: LocationData) -> Floats:
            if locations.offsets_km is None:
                raise TypeError("the decoder offset needs LocationData.offsets_km.")
            best = posterior.argmax(axis=1)
            offsets = np.asarray(locations.offsets_km(best), dtype=np.float64)
            if offsets.shape != (len(posterior), 2):
                raise ValueError(
                    f"decode offset needs offsets (P, 2), one per location, got {offsets.shape} for "
                    f"{len(posterior)} locations."
                )
            return moved(data.centroids[best], offsets)

        return function
