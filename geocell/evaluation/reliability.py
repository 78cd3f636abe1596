"""Whether what answers say of themselves holds: radii around them, and the probability of being within 200 km."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocell.metrics.clusters import Clusters
from geocell.metrics.intervals import share_draws, share_interval
from geocell.uncertainty.errors import expected_calibration_error
from geocell.uncertainty.selective import RISK_KM

RADIUS_SHARES = (50, 90)
"""Percent of the true positions that a radius of that name should hold."""

Floats = NDArray[np.float64]


def radius_coverage(distances_km: Floats, radii_km: Floats, clusters: Clusters | None = None) -> dict[str, Any] | None:
    """Return how often the truth lies within the radius around its answer, and how large that is.

    Args:
        distances_km: (P,) km from answer to truth.
        radii_km: (P,) km, NaN where there is none.
        clusters: which of the locations were drawn together; every one on its own when omitted.

    Returns:
        `n_locations` with a radius, `coverage` (a fraction), its 95 % `interval` and `median_km`; None without any.
    """
    known = np.isfinite(radii_km)
    if not known.any():
        return None
    inside = distances_km[known] <= radii_km[known]
    coverage = float(inside.mean())
    drawn = None if clusters is None else clusters.take(known).drawn
    return {
        "n_locations": int(known.sum()),
        "coverage": coverage,
        "interval": list(share_interval(share_draws(inside[:, None], clusters=drawn)[:, 0], coverage)),
        "median_km": float(np.median(radii_km[known])),
    }


def confidence_errors(distances_km: Floats, confidence: Floats) -> dict[str, Any] | None:
    """Return how far the probabilities of being within 200 km are from what happened.

    Args:
        distances_km: (P,) km from answer to truth.
        confidence: (P,) probability that it is at most 200 km, NaN where there is none.

    Returns:
        `n_locations` with a confidence, `within_km`, the `mean` confidence, the `share` of answers within that
        distance, `ece` (15 bins of equal mass) and `brier`, the mean of (confidence − hit)² (Brier 1950); None without
        any.
    """
    known = np.isfinite(confidence)
    if not known.any():
        return None
    sure, hits = confidence[known], distances_km[known] <= RISK_KM
    return {
        "n_locations": int(known.sum()),
        "within_km": RISK_KM,
        "mean": float(sure.mean()),
        "share": float(hits.mean()),
        "ece": expected_calibration_error(sure, hits),
        "brier": float(((sure - hits) ** 2).mean()),
    }
