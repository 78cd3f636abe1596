"""The decoder `medoid`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from geocell.decoders.base import PartitionData
from geocell.decoders.utility import UtilityDecoder


@dataclass(frozen=True)
class Medoid(UtilityDecoder):
    """The centroid with the least expected distance: the medoid of the posterior (Kaufman and Rousseeuw 1987)."""

    name = "medoid"
    summary = "centroid with the least expected distance"

    def utility(self, km: NDArray[Any], data: PartitionData) -> NDArray[Any]:  # noqa: ARG002 - the same for every partition
        """Return the distance, negated."""
        return -km
