"""What tells photographs of another region from those of the region of a head, and how often each rule is wrong.

Heads on the European locations of the shared features; the others are of elsewhere, of which a head knows nothing.
Folds are those of `protocol.py`, by location and by place: three train, one sets thresholds, one is asked beside all
locations of elsewhere. `mixed` asks new places too, but its thresholds are of other photographs of the training places.
Every score has its AUROC, and its false alarms and detections at the threshold for 5 % false alarms; nothing is chosen
on the fold that is asked. `chosen` is the score with the largest AUROC on the other folds and the other places of
elsewhere. Views of a location are joined to their mean; panoramas have four and are nearly all European, so locations
of one view are scored apart too.

Run: python -m benchmarks.doubt [--quick] [--json]
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import conditions, finish, parse_flags, shared_data
from benchmarks.protocol import Floats, Ints, folds, mean_of_drawn_repeats, places_of
from benchmarks.real_features import N_FOLDS, real_locations
from geocell.features.locations import Locations
from geocell.features.neighbours import NeighbourIndex
from geocell.heads.fit_config import FitConfig
from geocell.heads.head import Head
from geocell.metrics.intervals import N_DRAWS, percentile_interval
from geocell.partitioners import KMeansPartitioner
from geocell.prediction.doubt import DOUBT_KM
from geocell.prediction.predictions import predict_locations
from geocell.training.fit import fit_head
from geocell.uncertainty.moments import streamed_moments
from geocell.uncertainty.out_of_region import (
    angle_to_subspace,
    energy,
    entropy,
    largest_probability,
    mahalanobis,
    neighbour_distance,
    precision,
    principal_components,
    subspace_residual,
)

EUROPE = (35.0, -12.0, 72.0, 40.0)
"""South, west, north, east in degrees."""

Mask = NDArray[np.bool_]

REPEATS = 6
FALSE_ALARMS = 0.05
RADIUS, ANGLE = "radius of half of the probability", "angle to the subspace, 90 % of the variance"
BOTH, CHOSEN = "angle and entropy", "chosen on the other folds"
_VARIANCES = (0.8, 0.9, 0.95)


def scores_of(head: Head, train: Locations, asked: Locations) -> dict[str, Floats]:
    """Return name -> (P,) score of every candidate, large for locations unlike those of the training."""
    import torch

    known, x = train.mean_features(), asked.mean_features()
    moments = streamed_moments([known])
    cells = head.partition.assign(train.latlon)
    means = np.array([known[cells == cell].mean(axis=0) for cell in np.unique(cells)])
    within = streamed_moments([known - means[np.searchsorted(np.unique(cells), cells)]])
    to_cells = mahalanobis(x, means, precision(within))
    index = NeighbourIndex.from_locations(head, train)
    posterior = head.posterior(asked, "cpu")
    bases = {share: principal_components(moments, share) for share in _VARIANCES}
    angles = {
        f"angle to the subspace, {100 * share:.0f} % of the variance": angle_to_subspace(x, moments.mean, basis)
        for share, basis in bases.items()
    }
    return {
        RADIUS: np.array([a.radius_50_km for a in predict_locations(head, asked, device="cpu", top_k=1)]),
        "largest probability": largest_probability(posterior),
        "entropy": entropy(posterior),
        "energy": energy(head.module(torch.from_numpy(x)).numpy()),
        "Mahalanobis": to_cells,
        "relative Mahalanobis": to_cells - mahalanobis(x, moments.mean[None], precision(moments)),
        "nearest neighbour": neighbour_distance(index.nearest(x, 1)[1]),
        "10th neighbour": neighbour_distance(index.nearest(x, 10)[1]),
        "residual outside the subspace": subspace_residual(x, moments.mean, bases[0.9]),
        **angles,
    }


@dataclass(frozen=True, eq=False)
class Fold:
    """What one fold of one repeat gives: every candidate's scores, and which European locations were asked."""

    test: Ints
    val: Mapping[str, Floats]
    here: Mapping[str, Floats]
    there: Mapping[str, Floats]


