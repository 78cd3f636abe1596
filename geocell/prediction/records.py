"""What a head answers for one location."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class CellGuess:
    """One of the most probable cells.

    Attributes:
        cell: class index.
        name: the cell's name in its partition.
        probability: its probability.
        lat: latitude of its centroid in degrees.
        lon: longitude of its centroid in degrees.
    """

    cell: int
    name: str
    probability: float
    lat: float
    lon: float


@dataclass(frozen=True)
class Prediction:
    """What a head answers for one location.

    Attributes:
        location: its id, or the images it was asked about.
        lat: decoded latitude in degrees.
        lon: decoded longitude in degrees.
        decoder: which decoder turned the posterior into the point.
        radius_50_km: how far from the point the smallest set of cells reaches that holds half of the probability.
        radius_90_km: the same for 90 %.
        doubt: why the image may not show a place in the head's region, "" when nothing says so. That is a reason to
            disbelieve the answer; an empty one is none to believe it.
        cells: the K most probable cells, most probable first.
    """

    location: str
    lat: float
    lon: float
    decoder: str
    radius_50_km: float
    radius_90_km: float
    doubt: str
    cells: tuple[CellGuess, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)
