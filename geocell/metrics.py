"""Scores of predicted points: distances, shares within radii, balscore, and their intervals over locations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.decoders import decode as decode_posterior
from geocell.decoders import require_decoder
from geocell.files import FORMAT
from geocell.geodesy import as_latlon, distance_km

if TYPE_CHECKING:
    from geocell.head import Head
    from geocell.locations import Locations

RADII_KM = (1, 25, 200, 750, 2500)
"""Street, city, region, country, continent: the radii of the field (Vo, Jacobs and Hays 2017)."""

TOP_K = 5
N_BOOTSTRAP = 2000
INTERVAL = 0.95

Bools = NDArray[np.bool_]


def balscore(within_25: float, within_200: float, within_750: float) -> float:
    """Return the geometric mean of three shares: high only when street, region and country are right together.

    Args:
        within_25: share of locations within 25 km, a fraction or in percent like the other two.
        within_200: within 200 km.
        within_750: within 750 km.

    >>> round(balscore(31.4, 81.0, 98.6), 2)
    63.06
    """
    return float(np.cbrt(within_25 * within_200 * within_750))


@dataclass(frozen=True)
class Scores:
    """What a head reaches on some locations, by one decoder. Shares are fractions; distances are km.

    Attributes:
        decoder: which decoder turned the posterior into points.
        split: name of the split.
        n_locations: P; locations are counted, never views.
        n_cells: C.
        n_outside: locations that lie in no cell of the partition, which count as misses in top1 and top5; None when
            the partition cannot assign.
        top1: share whose true cell is the most probable one; None when the partition cannot assign.
        top5: share whose true cell is among the five most probable ones; None likewise.
        median_km: median distance to the true point.
        mean_km: mean distance.
        within: radius in km -> share at most that far.
        balscore: see `balscore`.
        intervals: `balscore` and `within_25` … -> 95 % percentile-bootstrap interval over locations.
        partition_sha256: which partition.
        head_sha256: which head; None for points that no head made.
    """

    decoder: str
    split: str
    n_locations: int
    n_cells: int
    n_outside: int | None
    top1: float | None
    top5: float | None
    median_km: float
    mean_km: float
    within: dict[int, float]
    balscore: float
    intervals: dict[str, tuple[float, float]]
    partition_sha256: str
    head_sha256: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; radii become strings."""
        value = {"format": FORMAT, **asdict(self)}
        value["within"] = {str(radius): share for radius, share in self.within.items()}
        value["intervals"] = {name: list(interval) for name, interval in self.intervals.items()}
        return value

    @classmethod
    def from_dict(cls, value: Mapping[str, Any], where: str = "scores") -> Scores:
        """Read the JSON form; `where` names its place in an error message.

        Raises:
            ValueError: for another format, or missing or unknown keys.
        """
        if value.get("format") != FORMAT:
            raise ValueError(
                f"{where} must be of format {FORMAT}, got {value.get('format')!r}: "
                "use the geocell version that wrote it, or score again."
            )
        names = {field.name for field in fields(cls)}
        if set(value) != names | {"format"}:
            raise ValueError(f"{where} must have the keys {sorted(names)}, got {sorted(set(value) - {'format'})}.")
        known = {name: value[name] for name in names}
        known["within"] = {int(radius): float(share) for radius, share in value["within"].items()}
        known["intervals"] = {name: (float(low), float(high)) for name, (low, high) in value["intervals"].items()}
        return cls(**known)


def within_shares(distances: NDArray[np.float64]) -> dict[int, float]:
    """Return radius -> share of the (P,) distances that are at most that far, for `RADII_KM`."""
    return {radius: float((distances <= radius).mean()) for radius in RADII_KM}


def balscore_of(distances: NDArray[np.float64]) -> float:
    """Return the balscore of (P,) distances in km."""
    within = within_shares(distances)
    return balscore(within[25], within[200], within[750])


