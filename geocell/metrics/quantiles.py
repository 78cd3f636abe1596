"""Quantiles of the distance between answer and truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


def distance_quantiles(distances_km: ArrayLike) -> dict[float, float]:
    """Return share -> the distance that this share of the answers keeps within, for `QUANTILES`.

    Between two answers it is interpolated linearly (definition 7 of Hyndman and Fan, "Sample quantiles in statistical
    packages", 1996), so that the quantile of 0.5 is the median of the scores.

    Args:
        distances_km: (P,) km, P >= 1.
    """
    values = np.quantile(np.asarray(distances_km, dtype=np.float64), QUANTILES)
    return dict(zip(QUANTILES, values.tolist(), strict=True))
