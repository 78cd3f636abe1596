"""The decoder `geoscore`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geocell.decoders.base import PartitionData
from geocell.decoders.utility import UtilityDecoder
from geocell.geo.geodesy import Floats

SCALE_KM = 1492.7
"""Scale of GeoGuessr's score on the map of the world, ``5000 exp(-d / 1492.7 km)`` (Haas et al. 2024, PIGEON)."""


@dataclass(frozen=True)
class GeoScore(UtilityDecoder):
    """The centroid with the largest expected GeoScore."""

    name = "geoscore"
    summary = "centroid with the largest expected GeoScore"

    def utility(self, km: Floats, data: PartitionData) -> Floats:  # noqa: ARG002 - the same for every partition
        """Return the GeoScore as a fraction of 5000."""
        return np.asarray(np.exp(-km / SCALE_KM))
