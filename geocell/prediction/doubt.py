"""Why an image may not show a place in the region of a head."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geocell.features.locations import Locations
from geocell.geo.geodesy import Floats
from geocell.partitioners.base import OUTSIDE, Partition

if TYPE_CHECKING:
    from geocell.heads.protocol import HeadLike

DOUBT_KM = 500.0
"""An answer is doubted when half of the probability takes a larger radius than this: that of a large country.

Only of a head that has not learned what tells locations outside its region apart.
"""


class Unlike(NamedTuple):
    """How unlike the training features those of one location are; None where the head does not know.

    Attributes:
        score: 0 to 1; see `geocell.uncertainty.region_model`.
        flagged: whether it is above the threshold.
        reason: for people, "" when it is not flagged.
    """

    score: float | None = None
    flagged: bool | None = None
    reason: str = ""


def unlike_of(head: HeadLike, locations: Locations) -> list[Unlike]:
    """Return how unlike the training features those of each location are: of its mean feature, whatever the fusion.

    Raises:
        ValueError: for features of another encoder.
    """
    region = head.region
    if region is None:
        return [Unlike()] * len(locations)
    scores = region.score_locations(locations)
    flags, shares = region.flagged(scores).tolist(), region.share_as_unlike(scores).tolist()
    rows = zip(scores.tolist(), flags, shares, strict=True)
    return [Unlike(score, flag, _reason(share, region.false_alarms) if flag else "") for score, flag, share in rows]


def _reason(share: float, false_alarms: float) -> str:
    return (
        f"its features are unlike those of the training photographs ({100 * share:.2g} % of the photographs of that "
        f"region are as unlike, and up to {100 * false_alarms:g} % of them are flagged)"
    )


def outside_cells(partition: Partition, points: Floats) -> NDArray[np.bool_]:
    """Return which of (P, 2) points lie in no cell; none of a partition that only decodes."""
    if not partition.can_assign:
        return np.zeros(len(points), dtype=np.bool_)
    return np.asarray(partition.assign(points) == OUTSIDE)


def doubt_of(radius_50_km: float, outside: bool, unlike: Unlike) -> str:
    """Return the reasons to doubt an answer, "" for none.

    Args:
        radius_50_km: radius of half of the probability, which counts where nothing is known of the features.
        outside: whether the point lies in no cell.
        unlike: how unlike the training features those of the location are.
    """
    reasons = [unlike.reason] if unlike.reason else []
    if unlike.flagged is None and radius_50_km > DOUBT_KM:
        reasons.append(f"half of the head's probability takes a radius of {radius_50_km:,.0f} km")
    if outside:
        reasons.append("the point lies in none of the head's cells")
    return " and ".join(reasons)
