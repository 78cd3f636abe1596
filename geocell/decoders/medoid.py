"""The decoder `medoid`."""

from __future__ import annotations

from dataclasses import dataclass

from geocell.decoders.base import PartitionData
from geocell.decoders.utility import UtilityDecoder
from geocell.geo.geodesy import Floats


@dataclass(frozen=True)
class Medoid(UtilityDecoder):
    """The centroid with the least expected distance: the medoid of the posterior (Kaufman and Rousseeuw 1987)."""

    name = "medoid"
    summary = "centroid with the least expected distance"

    def utility(self, km: Floats, data: PartitionData) -> Floats:  # noqa: ARG002 - the same for every partition
        """Return the distance, negated."""
        return -km
