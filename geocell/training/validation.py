"""What an epoch of a fit is scored on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from geocell.decoders.base import PartitionData, PreparedDecoder
from geocell.decoders.table import parse_decoder
from geocell.features.locations import Locations
from geocell.geo.geodesy import distance_km
from geocell.heads.fit_config import FitConfig
from geocell.heads.inputs import Inputs
from geocell.heads.module import GeoHead, answer
from geocell.metrics.outcomes import balscore_of
from geocell.partitioners.base import Partition

_PART = 4096  # locations at a time


@dataclass(frozen=True, eq=False)
class Validation:
    """Validation locations, on the device or, when they are streamed, on the disk.

    Attributes:
        parts: the inputs of up to so many locations each, or the locations to read.
        latlon: (V, 2) degrees.
        partition: the cells.
        config: settings of the fit.
        device: where the head is.
    """

    parts: tuple[Inputs | Locations, ...]
    latlon: NDArray[np.float64]
    partition: Partition
    config: FitConfig
    device: torch.device

    @cached_property
    def _decoder(self) -> PreparedDecoder:
        return parse_decoder(self.config.decode).prepare(PartitionData(self.partition.centroids))

    @classmethod
    def of(cls, val: Locations | None, partition: Partition, config: FitConfig, device: torch.device) -> Self:
        """Put the validation locations, if there are any, on the device."""
        if val is None or len(val) == 0:
            return cls((), np.empty((0, 2)), partition, config, device)
        parts = [val.take(index) for index in np.split(np.arange(len(val)), range(_PART, len(val), _PART))]
        read = parts if config.stream else [Inputs.from_locations(part, config.fusion, device) for part in parts]
        return cls(tuple(read), val.latlon, partition, config, device)

    def score(self, module: GeoHead) -> dict[str, float]:
        """Return balscore, median and mean distance of a head, NaN when there are no locations."""
        if not self.parts:
            return dict.fromkeys(("val_balscore", "val_median_km", "val_mean_km"), math.nan)
        distances = self.distances_km(module)
        return {
            "val_balscore": balscore_of(distances),
            "val_median_km": float(np.median(distances)),
            "val_mean_km": float(distances.mean()),
        }

    def distances_km(self, module: GeoHead) -> NDArray[np.float64]:
        """Return the (V,) distances of a head's answers from the true points."""
        points = []
        for part in self.parts:
            inputs = part if isinstance(part, Inputs) else Inputs.from_locations(part, self.config.fusion, self.device)
            points.append(answer(module, inputs, self.partition, self._decoder)[1])
        return distance_km(np.concatenate(points), self.latlon)
