"""Calibration of a head on locations that it was not trained on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geocell.decoders.balscore import SHARE_RADII_KM, fit_shares
from geocell.decoders.base import Decoder
from geocell.decoders.centroid import Centroid
from geocell.decoders.table import AnyDecoder, as_decoder
from geocell.evaluation.held_out import (
    Bools,
    FitScale,
    Probabilities,
    Validation,
    half_radii_km,
    held_out,
    true_cells,
)
from geocell.features.locations import Locations
from geocell.geo.geodesy import Floats, distance_km
from geocell.heads.calibration import COVERAGES, Calibration
from geocell.heads.combination import Combination
from geocell.heads.head import Head
from geocell.heads.trained_on import count_trained_on, locations_sha256
from geocell.metrics.outcomes import balscore_of, within_shares
from geocell.metrics.places import place_clusters
from geocell.partitioners.base import OUTSIDE
from geocell.splits.splits import UNKNOWN_PROTOCOL
from geocell.uncertainty.areas import cell_areas
from geocell.uncertainty.cell_sets import METHODS, set_scores, uniform_of
from geocell.uncertainty.conformal import conformal_factor, conformal_quantile
from geocell.uncertainty.nearness import Nearness
from geocell.uncertainty.radii import mass_within
from geocell.uncertainty.selective import RISK_KM, find_threshold
from geocell.uncertainty.vector import Scale, Scaling, choose_width, fit_of_width

if TYPE_CHECKING:
    from geocell.heads.zero_shot import ZeroShot

LEAST = 20
"""Fewest locations: a radius of 90 % needs 9, and two halves of them are told apart."""

MOST = 100_000
"""Most locations that are learned from: by chance, the coverage of radii is then off by 0.1 % (one standard error)."""

_PROBABILITIES = 1 << 28  # held at once in float32, several times: fewer locations of many cells


def calibrate(  # noqa: PLR0913 - all that a calibration is asked for
    head: Head | Combination | ZeroShot,
    locations: Locations,
    decode: AnyDecoder = "centroid",
    split: str = "",
    device: str = "auto",
    *,
    protocol: str = UNKNOWN_PROTOCOL,
    allow_training: bool = False,
    scaling: Scaling = "temperature",
    max_error: float | None = None,
) -> Calibration:
    """Learn on validation locations how sure a head may be.

    That is the temperature, the shares of the decoder `balscore`, radii and sets of cells with coverage, and where an
    error is wanted the confidence below which answers are withheld. What the head learned in an earlier calibration is
    not used. The locations should look like those that the head will be asked about: a calibration on other photographs
    of the same places is too sure of itself elsewhere. Of more than `MOST` locations, or 2²⁸ probabilities, whole
    places and a part of the last are drawn.

    The errors, coverages and curves in `record` are of halves: each is calibrated, and answered, by what was learned on
    the other one. `balscore`, `within` and `abstention` are of the calibration itself, on the locations that it was
    learned from. The parameters of a decoder, and how strongly biases are held back, are chosen on all of them.

    Args:
        head: the head, a combination of several, or a zero-shot classifier; it is not changed
            (`dataclasses.replace(head, calibration=...)` applies the result).
        locations: P >= 20 locations that it was not trained on.
        decode: the decoder whose radii are learned, and that commands decode with afterwards.
        split: name of the split that the locations are, for the record.
        device: where the head computes.
        protocol: how the splits were drawn, for the record; see `geocell.splits.splits.Splits`.
        allow_training: whether locations that the head was trained on are meant.
        scaling: `temperature`; `vector` for a bias per cell too; or `auto`, what is more likely on places left out.
        max_error: the wanted largest share of wrong answers, by more than 200 km, among those that are not withheld;
            see `find_threshold`.

    Raises:
        ValueError: for too few locations, training locations, features of another encoder, or a decoder that needs what
            the head does not have, or a wanted error that no threshold reaches.
    """
    if len(locations) < LEAST:
        raise ValueError(f"a calibration needs at least {LEAST} locations, got {len(locations)}: name a larger split.")
    n_trained_on = count_trained_on(head.trained_on, locations)
    if n_trained_on and not allow_training:
        raise ValueError(
            f"{n_trained_on:,} of the {len(locations):,} locations are training locations of the head, on which it is "
            "surer than elsewhere: calibrate on a split that it was not trained on."
        )
    n_given, locations = len(locations), _drawn(locations, _PROBABILITIES // len(head.partition))
    decoder = as_decoder(decode)
    plain = replace(head, calibration=None)
    posterior = plain.posterior(locations, device)
    cells = true_cells(head.partition, locations.latlon)
    inside = cells != OUTSIDE
    if inside.sum() < LEAST:
        raise ValueError(
            f"a calibration needs at least {LEAST} locations in cells of the head, got {int(inside.sum())} of "
            f"{len(locations)}: the head is of another region."
        )
    fit, losses = _scale_of(head, posterior, cells, locations.latlon, scaling)
    scale = fit(posterior, inside)
    sure = scale(posterior)

    def learned_on(scale: Scale, sure: Probabilities, latlon: Floats) -> Calibration:
        shares = fit_shares(sure, latlon, head.partition.centroids)
        bias = None if scale.bias is None else tuple(np.round(scale.bias, 6).tolist())
        return Calibration(scale.temperature, shares, decoder.spec, dict.fromkeys(COVERAGES, 1.0), bias=bias)

    learned = learned_on(scale, sure, locations.latlon)
    points = _points(replace(head, calibration=learned), locations, decoder, device)

    def answers(scale: Scale, sure: Probabilities, rows: Bools) -> Floats:
        if isinstance(decoder, Centroid) and scale.bias is None:
            return points  # no temperature changes which cell is the most probable one
        half = learned_on(scale, sure[rows], locations.latlon[rows])
        return _points(replace(head, calibration=half), locations, decoder, device)

    away = distance_km(points, locations.latlon)
    radii = half_radii_km(head.partition, sure, points)
    factors = {coverage: conformal_factor(away, radii, coverage / 100) for coverage in COVERAGES}
    uniform, areas = uniform_of(locations.ids), cell_areas(head.partition).km2
    scores = {method: set_scores(sure, cells, method, areas, uniform) for method in METHODS}
    threshold = None
    if max_error is not None:
        confidence = mass_within(sure, points, head.partition.centroids, RISK_KM)
        threshold = find_threshold(confidence, away > RISK_KM, max_error)
    record = {
        "split": split,
        "protocol": protocol,
        "locations_sha256": locations_sha256(locations),
        "n_locations": len(locations),
        **({"drawn_from": n_given} if len(locations) < n_given else {}),
        "n_outside": int((~inside).sum()),
        "date": datetime.now(UTC).date().isoformat(),
        "balscore": balscore_of(away),
        "within": {str(radius): share for radius, share in within_shares(away).items()},
        **({"scaling_nll": {f"{width:g}": nll for width, nll in losses.items()}} if losses else {}),
        **({"abstention": threshold.to_dict()} if threshold else {}),
        **held_out(Validation(posterior, cells, locations.latlon, uniform), head.partition, fit, answers),
    }
    return replace(
        learned,
        radius_factors=factors,
        record=record,
        set_thresholds={method: _thresholds(values) for method, values in scores.items()},
        abstain_below=None if threshold is None else threshold.below,
    )


def _points(head: Head | Combination | ZeroShot, locations: Locations, decoder: Decoder, device: str) -> Floats:
    """Return the (P, 2) answers of a head."""
    pieces = head.answer_chunks(locations, head.prepare(decoder), device)
    return np.concatenate([points for _, _, points in pieces])


def _drawn(locations: Locations, most: int) -> Locations:
    """Return the locations, or of too many whole places at random, but for the last; their order does not matter.

    A place of more than `most` locations is cut too: the locations of a place are drawn by their hashes.
    """
    most = max(min(most, MOST), LEAST)
    if len(locations) <= most:
        return locations
    places = place_clusters(locations.latlon)
    counts = np.bincount(places)
    order = np.random.default_rng(0).permutation(len(counts))
    rank = np.empty(len(counts), dtype=np.int64)
    rank[order] = np.arange(len(counts))
    return locations.take(np.sort(np.lexsort((locations.hashes, rank[places]))[:most]))


def _scale_of(
    head: Head | Combination | ZeroShot,
    posterior: Probabilities,
    cells: NDArray[np.int64],
    latlon: Floats,
    scaling: Scaling,
) -> tuple[FitScale, dict[float, float]]:
    """Return the fit of a scale to some of the rows, and the likelihoods it was chosen by.

    By the true cell, or of candidates by what is near: these have a temperature alone.
    """
    of_cells = isinstance(head, Head) or (isinstance(head, Combination) and head.partition.can_assign)
    if scaling != "temperature" and not of_cells:
        raise ValueError(
            f"scaling {scaling} learns a bias for every cell of a head, and this one answers with places: use "
            "temperature."
        )
    if of_cells or head.partition.can_assign:
        inside = cells != OUTSIDE
        width, losses = choose_width(posterior[inside], cells[inside], place_clusters(latlon[inside]), scaling)
        return lambda p, rows: fit_of_width(p[rows], cells[rows], width), losses
    near = Nearness.of(head.partition.centroids, latlon, SHARE_RADII_KM)
    return lambda p, rows: Scale(near.take(rows).fit_temperature(p[rows])), {}


def _thresholds(scores: Floats) -> dict[int, float]:
    """Return coverage in percent -> threshold; 1, by which a set has every cell, where too many truths are outside."""
    return {coverage: min(1.0, conformal_quantile(scores, coverage / 100)) for coverage in COVERAGES}
