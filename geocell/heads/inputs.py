"""What a head sees of locations: their features, pooled or view by view, on one device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geocell.features.locations import Locations


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a head sees of P locations, on one device: one contiguous tensor, from which batches are selected.

    Attributes:
        features: (P, D) float32 means over views (`feature` fusion), or (N, D) of all views (other fusions).
        starts: (P,) first row of each location; None for `feature` fusion.
        views: (P,) number of rows of each location; None for `feature` fusion.
    """

    features: Tensor
    starts: Tensor | None
    views: Tensor | None

    @classmethod
    def from_locations(cls, locations: Locations, fusion: str, device: torch.device) -> Inputs:
        """Pool and move the features of locations.

        Raises:
            ValueError: when a feature is NaN or infinite.
        """
        pooled = fusion == "feature" and len(locations) > 0
        features = locations.mean_features() if pooled else locations.view_features()
        finite = np.isfinite(features).all(axis=1)
        if not finite.all():
            row = int(np.flatnonzero(~finite)[0])
            name = locations.ids[row if pooled else locations.view_location[row]]
            raise ValueError(
                f"features must be finite numbers, got NaN or infinity at location {name!r}: encode its images again."
            )
        tensor = torch.from_numpy(features).to(device)
        if fusion == "feature":
            return cls(tensor, None, None)
        starts = torch.from_numpy(np.ascontiguousarray(locations.offsets[:-1])).to(device)
        return cls(tensor, starts, torch.from_numpy(np.diff(locations.offsets)).to(device))

    def mean_features(self) -> NDArray[np.float32]:
        """Return the (P, D) mean over the views of each location, on the CPU."""
        if self.starts is None or self.views is None:
            return self.features.cpu().numpy()
        features, starts = self.features.cpu().numpy(), self.starts.cpu().numpy()
        sums = np.add.reduceat(features.astype(np.float64), starts, axis=0)
        return np.asarray(sums / self.views.cpu().numpy()[:, None], dtype=np.float32)

    def select(self, index: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return what `GeoHead.forward` takes, for the locations at `index` (P',)."""
        if self.starts is None or self.views is None:
            return self.features.index_select(0, index), None
        rows, views = rows_of(self.starts, self.views, index)
        return self.features.index_select(0, rows), views


def rows_of(starts: Tensor, views: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
    """Return the (N',) rows of the views of the locations at `index` (P',), and the (P',) number of them."""
    views = views.index_select(0, index)
    before = starts.index_select(0, index) - (views.cumsum(0) - views)
    rows = torch.repeat_interleave(before, views)
    return rows + torch.arange(len(rows), device=rows.device), views
