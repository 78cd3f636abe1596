"""Distance-smoothed targets: a location counts for the cells around it too, the less the farther they are.

P is the number of locations in a batch, C the number of cells, K the number of cells near one; distances are
kilometres.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from geocell.geo.geodesy import EARTH_RADIUS_KM, chord_from_km, unit_vectors

REACH = 8.0
"""Lists of near cells leave out targets below e to minus this, a 3,000th, of the largest of a location.

Over cells of one size the targets left out come to (1 + REACH) e^-REACH, a 300th, of all.
"""

_WORTH = 0.25
"""Lists longer than this share of all cells take as long as all of them, in order, do."""

_LEAST_EXPONENT = -60.0
"""e to this is nothing beside 1; further down are numbers that processors compute with very slowly."""


def near_cells(centroids: ArrayLike, radius_km: ArrayLike, tau_km: float) -> NDArray[np.int64] | None:
    """Return which cells the targets of the locations in each cell are spread over.

    With a location at most r from the centroid of its cell, the nearest centroid is at most r away, so that a cell
    whose target is not below e^-REACH of the largest is at most REACH τ + r away from the location, and
    REACH τ + 2 r from that centroid. All cells so near are listed.

    Args:
        centroids: (C, 2) degrees.
        radius_km: (C,) distance from each centroid to the farthest location of its cell.
        tau_km: τ of `near_targets`.

    Returns:
        (C, K) cells, -1 where a cell has fewer than K; None when the lists would not be worth it.
    """
    from scipy.spatial import cKDTree

    vectors = unit_vectors(centroids)
    chords = [chord_from_km(REACH * tau_km + 2.0 * radius) for radius in np.asarray(radius_km, dtype=np.float64)]
    tree = cKDTree(vectors)
    sizes = tree.query_ball_point(vectors, chords, return_length=True)
    if sizes.max() > _WORTH * len(vectors):
        return None
    near = np.full((len(vectors), sizes.max()), -1, dtype=np.int64)
    for cell, cells in enumerate(tree.query_ball_point(vectors, chords, return_sorted=True)):
        near[cell, : len(cells)] = cells
    return near


def centroid_distances_km(truth: Tensor, centroids: Tensor, cells: Tensor | None = None) -> Tensor:
    """Return the distance from true points to centroids, ``2 R asin(|u - v| / 2)``.

    Differences of coordinates are taken before they are squared, which keeps a metre apart from zero in float32;
    from dot products the same distance is blind below two kilometres.

    Args:
        truth: (P, 3) unit vectors.
        centroids: (C, 3) unit vectors.
        cells: (P, K) cells to whose centroids, all when omitted; -1 for none, which is infinitely far.

    Returns:
        (P, C) or (P, K) kilometres, constants to a gradient.
    """
    columns = centroids.T.contiguous()
    index = None if cells is None else cells.clamp_min(0)
    x, y, z = (
        truth[:, axis, None] - (column if index is None else column[index]) for axis, column in enumerate(columns)
    )
    squared = x.square_().addcmul_(y, y).addcmul_(z, z)
    km: Tensor = squared.sqrt_().mul_(0.5).clamp_(max=1.0).asin_().mul_(2.0 * EARTH_RADIUS_KM)
    return km if cells is None else km.masked_fill_(cells < 0, torch.inf)


def near_targets(distances_km: Tensor, tau_km: float, normalized: bool = True) -> Tensor:
    """Return targets that fall off with distance, ``y_c = exp(-(d_c - min_j d_j) / τ)`` (PIGEON, Haas et al. 2023).

    As published they are not normalised, so that a location among many small cells weighs more; normalised, every
    location weighs the same. Cells beyond 60 τ count as at 60 τ.

    Args:
        distances_km: (P, C) distances from the true points to the centroids, or (P, K) to those of `near_cells`.
        tau_km: τ; 65 to 75 km in the publication.
        normalized: whether the targets of a location sum to 1.

    Returns:
        (P, C) or (P, K).
    """
    y = ((distances_km.amin(dim=1, keepdim=True) - distances_km) / tau_km).clamp_(min=_LEAST_EXPONENT).exp_()
    return y.div_(y.sum(dim=1, keepdim=True)) if normalized else y
