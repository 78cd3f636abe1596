"""Prediction: from a posterior to a point, the most probable cells, and how far around the point they reach."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from geocell.decoders.table import AnyDecoder, as_decoder
from geocell.features.locations import Locations
from geocell.geo.geodesy import Floats, distance_km
from geocell.partitioners.base import OUTSIDE, Partition
from geocell.prediction.files import save_predictions
from geocell.prediction.records import CellGuess, Prediction

if TYPE_CHECKING:
    from geocell.heads.protocol import HeadLike

DOUBT_KM = 750.0
"""Where half of the probability lies in cells farther away than this, the size of a country, an answer is doubted."""


@dataclass(frozen=True, eq=False)
class Predictions(Sequence[Prediction]):
    """The predictions of P locations by one head, in their order.

    Attributes:
        items: one per location.
        partition: the cells that were answered with.
    """

    items: tuple[Prediction, ...]
    partition: Partition = field(repr=False)

    def __len__(self) -> int:
        """Return P."""
        return len(self.items)

    @overload
    def __getitem__(self, index: int) -> Prediction: ...
    @overload
    def __getitem__(self, index: slice) -> Predictions: ...
    def __getitem__(self, index: int | slice) -> Prediction | Predictions:
        """Return one prediction, or several."""
        return Predictions(self.items[index], self.partition) if isinstance(index, slice) else self.items[index]

    def __iter__(self) -> Iterator[Prediction]:
        """Iterate over the predictions."""
        return iter(self.items)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"predictions": [item.to_dict() for item in self.items]}

    def save(self, path: str | Path) -> Path:
        """Write the answers as a table, as points for a GIS program, or as a map; an existing file is replaced.

        Args:
            path: `.csv`; `.geojson`; or `.html`, one file that needs no network.

        Raises:
            ValueError: for another suffix.
        """
        return save_predictions(self.items, self.partition, Path(path))


def require_answer(top_k: int, decode: AnyDecoder, head: HeadLike | None = None) -> None:
    """Refuse an answer that cannot be given, before anything slow happens.

    Raises:
        ValueError: for an unknown decoder, one that is not for this head, or a bad `top_k`.
    """
    if not isinstance(top_k, int | np.integer) or isinstance(top_k, bool) or top_k < 1:
        raise ValueError(f"top_k must be a whole number of at least 1, got {top_k!r}.")
    _ = as_decoder(decode) if head is None else head.prepare(decode)


def predict_locations(
    head: HeadLike, locations: Locations, *, top_k: int = 5, decode: AnyDecoder = "centroid", device: str = "auto"
) -> Predictions:
    """Answer where locations are, from the features of their views.

    Args:
        head: the head.
        locations: P locations with features of the head's encoder.
        top_k: K, how many cells to name.
        decode: the decoder: a name such as `within:200`, or an object.
        device: where the head computes: cpu, cuda, mps, or auto for the fastest there is.

    Raises:
        ValueError: for another encoder, a bad `top_k`, or a decoder that is unknown or not for this head.
    """
    require_answer(top_k, decode, head)
    partition, prepared = head.partition, head.prepare(decode)
    items: list[Prediction] = []
    for rows, posterior, points in head.answer_chunks(locations, prepared, device):
        order = np.argsort(-posterior, axis=1, kind="stable")
        outside = _outside(partition, points)
        for i, (point, row, best) in enumerate(zip(points, posterior, order, strict=True)):
            half, most = (mass_radius_km(partition, point, row, best, mass) for mass in (0.5, 0.9))
            guesses = tuple(_guess(partition, row, int(c)) for c in best[:top_k])
            name, (lat, lon) = str(locations.ids[rows.start + i]), point.tolist()
            items.append(
                Prediction(name, lat, lon, prepared.decoder.spec, half, most, _doubt(half, bool(outside[i])), guesses)
            )
    return Predictions(tuple(items), partition)


def mass_radius_km(
    partition: Partition, point: Floats, row: NDArray[np.float32], order: NDArray[np.int64], mass: float
) -> float:
    """Return how far from a point the smallest set of cells reaches that holds a share of the probability.

    A cell reaches as far as its centroid is away, and its own radius beyond that where the partition knows it: its
    farthest training location.

    Args:
        partition: the C cells.
        point: (2,) degrees.
        row: (C,) probabilities.
        order: (C,) cells, most probable first.
        mass: the share, below 1.
    """
    total = np.cumsum(row[order], dtype=np.float64)
    cells = order[: int(np.searchsorted(total, mass * total[-1])) + 1]
    reach = distance_km(point, partition.centroids[cells]) + np.nan_to_num(partition.radius_km[cells], nan=0.0)
    return float(reach.max())


def _outside(partition: Partition, points: Floats) -> NDArray[np.bool_]:
    if not partition.can_assign:
        return np.zeros(len(points), dtype=np.bool_)
    return np.asarray(partition.assign(points) == OUTSIDE)


def _doubt(radius_50_km: float, outside: bool) -> str:
    reasons = []
    if radius_50_km > DOUBT_KM:
        reasons.append(f"half of the probability is spread over {radius_50_km:,.0f} km around the point")
    if outside:
        reasons.append("the point lies in none of the head's cells")
    return " and ".join(reasons)


def _guess(partition: Partition, row: NDArray[np.float32], cell: int) -> CellGuess:
    lat, lon = partition.centroids[cell].tolist()
    return CellGuess(cell, partition.names[cell], float(row[cell]), lat, lon)
