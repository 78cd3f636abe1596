"""How far the answers of a head can be trusted: risk of those that are kept, coverage of radii and sets, areas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.decoders.base import PreparedDecoder
from geocell.evaluation.held_out import half_radii_km, risk_record, true_cells
from geocell.features.locations import Locations
from geocell.geo.geodesy import Floats
from geocell.heads.calibration import COVERAGES, Calibration
from geocell.metrics.groups import named_groups
from geocell.metrics.intervals import share_draws, share_interval
from geocell.metrics.outcomes import Outcomes
from geocell.uncertainty.areas import RECALL_AREAS_KM2, areas_to_truth_km2, cell_areas, recall_against_area
from geocell.uncertainty.cell_sets import METHODS, Method, set_scores, uniform_of
from geocell.uncertainty.conformal import conformal_radius_km
from geocell.uncertainty.radii import mass_within
from geocell.uncertainty.selective import RISK_KM, abstains

if TYPE_CHECKING:
    from geocell.heads.protocol import HeadLike

Bools = NDArray[np.bool_]


class TrustRecorder:
    """Notes piece by piece, while a head answers, what its trust is measured by; no posterior is kept."""

    def __init__(self, head: HeadLike, locations: Locations, decoder: PreparedDecoder) -> None:
        """Prepare for P >= 1 locations that the head answers with a decoder."""
        n = len(locations)
        self._partition = head.partition
        self._cells = true_cells(head.partition, locations.latlon)
        self._areas = cell_areas(head.partition)
        self._uniform = uniform_of(locations.ids)
        known = head.calibration
        thresholds = None if known is None else known.set_thresholds
        self._record = TrustRecord(
            np.empty(n),
            np.empty(n),
            np.empty(n),
            np.empty(n) if known is not None and known.decoder == decoder.decoder.spec else None,
            {} if thresholds is None else {method: np.empty(n) for method in METHODS},
        )

    def __call__(self, rows: slice, posterior: NDArray[np.float32], points: Floats) -> None:
        """Note a piece of `answer_chunks`."""
        cells, areas, record = self._cells[rows], self._areas.km2, self._record
        record.confidence[rows] = mass_within(posterior, points, self._partition.centroids, RISK_KM)
        record.largest[rows] = posterior.max(axis=1)
        record.searched[rows] = areas_to_truth_km2(posterior, cells, areas)
        if record.radii is not None:
            record.radii[rows] = half_radii_km(self._partition, posterior, points)
        for method, scores in record.scores.items():
            scores[rows] = set_scores(posterior, cells, method, areas, self._uniform[rows])

    def record(self) -> TrustRecord:
        """Return what was noted."""
        return self._record


@dataclass(frozen=True, eq=False)
class TrustRecord:
    """What the trust of the answers for P locations is measured by.

    Attributes:
        confidence: (P,) probability within 200 km of the answer.
        largest: (P,) probability of the most probable cell.
        searched: (P,) km² of the cells that are searched, the most probable per area first, until the true one is met.
        radii: (P,) km around the answer with half of the mass; None where the decoder is not that of the calibration.
        scores: conformal method -> (P,) scores of the true cells; none without calibrated sets.
    """

    confidence: Floats
    largest: Floats
    searched: Floats
    radii: Floats | None
    scores: Mapping[Method, Floats]

    @classmethod
    def joined(cls, records: Sequence[TrustRecord]) -> TrustRecord:
        """Return the records of one or more pieces, one after the other."""
        radii = [record.radii for record in records if record.radii is not None]
        return cls(
            np.concatenate([record.confidence for record in records]),
            np.concatenate([record.largest for record in records]),
            np.concatenate([record.searched for record in records]),
            np.concatenate(radii) if radii else None,
            {method: np.concatenate([record.scores[method] for record in records]) for method in records[0].scores},
        )

    def to_dict(
        self,
        head: HeadLike,
        outcome: Outcomes,
        countries: ArrayLike | None = None,
        abstain_below: float | None = None,
    ) -> dict[str, Any]:
        """Return the measurements as JSON, for `Scores.trust`.

        Args:
            head: that answered.
            outcome: what became of the P locations, P >= 1.
            countries: (P,) names, None when they are not known.
            abstain_below: the confidence below which answers are withheld; that of the calibration when left out.
        """
        distances_km = outcome.distances_km
        wrong = distances_km > RISK_KM
        held, curve = recall_against_area(self.searched)
        areas = cell_areas(head.partition)
        points = areas.points
        risk, by_largest = (risk_record(values, wrong, outcome.drawn) for values in (self.confidence, self.largest))
        del by_largest["curve"]
        if abstain_below is None and head.calibration is not None:
            abstain_below = head.calibration.abstain_below
        hits = self._hits(head.calibration, distances_km)
        groups = {} if countries is None or not hits else dict(named_groups(countries))
        return {
            "risk_km": RISK_KM,
            "error": float(wrong.mean()),
            "confidence": risk,
            "max_probability": by_largest,
            "area_km2": {f"{share:g}": None if points else km2 for share, km2 in held.items()},
            "recall_against_area": {}
            if points
            else {f"{km2:.0f}": float(share) for km2, share in zip(RECALL_AREAS_KM2, curve, strict=True)},
            "areas_estimated": int(areas.estimated.sum()),
            "coverage": _coverage(hits, np.ones(len(distances_km), dtype=bool)),
            "coverage_intervals": _coverage_intervals(hits, outcome.drawn),
            "coverage_by_country": {
                name: {"n_locations": int(members.sum()), **_coverage(hits, members)}
                for name, members in groups.items()
            },
            "abstention": None if abstain_below is None else self._abstention(outcome, abstain_below),
        }

    def _hits(self, known: Calibration | None, distances_km: Floats) -> dict[str, dict[int, Bools]]:
        """Return what is calibrated -> coverage in percent -> which (P,) truths it holds."""
        hits: dict[str, dict[int, Bools]] = {}
        if known is not None and self.radii is not None:
            reach = {c: conformal_radius_km(known.radius_factors[c], self.radii) for c in COVERAGES}
            hits["radius"] = {coverage: distances_km <= km for coverage, km in reach.items()}
        if known is not None and known.set_thresholds is not None:
            for method, scores in self.scores.items():
                hits[method] = {c: scores <= known.set_thresholds[method][c] for c in COVERAGES}
        return hits

    def _abstention(self, outcome: Outcomes, below: float) -> dict[str, Any]:
        kept = ~abstains(self.confidence, below)
        value: dict[str, Any] = {"below": below, "n_kept": int(kept.sum()), "coverage": float(kept.mean())}
        if not kept.any():
            return value
        together = None if outcome.clusters is None else outcome.clusters.take(kept)
        others = Outcomes(outcome.distances_km[kept], clusters=together)
        scores, intervals = others.values(), others.intervals()
        low, high = intervals["within_200"]
        return {
            **value,
            "error": 1.0 - scores["within_200"],
            "error_interval": [1.0 - high, 1.0 - low],
            "scores": scores,
            "intervals": {name: list(ends) for name, ends in intervals.items()},
        }


def _coverage(hits: Mapping[str, Mapping[int, Bools]], members: Bools) -> dict[str, dict[str, float]]:
    return {
        name: {str(coverage): float(held[members].mean()) for coverage, held in of.items()} for name, of in hits.items()
    }


def _coverage_intervals(
    hits: Mapping[str, Mapping[int, Bools]], clusters: NDArray[np.int64] | None
) -> dict[str, dict[str, list[float]]]:
    """Return what is calibrated -> coverage in percent -> the 95 % interval of the share that it holds."""
    return {
        name: {
            str(coverage): list(share_interval(share_draws(held[:, None], clusters=clusters)[:, 0], float(held.mean())))
            for coverage, held in of.items()
        }
        for name, of in hits.items()
    }
