"""Calibration of a head on locations that it was not trained on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.decoders.balscore import SHARE_RADII_KM, fit_shares
from geocell.decoders.table import AnyDecoder, as_decoder
from geocell.features.locations import Locations
from geocell.geo.geodesy import Floats, distance_km
from geocell.heads.calibration import COVERAGES, Calibration
from geocell.heads.combination import Combination
from geocell.heads.head import Head
from geocell.heads.trained_on import count_trained_on, locations_sha256
from geocell.metrics.outcomes import balscore_of, within_shares
from geocell.metrics.places import place_clusters
from geocell.partitioners.base import OUTSIDE, Partition
from geocell.splits.splits import UNKNOWN_PROTOCOL
from geocell.uncertainty.conformal import conformal_factor, conformal_radius_km
from geocell.uncertainty.errors import calibration_errors
from geocell.uncertainty.nearness import Nearness
from geocell.uncertainty.radii import cell_spread_km, mass_radii_km
from geocell.uncertainty.temperature import fit_temperature, scaled

if TYPE_CHECKING:
    from geocell.zeroshot.classifier import ZeroShot

LEAST = 20
"""Fewest locations: a radius of 90 % needs 9, and two halves of them are told apart."""

Probabilities = NDArray[np.float32]
FitTemperature = Callable[[Probabilities, NDArray[np.bool_]], float]


def calibrate(
    head: Head | Combination | ZeroShot,
    locations: Locations,
    decode: AnyDecoder = "centroid",
    split: str = "",
    device: str = "auto",
    *,
    protocol: str = UNKNOWN_PROTOCOL,
    allow_training: bool = False,
) -> Calibration:
    """Learn temperature, the shares of the decoder `balscore`, and radii with coverage on validation locations.

    What the head learned in an earlier calibration is not used. The locations should look like those that the head
    will be asked about: a calibration on other photographs of the same places is too sure of itself elsewhere. The
    errors in `record` are of halves: each half is calibrated on the other one.

    Args:
        head: the head, a combination of several, or a zero-shot classifier; it is not changed
            (`dataclasses.replace(head, calibration=...)` applies the result).
        locations: P >= 20 locations that it was not trained on.
        decode: the decoder whose radii are learned, and that commands decode with afterwards.
        split: name of the split that the locations are, for the record.
        device: where the head computes.
        protocol: how the splits were drawn, for the record; see `geocell.splits.splits.Splits`.
        allow_training: whether locations that the head was trained on are meant.

    Raises:
        ValueError: for too few locations, training locations, features of another encoder, or a decoder that needs what
            the head does not have.
    """
    if len(locations) < LEAST:
        raise ValueError(f"a calibration needs at least {LEAST} locations, got {len(locations)}: name a larger split.")
    n_trained_on = count_trained_on(head.trained_on, locations)
    if n_trained_on and not allow_training:
        raise ValueError(
            f"{n_trained_on:,} of the {len(locations):,} locations are training locations of the head, on which it is "
            "surer than elsewhere: calibrate on a split that it was not trained on."
        )
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
    fit = _temperature_of(head, cells, locations.latlon)
    temperature = fit(posterior, inside)
    sure = scaled(posterior, temperature)
    shares = fit_shares(sure, locations.latlon, head.partition.centroids)
    learned = Calibration(temperature, shares, decoder.spec, dict.fromkeys(COVERAGES, 1.0))
    prepared = replace(head, calibration=learned).prepare(decoder)
    points = np.concatenate(
        [part for _, _, part in replace(head, calibration=learned).answer_chunks(locations, prepared, device)]
    )
    away = distance_km(points, locations.latlon)
    radii = half_radii_km(head.partition, sure, points)
    factors = {coverage: conformal_factor(away, radii, coverage / 100) for coverage in COVERAGES}
    record = {
        "split": split,
        "protocol": protocol,
        "locations_sha256": locations_sha256(locations),
        "n_locations": len(locations),
        "n_outside": int((~inside).sum()),
        "date": datetime.now(UTC).date().isoformat(),
        "balscore": balscore_of(away),
        "within": {str(radius): share for radius, share in within_shares(away).items()},
        **_halves(posterior, cells, away, head.partition, points, locations.latlon, inside, fit),
    }
    return Calibration(temperature, shares, decoder.spec, factors, record)


def _temperature_of(head: Head | Combination | ZeroShot, cells: NDArray[np.int64], latlon: Floats) -> FitTemperature:
    """Return the fit of a temperature to some of the rows: by the true cell, or of candidates by what is near."""
    if head.partition.can_assign or isinstance(head, Head):
        return lambda posterior, rows: fit_temperature(posterior[rows], cells[rows])
    near = Nearness.of(head.partition.centroids, latlon, SHARE_RADII_KM)
    return lambda posterior, rows: near.take(rows).fit_temperature(posterior[rows])


def true_cells(partition: Partition, latlon: Floats) -> NDArray[np.int64]:
    """Return the (P,) true cell of locations, of the nearest centroid where a partition only decodes."""
    return partition.assign(latlon) if partition.can_assign else partition.nearest(latlon)


def half_radii_km(partition: Partition, posterior: Probabilities, points: Floats) -> Floats:
    """Return the (P,) radii around points that hold half of the probability; see `mass_radii_km`."""
    spread = cell_spread_km(partition)
    return np.array(
        [
            mass_radii_km(point, row, np.argsort(-row, kind="stable"), partition.centroids, spread, (0.5,))[0]
            for point, row in zip(points, posterior, strict=True)
        ]
    )


def _halves(
    posterior: Probabilities,
    cells: NDArray[np.int64],
    away: Floats,
    partition: Partition,
    points: Floats,
    latlon: Floats,
    inside: NDArray[np.bool_],
    fit: FitTemperature,
) -> Mapping[str, Any]:
    """Return the errors before and after, and the coverage of the radii: of each half, calibrated on the other.

    Nothing where all locations are at so few places that a half has none.
    """
    half = _half_of_places(latlon)
    if not (half & inside).any() or not (~half & inside).any():
        return {}
    after = np.empty_like(posterior)
    held: dict[int, list[NDArray[np.bool_]]] = {coverage: [] for coverage in COVERAGES}
    for fold in (half, ~half):
        known = ~fold & inside
        temperature = fit(posterior, known)
        after[fold] = scaled(posterior[fold], temperature)
        radii = half_radii_km(partition, scaled(posterior, temperature), points)
        for coverage in COVERAGES:
            try:
                q = conformal_factor(away[~fold], radii[~fold], coverage / 100)
            except ValueError:  # too few for that coverage in a half
                continue
            held[coverage].append(away[fold] <= conformal_radius_km(q, radii[fold]))
    return {
        "before": calibration_errors(posterior[inside], cells[inside]).to_dict(),
        "after": calibration_errors(after[inside], cells[inside]).to_dict(),
        "coverage": {str(c): float(np.concatenate(hits).mean()) for c, hits in held.items() if hits},
    }


def _half_of_places(latlon: Floats) -> NDArray[np.bool_]:
    """Return which (P,) locations are in one of two halves; those of one place are in the same."""
    which = place_clusters(latlon)
    return np.asarray((np.random.default_rng(0).permutation(int(which.max()) + 1) % 2 == 0)[which])