def dealt(europe: Locations, repeat: int, kind: str) -> list[tuple[Ints, Ints, Ints]]:
    """Return (train, val, test) of five folds: by `location`, by `place`, or `mixed`."""
    parts = folds(europe, repeat, kind != "location")
    result = []
    for i, test in enumerate(parts):
        rest = [parts[(i + j) % N_FOLDS] for j in range(1, N_FOLDS)]
        if kind == "mixed":  # the same places in both
            rest = np.array_split(np.random.default_rng(repeat).permutation(np.concatenate(rest)), N_FOLDS - 1)
        result.append((np.concatenate(rest[1:]), rest[0], test))
    return result


def measure(europe: Locations, elsewhere: Locations, repeats: int, kind: str) -> list[list[Fold]]:
    """Return the folds of every repeat."""
    result = []
    for repeat in range(repeats):
        row = []
        for train, val, test in dealt(europe, repeat, kind):
            known = europe.take(train)
            partition = KMeansPartitioner(k=32, seed=repeat, min_count=3).fit(known.latlon)
            head = fit_head(known, None, partition, FitConfig(seed=repeat, device="cpu"))
            index = np.concatenate((val, test))
            scored = [scores_of(head, known, asked) for asked in (europe.take(index), elsewhere)]
            parts = [
                {name: value[: len(val)] for name, value in scored[0].items()},
                {name: value[len(val) :] for name, value in scored[0].items()},
                scored[1],
            ]
            for part in parts:
                part[BOTH] = np.sum([_standard(parts[0][name], part[name]) for name in (ANGLE, "entropy")], axis=0)
            row.append(Fold(test, *parts))
        result.append(row)
    return result


def _standard(val: Floats, scores: Floats) -> Floats:
    return np.asarray((scores - val.mean()) / val.std())


def weighted_auroc(here: Floats, there: Floats, w: Floats, v: Floats) -> Floats:
    """Return (N,) probabilities that a score there is larger, for (N, n) and (N, m) weights; ties count half."""
    pairs = (there > here[:, None]) + 0.5 * (there == here[:, None])
    return np.asarray(((w @ pairs) * v).sum(axis=1) / (w.sum(axis=1) * v.sum(axis=1)))


def threshold_of(val: Floats) -> float:
    """Return the score above which 5 % are flagged, by validation scores; the largest where they are too few."""
    rank = int(np.ceil((len(val) + 1) * (1 - FALSE_ALARMS)))
    return float(np.sort(val)[min(rank, len(val)) - 1])


def weights_of(locations: Locations, seed: int) -> Floats:
    """Return (1 + N_DRAWS, P) weights: all alike, then places drawn by the Bayesian bootstrap."""
    places = places_of(locations)
    drawn = np.random.default_rng(seed).standard_exponential((N_DRAWS, places.max() + 1))[:, places]
    return np.concatenate((np.ones((1, len(locations))), drawn))


def rows_of(runs: list[list[Fold]], kind: str, europe: Locations, elsewhere: Locations) -> list[dict[str, Any]]:
    """Return a line per candidate, and one for the score that is best on the other folds."""
    weights = weights_of(europe, 0), weights_of(elsewhere, 1)
    one_here, one_there = (np.diff(part.offsets) == 1 for part in (europe, elsewhere))
    own: dict[str, dict[str, Floats]] = {}
    for name in runs[0][0].here:
        found = [_of_run(run, name, weights, one_here, one_there) for run in runs]
        own[name] = {key: np.array([one[key] for one in found]) for key in found[0]}
    own[CHOSEN], counts = _chosen(runs, weights, elsewhere)
    rows = []
    for name, values_of in own.items():
        row: dict[str, Any] = {"folds": kind, "score": name, "repeats": len(runs)}
        for key, value in values_of.items():
            row |= dict(zip((key, f"{key}_low", f"{key}_high"), _interval(value), strict=True))
        for other, base in (("radius", RADIUS), ("angle", ANGLE)):
            if name != CHOSEN:
                difference = _interval(values_of["auroc"] - own[base]["auroc"])
                row |= dict(zip((f"less_{other}", f"less_{other}_low", f"less_{other}_high"), difference, strict=True))
        rows.append({**row, "chosen": counts if name == CHOSEN else ""})
    return [{**rows[0], **dict.fromkeys(rows[0], ""), **row} for row in rows]


