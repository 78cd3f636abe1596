"""Predictions: from posteriors to points, the most probable cells, and how far around the points they reach."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from geocell.decoders.base import PreparedDecoder
from geocell.decoders.table import AnyDecoder
from geocell.features.locations import Locations
from geocell.files import printable
from geocell.geo.geodesy import Floats
from geocell.partitioners.base import Partition
from geocell.prediction.doubt import doubt_of, outside_cells, unlike_of
from geocell.prediction.files import prediction_frame, prediction_points, save_predictions
from geocell.prediction.notebook import predictions_display, summary_text
from geocell.prediction.records import MOST_CELLS, Area, CellGuess, Prediction
from geocell.prediction.sets import SetMaker, SetMethod
from geocell.uncertainty.cell_sets import uniform_of
from geocell.uncertainty.conformal import conformal_radius_km
from geocell.uncertainty.radii import cell_spread_km, mass_radii_km, mass_within
from geocell.uncertainty.selective import RISK_KM

if TYPE_CHECKING:
    import geopandas
    import pandas as pd

    from geocell.heads.protocol import HeadLike


_SHOWN = 3  # answers in a line of their own

Names = Callable[[Floats], Sequence[str]]
"""What names (P, 2) degrees: P texts such as `34 km NW of Paris, France`."""


@dataclass(frozen=True, eq=False, repr=False)
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

    def __repr__(self) -> str:
        """Return how many there are, and a line for each of the first."""
        lines = [f"  {printable(item.line)}" for item in self.items[:_SHOWN]]
        more = [f"  and {len(self) - _SHOWN:,} more"] if len(self) > _SHOWN else []
        return "\n".join([f"<Predictions: {summary_text(self.items)}>", *lines, *more])

    def _repr_html_(self) -> str:
        return predictions_display(self.items, len(self.partition)).html()

    def to_pandas(self) -> pd.DataFrame:
        """Return the answers as a table, with the columns of the CSV that `save` writes; what is unknown is missing.

        Returns:
            One row per location, in order: `location`, `lat`, `lon`, `place`, …, and `cell_1`, `place_1`,
            `probability_1` for each of the most probable cells.
        """
        return prediction_frame(self.items)

    def to_geopandas(self) -> geopandas.GeoDataFrame:
        """Return the table of `to_pandas` with the answers as points, EPSG:4326; None where there is no answer."""
        return prediction_points(self.items)

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


def town_names(latlon: Floats) -> list[str]:
    """Return the nearest town of each of (P, 2) degrees, such as `34 km NW of Paris, France`; see `Gazetteer`.

    Raises:
        ModuleNotFoundError: without the extra `gazetteer`.
    """
    from geocell.geo.gazetteer import Gazetteer

    return [str(nearest) for nearest in Gazetteer.load().nearest(latlon)]


def require_top_k(top_k: int) -> None:
    """Refuse a number of cells that cannot be named.

    Raises:
        ValueError: when it is no whole number of at least 1.
    """
    if not isinstance(top_k, int | np.integer) or isinstance(top_k, bool) or top_k < 1:
        raise ValueError(f"top_k must be a whole number of at least 1, got {top_k!r}.")


def prepare_answer(top_k: int, decode: AnyDecoder, head: HeadLike) -> PreparedDecoder:
    """Return the decoder prepared for a head, before anything slow happens.

    Raises:
        ValueError: for an unknown decoder, one that is not for this head, or a bad `top_k`.
    """
    require_top_k(top_k)
    return head.prepare(decode)


def predict_locations(
    head: HeadLike,
    locations: Locations,
    *,
    top_k: int = 5,
    decode: AnyDecoder = "centroid",
    device: str = "auto",
    names: Names | None = None,
    sets: SetMethod | None = None,
    abstain_below: float | None = None,
) -> Predictions:
    """Answer where locations are, from the features of their views.

    Args:
        head: a head, an ensemble, or whatever answers like one.
        locations: P locations with features of the head's encoder; coordinates that are finite become the truth of
            their predictions.
        top_k: K, how many cells to name.
        decode: the decoder: a name such as `within:200`, or an object.
        device: where the head computes: cpu, cuda, mps, or auto for the fastest there is.
        names: what names the answers and their cells; without it they have coordinates alone.
        sets: how sets of cells are made, whose cells predictions keep then, for polygons; only their areas when left
            out, by `hpd` of a calibrated head and by `mass` of others.
        abstain_below: the confidence below which an answer is withheld; that of the calibration when left out.

    Raises:
        ValueError: for another encoder, a bad `top_k`, sets that the head has not learned, or a decoder that is unknown
            or not for this head.
    """
    prepared = prepare_answer(top_k, decode, head)
    cells = _Cells(head.partition, names)
    factors = _radius_factors(head, prepared)
    maker = SetMaker.of(head, sets)
    if abstain_below is None and head.calibration is not None:
        abstain_below = head.calibration.abstain_below
    items: list[Prediction] = []
    for rows, posterior, points in head.answer_chunks(locations, prepared, device):
        order = np.argsort(-posterior, axis=1, kind="stable")
        outside = outside_cells(head.partition, points)
        uniform = uniform_of(locations.ids[rows])
        confidence = mass_within(posterior, points, head.partition.centroids, RISK_KM)
        unlike = unlike_of(head, locations.take(np.arange(rows.start, rows.stop)), posterior)
        cells.name_all(np.unique(order[:, :top_k]))
        places = names(points) if names is not None else [""] * len(points)
        radii = mass_radii_km(points, posterior, head.partition.centroids, cells.spread_km).tolist()
        for i, (point, row, best, (half, most)) in enumerate(zip(points, posterior, order, radii, strict=True)):
            doubt = doubt_of(half, bool(outside[i]), unlike[i])
            if factors is not None:
                half, most = (float(conformal_radius_km(q, half)) for q in factors)  # noqa: PLW2901 - as calibrated
            lat, lon = point.tolist()
            held = maker(row, float(uniform[i]))
            items.append(
                Prediction(
                    location=str(locations.ids[rows.start + i]),
                    lat=lat,
                    lon=lon,
                    decoder=prepared.decoder.spec,
                    radius_50_km=half,
                    radius_90_km=most,
                    doubt=doubt,
                    cells=tuple(cells.guess(row, int(c)) for c in best[:top_k]),
                    place=places[i],
                    truth=_truth(locations.latlon[rows.start + i]),
                    confidence=float(confidence[i]),
                    calibrated=factors is not None,
                    sets=maker.method,
                    area_50_km2=maker.km2(held[0]),
                    area_90_km2=maker.km2(held[1]),
                    abstained=abstain_below is not None and bool(confidence[i] < abstain_below),
                    set_cells=None if sets is None else held,
                    outside_region=unlike[i].flagged,
                    outside_score=unlike[i].score,
                    area=area_of(row, held[1]),
                )
            )
    return Predictions(tuple(items), head.partition)


def _radius_factors(head: HeadLike, decoder: PreparedDecoder) -> tuple[float, float] | None:
    """Return the factors of the radii of 50 and 90 %, None where these were not learned for this decoder."""
    known = head.calibration
    if known is None or known.decoder != decoder.decoder.spec:
        return None
    return known.radius_factors[50], known.radius_factors[90]


class _Cells:
    """The cells of a partition as answers name them."""

    def __init__(self, partition: Partition, names: Names | None) -> None:
        self._partition, self._names = partition, names
        self._places: dict[int, str] = {}
        self.spread_km = cell_spread_km(partition)

    def name_all(self, cells: NDArray[np.int64]) -> None:
        """Name the centroids of cells that have no name yet."""
        new = [cell for cell in cells.tolist() if cell not in self._places]
        if self._names is not None and new:
            self._places.update(zip(new, self._names(self._partition.centroids[new]), strict=True))

    def guess(self, row: NDArray[np.float32], cell: int) -> CellGuess:
        """Return a cell with its probability."""
        lat, lon = self._partition.centroids[cell].tolist()
        name = self._partition.names[cell]
        return CellGuess(cell, name, float(row[cell]), lat, lon, self._places.get(cell, ""))


def area_of(row: NDArray[np.float32], cells: NDArray[np.int64]) -> Area:
    """Return the first `MOST_CELLS` cells of a set for a map.

    Args:
        row: (C,) probabilities.
        cells: (k,) of a set.
    """
    cells = cells[:MOST_CELLS]
    return Area(cells.astype(np.int32), row[cells])


def _truth(latlon: Floats) -> tuple[float, float] | None:
    lat, lon = latlon.tolist()
    return (lat, lon) if np.isfinite(latlon).all() else None
