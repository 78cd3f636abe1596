"""Offsets within a cell: a regression per cell beside the classification (OSV-5M, Astruc et al. 2024).

An offset is a pair, east and north of the cell's centroid on the azimuthal equidistant plane, in units of the cell's
radius. It is never longer than 1, so a moved point stays within the radius of its cell. Cells of radius
0 or of unknown radius move nothing.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from geocell.geo.geodesy import Floats, tangent_offsets_km
from geocell.partitioners.base import Partition


class Offsets(nn.Module):
    """A Linear per cell, of which a location uses one: that of its cell. It starts at zeros, the centroids.

    Attributes:
        weight: (C, 2, D).
        bias: (C, 2).
    """

    def __init__(self, dim: int, n_cells: int) -> None:
        """Make the tensors."""
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_cells, 2, dim))
        self.bias = nn.Parameter(torch.zeros(n_cells, 2))

    def forward(self, features: Tensor, cells: Tensor) -> Tensor:
        """Return the (P, 2) offsets, of any length, of (P, D) normalised features in (P,) int64 cells."""
        weight, bias = self.weight.index_select(0, cells), self.bias.index_select(0, cells)
        return torch.bmm(weight, features.to(weight.dtype)[:, :, None])[:, :, 0] + bias


def folded_offsets(offsets: Offsets, gain: Tensor, shift: Tensor) -> dict[str, Tensor]:
    """Return the tensors of the same offsets without the norm's (D,) gain and shift before them."""
    weight, bias = offsets.weight.detach(), offsets.bias.detach()
    return {"weight": weight * gain, "bias": bias + weight @ shift}


def true_offsets(partition: Partition, cells: NDArray[np.int64], latlon: ArrayLike) -> NDArray[np.float32]:
    """Return the offsets of locations in their cells; one that lies beyond its cell's radius counts as on it.

    Args:
        partition: the C cells.
        cells: (P,) cells.
        latlon: (P, 2) degrees.

    Returns:
        (P, 2) float32.

    Raises:
        ValueError: when no cell has a radius.
    """
    radius = _radius_km(partition)[cells]
    if not (radius > 0).any():
        raise ValueError(
            "offsets need cells whose radius_km is known and above 0, and no cell with training locations has one: fit "
            "the partition again, or leave offsets at 0."
        )
    km = tangent_offsets_km(partition.centroids[cells], latlon)
    units = np.divide(km, radius[:, None], out=np.zeros_like(km), where=radius[:, None] > 0)
    return _bounded(units).astype(np.float32)


def offsets_km(offsets: ArrayLike, partition: Partition, cells: NDArray[np.int64]) -> Floats:
    """Return (P, 2) offsets in km, at most the radius of the cell long; see `true_offsets`."""
    return np.asarray(_bounded(np.asarray(offsets, dtype=np.float64)) * _radius_km(partition)[cells][:, None])


def _bounded(offsets: Floats) -> Floats:
    return np.asarray(offsets / np.maximum(np.linalg.norm(offsets, axis=1, keepdims=True), 1.0))


def _radius_km(partition: Partition) -> Floats:
    return np.nan_to_num(partition.radius_km, nan=0.0)