def bootstrap_intervals(distances: NDArray[np.float64], seed: int = 0) -> dict[str, tuple[float, float]]:
    """Return 95 % percentile-bootstrap intervals of balscore and of the share within each radius.

    Locations are drawn with replacement (Efron 1979). All these scores depend only on how many locations fall
    between two radii, and those counts of a resample are multinomial: it is drawn from them directly, exactly and at
    a cost that does not grow with P.

    Args:
        distances: (P,) km, one per location.
        seed: of the resampling.

    Returns:
        `balscore`, `within_1`, `within_25` … -> (low, high).
    """
    ring = np.searchsorted(RADII_KM, distances, side="left")
    shares = np.bincount(ring, minlength=len(RADII_KM) + 1) / len(distances)
    draws = np.random.default_rng(seed).multinomial(len(distances), shares, size=N_BOOTSTRAP)
    within = np.cumsum(draws, axis=1)[:, : len(RADII_KM)] / len(distances)
    values = {f"within_{radius}": within[:, i] for i, radius in enumerate(RADII_KM)}
    product = values["within_25"] * values["within_200"] * values["within_750"]
    tails = [(1 - INTERVAL) / 2, (1 + INTERVAL) / 2]
    return {
        name: (float(low), float(high))
        for name, draw in {"balscore": np.cbrt(product), **values}.items()
        for low, high in [np.quantile(draw, tails)]
    }


def top_hits(posterior: NDArray[np.float32], cells: NDArray[np.int64]) -> tuple[Bools, Bools]:
    """Return whether the true cell is the most probable one, and whether it is among the five most probable.

    Args:
        posterior: (P, C) probabilities.
        cells: (P,) true cells; a location outside the partition has a negative one, and hits nothing.

    Returns:
        Two (P,) bool arrays.
    """
    k = min(TOP_K, posterior.shape[1])
    best = np.argpartition(-posterior, k - 1, axis=1)[:, :k]
    first = posterior.argmax(axis=1) == cells
    return first, first | (best == cells[:, None]).any(axis=1)


def scores_from_predictions(
    predicted: ArrayLike,
    truth: ArrayLike,
    *,
    decoder: str,
    n_cells: int,
    partition_sha256: str,
    split: str = "",
    hits: tuple[Bools, Bools] | None = None,
    n_outside: int | None = None,
) -> Scores:
    """Return the scores of predicted points.

    Args:
        predicted: (P, 2) degrees, P >= 1.
        truth: (P, 2) degrees.
        decoder: name of the decoder that made the points.
        n_cells: C.
        partition_sha256: which partition.
        split: name of the split.
        hits: what `top_hits` returns, None when the partition cannot assign.
        n_outside: locations outside the partition, None when it cannot assign.

    Raises:
        ValueError: when there is no location, or the shapes differ, or coordinates are invalid.
    """
    if np.size(truth) == 0:
        raise ValueError(f"scores need at least one location, and the split {split!r} has none: name another split.")
    points, true_points = as_latlon(predicted, "predicted"), as_latlon(truth, "truth")
    if points.shape != true_points.shape:
        raise ValueError(f"scores need one prediction per location, got {len(points)} for {len(true_points)}.")
    distances = distance_km(points, true_points)
    within = within_shares(distances)
    return Scores(
        decoder=decoder,
        split=split,
        n_locations=len(distances),
        n_cells=n_cells,
        n_outside=n_outside,
        top1=None if hits is None else float(hits[0].mean()),
        top5=None if hits is None else float(hits[1].mean()),
        median_km=float(np.median(distances)),
        mean_km=float(distances.mean()),
        within=within,
        balscore=balscore(within[25], within[200], within[750]),
        intervals=bootstrap_intervals(distances),
        partition_sha256=partition_sha256,
    )


def score(head: Head, locations: Locations, decode: str = "centroid", split: str = "") -> Scores:
    """Return the scores of a head on locations, without ever holding the whole posterior.

    Args:
        head: the head.
        locations: P locations with features of the head's encoder.
        decode: name of the decoder.
        split: name of the split that the locations are, for the record.

    Raises:
        ValueError: for an unknown decoder, no location, or features of another encoder.
    """
    require_decoder(decode)
    partition = head.partition
    cells = partition.assign(locations.latlon) if partition.can_assign and len(locations) else None
    points = np.empty((len(locations), 2))
    hits = (np.zeros(len(locations), dtype=bool), np.zeros(len(locations), dtype=bool))
    for rows, posterior in head.posterior_chunks(locations):
        points[rows] = decode_posterior(decode, posterior, partition.centroids)
        if cells is not None:
            hits[0][rows], hits[1][rows] = top_hits(posterior, cells[rows])
    scores = scores_from_predictions(
        points,
        locations.latlon,
        decoder=decode,
        n_cells=len(partition),
        partition_sha256=partition.sha256,
        split=split,
        hits=None if cells is None else hits,
        n_outside=None if cells is None else int((cells < 0).sum()),
    )
    return replace(scores, head_sha256=head.sha256)
