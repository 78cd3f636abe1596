"""What a head answers for one location."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocell.display import Display, TextTable, km_text, share_text
from geocell.files import printable
from geocell.geo.geodesy import Floats, distance_km
from geocell.prediction.answer_map import answers_map


@dataclass(frozen=True)
class CellGuess:
    """One of the most probable cells.

    Attributes:
        cell: class index.
        name: the cell's name in its partition.
        probability: its probability.
        lat: latitude of its centroid in degrees.
        lon: longitude of its centroid in degrees.
        place: the centroid in words, `34 km NW of Paris, France` say; "" without a gazetteer.
    """

    cell: int
    name: str
    probability: float
    lat: float
    lon: float
    place: str = ""


@dataclass(frozen=True)
class Area:
    """The cells of the set of 90 %, as far as a map can show it.

    Attributes:
        cells: (k,) class indices, in the order in which they are taken, at most `MOST_CELLS`.
        probability: (k,) float32.
    """

    cells: NDArray[np.int32]
    probability: NDArray[np.float32]


MOST_CELLS = 60
"""Cells of one answer that are kept for a map, which bounds the memory of a million answers."""


@dataclass(frozen=True, repr=False)
class Prediction:
    """What a head answers for one location.

    Attributes:
        location: its id, or the images it was asked about.
        lat: decoded latitude in degrees, NaN where there is no answer.
        lon: decoded longitude in degrees, NaN where there is no answer.
        decoder: which decoder turned the posterior into the point.
        radius_50_km: distance from the point within which half of the head's probability lies, each cell's spread over
            a disc of its size; where `calibrated`, within which half of the true positions lie of locations like those
            of the calibration.
        radius_90_km: the same for 90 %.
        doubt: why the image may not show a place in the head's region, "" when nothing says so. That is a reason to
            disbelieve the answer; an empty one is none to believe it.
        cells: the K most probable cells, most probable first.
        place: the point in words, `34 km NW of Paris, France` say; "" without a gazetteer.
        problem: why there is no answer, or which views of the location could not be read; "" when all is well.
        truth: true latitude and longitude in degrees, None where they are unknown.
        confidence: probability of the cells whose centroid is within 200 km of the point; None without an answer.
        calibrated: whether the radii are those of a calibration, and probabilities are at its temperature.
        sets: how the sets of cells of this answer are made, see `geocell.prediction.sets`; "" without an answer.
        area_50_km2: area of the cells that hold half of the probability, or where `sets` is not `mass` the truth half
            of the time; None without an answer.
        area_90_km2: the same for 90 %.
        abstained: whether the answer is withheld, because its confidence is below the threshold.
        set_cells: cells of the sets of 50 and 90 %, where their polygons were asked for; in GeoJSON alone.
        outside_region: whether it is so unlike the photographs of the head's region that the head says so; None where
            it did not learn that, or there is no answer.
        outside_score: how unlike it is, 0 on average in the region; see `geocell.uncertainty.region_model`; None
            likewise.
        area: cells for a map; in no file but a map.
        thumbnails: small JPEG files of the first views, for a map; in no file but a map.
    """

    location: str
    lat: float
    lon: float
    decoder: str
    radius_50_km: float
    radius_90_km: float
    doubt: str
    cells: tuple[CellGuess, ...]
    place: str = ""
    problem: str = ""
    truth: tuple[float, float] | None = None
    confidence: float | None = None
    calibrated: bool = False
    sets: str = ""
    area_50_km2: float | None = None
    area_90_km2: float | None = None
    abstained: bool = False
    set_cells: tuple[NDArray[np.int64], NDArray[np.int64]] | None = field(default=None, repr=False, compare=False)
    outside_region: bool | None = None
    outside_score: float | None = None
    area: Area | None = field(default=None, repr=False, compare=False)
    thumbnails: tuple[bytes, ...] = field(default=(), repr=False, compare=False)

    def __repr__(self) -> str:
        """Return the answer in one line."""
        return f"<Prediction {printable(self.line)}>"

    def _repr_html_(self) -> str:
        return self._display().html()

    @property
    def line(self) -> str:
        """The answer in one line: where, how far around, how far off, and what speaks against it."""
        if not self.answered:
            return f"{self.location}: no answer: {self.problem}"
        parts = [f"{self.lat:.4f}, {self.lon:.4f}{f' ({self.place})' if self.place else ''}"]
        parts.append(f"90 % within {km_text(self.radius_90_km)}")
        if self.distance_km is not None:
            parts.append(f"{km_text(self.distance_km)} from the truth")
        parts += [text for text in ("withheld" * self.abstained, "doubtful" * bool(self.doubt)) if text]
        return f"{self.location}: {'; '.join(parts)}"

    def _display(self) -> Display:
        if not self.answered:
            return Display(self.location, [("no answer", self.problem)])
        facts = [
            ("answer", f"{self.lat:.4f}, {self.lon:.4f}, decoder {self.decoder}"),
            ("place", self.place),
            ("50 % within", km_text(self.radius_50_km)),
            ("90 % within", km_text(self.radius_90_km)),
            ("within 200 km", "" if self.confidence is None else f"with probability {share_text(self.confidence)}"),
            ("calibrated", "yes" if self.calibrated else "no"),
            ("withheld", "less sure than asked for" if self.abstained else ""),
            ("doubtful", self.doubt),
            ("problem", self.problem),
            ("off by", "" if self.distance_km is None else km_text(self.distance_km)),
        ]
        rows = [(cell.place or cell.name, share_text(cell.probability)) for cell in self.cells]
        table = TextTable(("most probable cells", ""), rows, total=len(rows))
        return Display(self.location, facts, [table], answers_map(*places_of([self])))

    @property
    def answered(self) -> bool:
        """Whether there is an answer."""
        return not math.isnan(self.lat)

    @property
    def distance_km(self) -> float | None:
        """Great-circle distance from the truth to the answer, None where one of them is unknown."""
        if self.truth is None or not self.answered:
            return None
        return float(distance_km(self.truth, (self.lat, self.lon)))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form: numbers that are unknown are None."""
        truth = None if self.truth is None else {"lat": self.truth[0], "lon": self.truth[1]}
        numbers = {name: _number(getattr(self, name)) for name in ("lat", "lon", "radius_50_km", "radius_90_km")}
        return {
            "location": self.location,
            "lat": numbers["lat"],
            "lon": numbers["lon"],
            "place": self.place,
            "decoder": self.decoder,
            "radius_50_km": numbers["radius_50_km"],
            "radius_90_km": numbers["radius_90_km"],
            "confidence": self.confidence,
            "calibrated": self.calibrated,
            "abstained": self.abstained,
            "sets": self.sets,
            "area_50_km2": self.area_50_km2,
            "area_90_km2": self.area_90_km2,
            "outside_region": self.outside_region,
            "outside_score": self.outside_score,
            "doubt": self.doubt,
            "problem": self.problem,
            "truth": truth,
            "distance_km": self.distance_km,
            "cells": [dict(vars(cell)) for cell in self.cells],
        }


def places_of(items: Sequence[Prediction]) -> tuple[Floats, Floats]:
    """Return the (P, 2) degrees of answers and of true places, NaN where there is none."""
    points = np.array([(item.lat, item.lon) for item in items], dtype=np.float64).reshape(-1, 2)
    truths = [(math.nan, math.nan) if item.truth is None else item.truth for item in items]
    return points, np.array(truths, dtype=np.float64).reshape(-1, 2)


def unanswered(location: str, decoder: str, problem: str, truth: tuple[float, float] | None = None) -> Prediction:
    """Return the row of a location that has no answer."""
    nan = math.nan
    return Prediction(location, nan, nan, decoder, nan, nan, "", (), problem=problem, truth=truth)


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
