"""What a report is made of: its JSON, and the arrays that its maps draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from geocell.geo.geodesy import Floats
    from geocell.partitioners.base import Partition


@dataclass(frozen=True, eq=False, repr=False)
class Measured:
    """What was measured of a head on P locations.

    Attributes:
        value: the content of `report.json`.
        truth: (P, 2) degrees.
        points: (P, 2) degrees, the answers.
        distances_km: (P,) from the answers to the truth.
        partition: the cells that were answered with.
        examples: `worst` and `random` -> (k,) rows of the locations that are shown one by one, as in the JSON.
        thumbnails: row -> small JPEG file, of examples whose image is there.
    """

    value: Mapping[str, Any]
    truth: Floats
    points: Floats
    distances_km: Floats
    partition: Partition
    examples: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    thumbnails: Mapping[int, bytes] = field(default_factory=dict)

    def __repr__(self) -> str:
        """Return the head, the split and the main score."""
        scores = self.value["scores"]
        of = f"{self.value['head']['name']} on {scores['n_locations']:,} locations"
        return f"<Report of {of}, balscore {100 * scores['balscore']:.1f} %>"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return dict(self.value)
