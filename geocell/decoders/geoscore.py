"""The decoder `geoscore`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from geocell.decoders.base import PartitionData
from geocell.decoders.utility import UtilityDecoder
from geocell.metrics.geoscore import MOST_POINTS, geoscore_points


@dataclass(frozen=True)
class GeoScore(UtilityDecoder):
    """The centroid with the largest expected GeoScore; see `geocell.metrics.geoscore`."""

    name = "geoscore"
    summary = "centroid with the largest expected GeoScore"

    def utility(self, km: NDArray[Any], data: PartitionData) -> NDArray[Any]:  # noqa: ARG002 - the same for every partition
        """Return the GeoScore as a fraction of 5000."""
        return geoscore_points(km) / MOST_POINTS
