"""What a calibration is worth on locations that it has not seen: each half of the validation by the other half."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocell.geo.geodesy import Floats, distance_km
from geocell.heads.calibration import COVERAGES
from geocell.metrics.clusters import Clusters
from geocell.metrics.places import place_clusters
from geocell.partitioners.base import OUTSIDE, Partition
from geocell.uncertainty.areas import cell_areas
from geocell.uncertainty.cell_sets import METHODS, Method, set_scores
from geocell.uncertainty.conformal import conformal_factor, conformal_quantile, conformal_radius_km
from geocell.uncertainty.errors import calibration_errors, reliability
from geocell.uncertainty.radii import cell_spread_km, mass_radii_km, mass_within
from geocell.uncertainty.selective import (
    RISK_KM,
    augrc,
    augrc_interval,
    aurc,
    aurc_interval,
    risk_coverage,
)
from geocell.uncertainty.vector import Scale

Probabilities = NDArray[np.float32]
Bools = NDArray[np.bool_]
FitScale = Callable[[Probabilities, Bools], Scale]
Answers = Callable[[Scale, Probabilities, Bools], Floats]
"""From a scale, the (P, C) probabilities by it, and the rows that it was learned on, to (P, 2) answers in degrees."""

_CURVE_POINTS = 100


@dataclass(frozen=True, eq=False)
class Validation:
    """What a head that is not calibrated says of P validation locations.

    Attributes:
        posterior: (P, C) probabilities.
        cells: (P,) true cells.
        latlon: (P, 2) degrees, the truth.
        uniform: (P,) random numbers of the sets.
    """

    posterior: Probabilities
    cells: NDArray[np.int64]
    latlon: Floats
    uniform: Floats

    @property
    def inside(self) -> Bools:
        """Which (P,) locations are in a cell."""
        return np.asarray(self.cells != OUTSIDE)


def true_cells(partition: Partition, latlon: Floats) -> NDArray[np.int64]:
    """Return the (P,) true cell of locations, of the nearest centroid where a partition only decodes."""
    return partition.assign(latlon) if partition.can_assign else partition.nearest(latlon)


def half_radii_km(partition: Partition, posterior: Probabilities, points: Floats) -> Floats:
    """Return the (P,) radii around points that hold half of the probability; see `mass_radii_km`."""
    found = mass_radii_km(points, posterior, partition.centroids, cell_spread_km(partition), (0.5,))
    return np.asarray(found[:, 0])


def held_out(validation: Validation, partition: Partition, fit: FitScale, answers: Answers) -> dict[str, Any]:
    """Return the errors before and after, coverages and curves: of each half, calibrated on and answered by the other.

    Args:
        validation: P locations and what the head says of them.
        partition: the C cells.
        fit: what learns the scale of a posterior on some of its rows.
        answers: what decodes a posterior of that scale, with what else a calibration learns on the same rows.

    Returns:
        `before` and `after` (errors and `reliability`), `coverage` of the radii, `set_coverage` by method, and `risk`
        for answers that are wrong by more than 200 km. Nothing where all locations are at so few places that a half
        has none.
    """
    v, inside = validation, validation.inside
    half = half_of_places(v.latlon)
    if not (half & inside).any() or not (~half & inside).any():
        return {}
    after, points = np.empty_like(v.posterior), np.empty((len(v.cells), 2))
    radii_held: dict[int, list[Bools]] = {}
    sets_held: dict[Method, dict[int, list[Bools]]] = {method: {} for method in METHODS}
    for fold in (half, ~half):
        known = ~fold & inside
        scale = fit(v.posterior, known)
        sure = scale(v.posterior)
        decoded = answers(scale, sure, ~fold)
        after[fold], points[fold] = sure[fold], decoded[fold]
        away, radii = distance_km(decoded, v.latlon), half_radii_km(partition, sure, decoded)
        for coverage, q in _learned(lambda c: conformal_factor(away[~fold], radii[~fold], c)):  # noqa: B023
            hits = away[fold] <= conformal_radius_km(q, radii[fold])
            radii_held.setdefault(coverage, []).append(hits)
        for method, held in sets_held.items():
            scores = set_scores(sure, v.cells, method, cell_areas(partition).km2, v.uniform)
            for coverage, q in _learned(lambda c: conformal_quantile(scores[~fold], c)):  # noqa: B023
                held.setdefault(coverage, []).append(scores[fold] <= q)
    return {
        "before": _errors(v.posterior[inside], v.cells[inside]),
        "after": _errors(after[inside], v.cells[inside]),
        "coverage": _shares(radii_held),
        "set_coverage": {method: _shares(held) for method, held in sets_held.items()},
        "risk": risk_record(
            mass_within(after, points, partition.centroids, RISK_KM),
            distance_km(points, v.latlon) > RISK_KM,
            Clusters.of_places(v.latlon).drawn,
        ),
    }


def risk_record(confidence: Floats, wrong: Bools, clusters: NDArray[np.int64] | None = None) -> dict[str, Any]:
    """Return AURC and AUGRC with their intervals, and the risk–coverage curve at no more than a hundred coverages.

    Args:
        confidence: (P,), larger for answers that are kept first, P >= 1.
        wrong: (P,) whether an answer is wrong.
        clusters: (P,) numbers from 0 of what was drawn together; every location on its own when omitted.

    Returns:
        JSON; `aurc_interval` and `augrc_interval` are there from two clusters on.
    """
    coverage, risk = risk_coverage(confidence, wrong)
    shown = np.unique(np.linspace(0, len(risk) - 1, min(_CURVE_POINTS, len(risk))).round().astype(np.int64))
    curve = np.round(np.stack([coverage, risk], axis=1)[shown], 4).tolist()
    areas: dict[str, Any] = {"aurc": aurc(confidence, wrong), "augrc": augrc(confidence, wrong)}
    if len(wrong) > 1 and (clusters is None or clusters.max() > 0):
        areas["aurc_interval"] = list(aurc_interval(confidence, wrong, clusters))
        areas["augrc_interval"] = list(augrc_interval(confidence, wrong, clusters))
    return {**areas, "curve": curve}


def half_of_places(latlon: Floats) -> Bools:
    """Return which (P,) locations are in one of two halves; those of one place are in the same."""
    which = place_clusters(latlon)
    return np.asarray((np.random.default_rng(0).permutation(int(which.max()) + 1) % 2 == 0)[which])


def _learned(learn: Callable[[float], float]) -> Iterator[tuple[int, float]]:
    for coverage in COVERAGES:
        with suppress(ValueError):  # too few for that coverage in a half
            yield coverage, learn(coverage / 100)


def _errors(posterior: Probabilities, cells: NDArray[np.int64]) -> dict[str, Any]:
    curve = reliability(posterior.max(axis=1), posterior.argmax(axis=1) == cells)
    return {**calibration_errors(posterior, cells).to_dict(), "reliability": np.round(curve, 4).tolist()}


def _shares(held: dict[int, list[Bools]]) -> dict[str, float]:
    return {str(coverage): float(np.concatenate(hits).mean()) for coverage, hits in held.items()}