def _of_run(
    run: list[Fold], name: str, weights: tuple[Floats, Floats], one_here: Mask, one_there: Mask
) -> dict[str, Floats]:
    """Return the (1 + N_DRAWS,) means over the folds of one repeat."""
    sums: dict[str, list[Floats]] = {"auroc": [], "auroc_one_view": [], "false_alarms": [], "detected": []}
    for fold in run:
        here, there, w, v = fold.here[name], fold.there[name], weights[0][:, fold.test], weights[1]
        one = one_here[fold.test]
        sums["auroc"].append(weighted_auroc(here, there, w, v))
        sums["auroc_one_view"].append(weighted_auroc(here[one], there[one_there], w[:, one], v[:, one_there]))
        limit = threshold_of(fold.val[name])
        sums["false_alarms"].append(w @ (here > limit) / w.sum(axis=1))
        sums["detected"].append(v @ (there > limit) / v.sum(axis=1))
    return {key: np.mean(value, axis=0) for key, value in sums.items()}


def _chosen(
    runs: list[list[Fold]], weights: tuple[Floats, Floats], elsewhere: Locations
) -> tuple[dict[str, Floats], str]:
    """Return the AUROC of the candidate that is best on the other folds and places, and how often each was chosen."""
    names = list(runs[0][0].here)
    found, chosen = [], []
    for repeat, run in enumerate(runs):
        places = places_of(elsewhere)
        part = (np.random.default_rng(100 + repeat).permutation(places.max() + 1) % N_FOLDS)[places]
        values = []
        for i, fold in enumerate(run):
            ones = [
                np.mean(
                    [
                        weighted_auroc(f.here[n], f.there[n][part != i], *(np.ones((1, k)) for k in sizes))[0]
                        for j, f in enumerate(run)
                        if j != i
                        for sizes in [(len(f.test), int((part != i).sum()))]
                    ]
                )
                for n in names
            ]
            best = names[int(np.argmax(ones))]
            chosen.append(best)
            there = fold.there[best][part == i]
            values.append(weighted_auroc(fold.here[best], there, weights[0][:, fold.test], weights[1][:, part == i]))
        found.append(np.mean(values, axis=0))
    counts = [f"{name} ({chosen.count(name)})" for name in names if name in chosen]
    return {"auroc": np.array(found)}, ", ".join(counts)


def _interval(values: Floats) -> tuple[float, float, float]:
    """Return the mean over (R, 1 + N_DRAWS) values, and its 95 % interval over places and repeats."""
    low, high = percentile_interval(mean_of_drawn_repeats(values[:, 1:]))
    return round(float(values[:, 0].mean()), 4), round(float(low), 4), round(float(high), 4)


def doubted(runs: list[list[Fold]], europe: Locations, elsewhere: Locations) -> list[dict[str, Any]]:
    """Return how often the radius alone makes an answer doubtful."""
    here, there = (np.concatenate([getattr(f, key)[RADIUS] for run in runs for f in run]) for key in ("here", "there"))
    return [
        {
            "photographs": name,
            "locations": len(locations),
            "doubted": round(float((radius > DOUBT_KM).mean()), 4),
            "median_radius_50_km": round(float(np.median(radius)), 1),
            "repeats": len(runs),
            **conditions("torch"),
        }
        for name, radius, locations in (("Europe, held out", here, europe), ("elsewhere", there, elsewhere))
    ]


def main() -> None:
    """Measure and report."""
    import torch

    torch.set_num_threads(1)  # products this small are slower on two threads than on one
    flags = parse_flags("what tells photographs of another region from those of the region of a head")
    locations = real_locations(shared_data())
    south, west, north, east = EUROPE
    lat, lon = locations.latlon.T
    inside = (lat > south) & (lat < north) & (lon > west) & (lon < east)
    europe, elsewhere = (locations.take(np.flatnonzero(mask)) for mask in (inside, ~inside))
    rows: list[dict[str, Any]] = []
    answers: list[dict[str, Any]] = []
    for kind in ("location", "place", "mixed"):
        runs = measure(europe, elsewhere, 1 if flags.quick else REPEATS, kind)
        sizes = {"n_here": len(europe), "n_there": len(elsewhere)}
        rows += [{**row, **sizes, **conditions("torch")} for row in rows_of(runs, kind, europe, elsewhere)]
        answers = answers or doubted(runs, europe, elsewhere)
    finish("doubt", answers, {}, flags)
    summary = {f"AUROC of {row['score']}, folds by {row['folds']}": row["auroc"] for row in rows}
    finish("outside_region", rows, summary, flags)


if __name__ == "__main__":
    main()
