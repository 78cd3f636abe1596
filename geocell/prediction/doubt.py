"""Why an image may not show a place in the region of a head."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geocell.features.locations import Locations
from geocell.geo.geodesy import Floats
from geocell.heads.region import plain_entropy
from geocell.partitioners.base import OUTSIDE, Partition

if TYPE_CHECKING:
    from geocell.heads.protocol import HeadLike

DOUBT_KM = 500.0
"""An answer is doubted when half of the probability takes a larger radius than this: that of a large country.

Only of a head that has not learned what tells locations outside its region apart.
"""


class Unlike(NamedTuple):
    """How unlike the region of a head one location is; None where the head does not know.

    Attributes:
        score: 0 on average in the region; see `geocell.uncertainty.region_model`.
        flagged: whether it is above the threshold.
        reason: for people, "" when it is not flagged.
    """

    score: float | None = None
    flagged: bool | None = None
    reason: str = ""


def unlike_of(head: HeadLike, locations: Locations, posterior: NDArray[np.float32]) -> list[Unlike]:
    """Return how unlike the region of a head each location is: by its mean feature, whatever the fusion.

    Args:
        head: the head.
        locations: P locations with features of its encoder.
        posterior: (P, C) probabilities that it gives them.
    """
    region = head.region
    if region is None:
        return [Unlike()] * len(locations)
    scores = region.scores(locations.mean_features(), plain_entropy(head, posterior))
    flags, shares = region.flagged(scores).tolist(), region.share_as_unlike(scores).tolist()
    rows = zip(scores.tolist(), flags, shares, strict=True)
    return [Unlike(score, flag, _reason(share, region.false_alarms) if flag else "") for score, flag, share in rows]


def _reason(share: float, false_alarms: float) -> str:
    return (
        "its features and the spread of its probabilities are unlike those of photographs of the head's region "
        f"({100 * share:.2g} % of these are as unlike, and {100 * false_alarms:g} % are flagged)"
    )


def outside_cells(partition: Partition, points: Floats) -> NDArray[np.bool_]:
    """Return which of (P, 2) points lie in no cell; none of a partition that only decodes."""
    if not partition.can_assign:
        return np.zeros(len(points), dtype=np.bool_)
    return np.asarray(partition.assign(points) == OUTSIDE)


def doubt_of(radius_50_km: float, outside: bool, unlike: Unlike) -> str:
    """Return the reasons to doubt an answer, "" for none.

    Args:
        radius_50_km: radius of half of the probability, which counts where nothing is known of the region.
        outside: whether the point lies in no cell.
        unlike: how unlike the region the location is.
    """
    reasons = [unlike.reason] if unlike.reason else []
    if unlike.flagged is None and radius_50_km > DOUBT_KM:
        reasons.append(f"half of the head's probability takes a radius of {radius_50_km:,.0f} km")
    if outside:
        reasons.append("the point lies in none of the head's cells")
    return " and ".join(reasons)
