"""The decoder `balscore`, and the shares that it needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.decoders.base import Need, PartitionData
from geocell.decoders.utility import KEPT_CELLS, UtilityDecoder, table_of
from geocell.geo.geodesy import Floats, as_latlon, distance_km

SHARE_RADII_KM = (25, 200, 750)
"""The radii of balscore."""

_MAX_ROUNDS = 20


@dataclass(frozen=True)
class BalScore(UtilityDecoder):
    """The centroid ``argmax_k Σ_r P(d ≤ r) / W_r`` over r = 25, 200 and 750 km: the largest expected gain of balscore.

    W_r is the share of locations within r km that the head reaches. To first order the logarithm of balscore,
    ``⅓ Σ_r log W_r``, grows by ``⅓ Σ_r 1[d ≤ r] / W_r`` per answered location, so the radii at which the head is weak
    weigh most.

    Attributes:
        within_25: W_25, a fraction; 0 stands for the one that was found on validation locations (`fit_shares`).
        within_200: W_200 likewise.
        within_750: W_750 likewise.
    """

    within_25: float = 0.0
    within_200: float = 0.0
    within_750: float = 0.0

    name = "balscore"
    summary = "centroid with the largest expected gain of balscore, by the shares that a calibrated head reaches"

    def __post_init__(self) -> None:
        """Check the shares."""
        super().__post_init__()
        shares = (self.within_25, self.within_200, self.within_750)
        if any(shares) and not (0 < shares[0] <= shares[1] <= shares[2] <= 1):
            raise ValueError(
                "decode balscore needs three shares of locations, rising from above 0 to at most 1, got "
                f"{', '.join(f'{share:g}' for share in shares)}."
            )

    @property
    def needed(self) -> frozenset[Need]:
        """The shares, where they are not typed, and training places, where they are candidates."""
        return super().needed if self.within_25 else super().needed | {"shares"}

    def utility(self, km: NDArray[Any], data: PartitionData) -> NDArray[Any]:
        """Return ``Σ_r 1[d ≤ r] / W_r``, divided by its largest value."""
        weights = self._weights(data)
        total = sum(weights.values())
        return np.asarray(sum((km <= radius) * (weight / total) for radius, weight in weights.items()), dtype=km.dtype)

    def _weights(self, data: PartitionData) -> dict[int, float]:
        typed = dict(zip(SHARE_RADII_KM, (self.within_25, self.within_200, self.within_750), strict=True))
        shares = typed if self.within_25 else data.shares
        if shares is None:
            raise ValueError("decode balscore needs the shares of a calibrated head: geocell calibrate.")
        return {radius: 1.0 / shares[radius] for radius in SHARE_RADII_KM}


def fit_shares(posterior: ArrayLike, truth: ArrayLike, centroids: ArrayLike) -> dict[int, float]:
    """Return the shares W_r that the decoder reaches when it decodes with them: the fixed point of its own answers.

    From the shares of the decoder `centroid` on, locations are decoded and counted in turn, until the shares repeat;
    of a cycle the round with the largest balscore is taken. No share is 0 (`reached_shares`), so that a radius that
    nobody hits has a finite weight.

    Args:
        posterior: (P, C) calibrated probabilities of validation locations, P >= 1.
        truth: (P, 2) degrees.
        centroids: (C, 2) degrees.

    Returns:
        Radius in km -> fraction, rising with the radius.

    Raises:
        ValueError: when there is no location, or the shapes differ.
    """
    p, points, cells = np.asarray(posterior), as_latlon(truth, "truth"), as_latlon(centroids, "centroids")
    if len(points) == 0 or p.shape != (len(points), len(cells)):
        raise ValueError(f"shares need a posterior (P, C) of P >= 1 locations, got {p.shape} for {len(points)}.")
    found = reached_shares(distance_km(cells[p.argmax(axis=1)], points))
    rounds: list[tuple[float, ...]] = []
    answers = _answers_by_shares(cells)
    for _ in range(_MAX_ROUNDS):
        rounds.append(tuple(found.values()))
        found = reached_shares(distance_km(answers(BalScore(*found.values()), p), points))
        if tuple(found.values()) in rounds:
            break
    cycle = rounds[rounds.index(tuple(found.values())) :] if tuple(found.values()) in rounds else rounds
    return dict(zip(SHARE_RADII_KM, max(cycle, key=math.prod), strict=True))


def _answers_by_shares(centroids: Floats) -> Callable[[BalScore, NDArray[Any]], Floats]:
    """Return what answers posteriors by decoders of several shares: distances are computed once for all of them.

    A utility of balscore has four values, so that how many radii a pair of centroids is beyond is all that is kept.
    """
    if len(centroids) > KEPT_CELLS:
        return lambda decoder, p: decoder.prepare(PartitionData(centroids))(p)

    def passed(km: Floats) -> NDArray[np.uint8]:
        return np.asarray(np.sum([km > radius for radius in SHARE_RADII_KM], axis=0, dtype=np.uint8))

    beyond = table_of(centroids, slice(0, len(centroids)), passed, np.uint8)

    def answers(decoder: BalScore, p: NDArray[Any]) -> Floats:
        data = PartitionData(centroids)
        values = decoder.utility(np.array([*SHARE_RADII_KM, np.inf], dtype=np.float64), data).astype(np.float32)
        return decoder.centroid_answers(p, values[beyond], data)

    return answers


def reached_shares(km: Floats) -> dict[int, float]:
    """Return radius -> share of (P,) distances within it, with half a hit and half a miss more, so that none is 0."""
    return {radius: float(((km <= radius).sum() + 0.5) / (len(km) + 1)) for radius in SHARE_RADII_KM}


def shares_problem(shares: Mapping[int, float]) -> str:
    """Return why shares of a file are none, "" when they are."""
    if tuple(shares) != SHARE_RADII_KM:
        return f"must be of {', '.join(map(str, SHARE_RADII_KM))} km, got {', '.join(map(str, shares))}"
    values = tuple(shares.values())
    if not 0 < values[0] <= values[1] <= values[2] <= 1:
        return f"must rise from above 0 to at most 1, got {', '.join(f'{value:g}' for value in values)}"
    return ""
