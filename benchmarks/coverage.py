"""How often the intervals of the benchmarks, and those of AURC and AUGRC, hold the truth, by simulation.

Differences: places and repeats of cross-validated answers on the shared features are drawn with replacement, and the
truth is the difference over all places and all repeats. The answers are those of kernel ridge regressions to K-Means
cells, which take milliseconds to fit and are about as good as heads, and of the nearest neighbour on centred features.
Beside the intervals of `protocol.py` stand those of places alone, and those of a plain bootstrap of places and repeats.

AURC and AUGRC: confidences and errors of the places of the shared features are drawn, with an effect of the place that
has the share "alike" of the variance; places are drawn from these, and the truth is what all of them have.

Run: python -m benchmarks.coverage [--quick] [--json], then python -m benchmarks.readme
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.common import conditions, finish, parse_flags, shared_data
from benchmarks.protocol import (
    RADII_KM,
    Answer,
    Floats,
    Ints,
    Protocol,
    balscores,
    difference_draws,
    interval_of,
    mean_of_drawn_repeats,
    places_of,
)
from benchmarks.real_features import real_locations
from geocell.evaluation.baselines import nearest_points
from geocell.geo.geodesy import distance_km
from geocell.metrics import intervals as package
from geocell.metrics.intervals import Interval, percentile_interval
from geocell.partitioners import KMeansPartitioner
from geocell.uncertainty.selective import augrc, augrc_interval, aurc, aurc_interval

SIMULATIONS, QUICK_SIMULATIONS = 300, 5
DRAWS = 500
POOL = 12
"""Repeats that are drawn from."""

RIDGE_64, RIDGE_128, NEAREST = "ridge, 64 cells", "ridge, 128 cells", "1-NN"
PAIRS = ((RIDGE_64, NEAREST), (RIDGE_128, RIDGE_64))
SIZES = ((3, 303), (6, 303), (3, 100))
"""Repeats and places that are drawn."""

AREAS = tuple((places, alike) for places in (30, 100, 303) for alike in (0.1, 0.5, 0.9))
SURE, SPREAD = 0.7, 1.5
"""Mean and deviation of the log-odds of a confidence."""

Method = Callable[[Floats, Floats, Ints, int], Interval]
"""From (R, P) km of two answers, the (P,) places and a seed to the interval of the difference."""


def ridge(protocol: Protocol, rest: Ints, test: Ints, repeat: int, *, k: int) -> Floats:
    """Return the distances of a kernel ridge regression to the cells, on centred features of unit length."""
    known, asked = protocol.locations.take(rest), protocol.locations.take(test)
    partition = KMeansPartitioner(k=k, seed=repeat).fit(known.latlon)
    mean = known.mean_features().mean(axis=0)
    x, z = (part.mean_features() - mean for part in (known, asked))
    x, z = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (x, z))
    targets = np.eye(len(partition))[partition.assign(known.latlon)] - 1 / len(partition)
    weights = np.linalg.solve(x @ x.T + 0.5 * np.eye(len(x)), targets)
    return distance_km(partition.centroids[(z @ x.T @ weights).argmax(axis=1)], asked.latlon)


def nearest(protocol: Protocol, rest: Ints, test: Ints, repeat: int) -> Floats:
    """Return the distances of the nearest neighbour on centred features."""
    del repeat  # nothing is random
    asked = protocol.locations.take(test)
    return distance_km(nearest_points(protocol.locations.take(rest), asked), asked.latlon)


ANSWERS: dict[str, Answer] = {RIDGE_64: partial(ridge, k=64), RIDGE_128: partial(ridge, k=128), NEAREST: nearest}


def of_protocol(own: Floats, other: Floats, places: Ints, seed: int) -> Interval:
    """Return the interval that tables have."""
    return interval_of(difference_draws(own, other, places, seed), _difference(own, other))


def of_places(own: Floats, other: Floats, places: Ints, seed: int) -> Interval:
    """Return that of the mean over these repeats."""
    return percentile_interval(difference_draws(own, other, places, seed).mean(axis=0))


def by_bootstrap(own: Floats, other: Floats, places: Ints, seed: int) -> Interval:
    """Return percentiles of the Bayesian bootstrap of places and repeats, with nothing added."""
    weights = np.random.default_rng(seed).standard_exponential((DRAWS, places.max() + 1))
    counts = weights @ np.bincount(places)

    def drawn(km: Floats) -> Floats:
        shares = [[weights @ np.bincount(places, row <= radius) / counts for radius in RADII_KM] for row in km]
        return np.asarray(np.cbrt(np.prod(shares, axis=1)))

    return percentile_interval(mean_of_drawn_repeats(drawn(own) - drawn(other)))


METHODS: dict[str, Method] = {"places and repeats": of_protocol, "places": of_places, "bootstrap": by_bootstrap}


def _difference(own: Floats, other: Floats) -> float:
    return float(balscores(own).mean() - balscores(other).mean())


def draw_places(places: Ints, n: int, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Return the locations of n places that are drawn with replacement, and the (P,) places of these from 0."""
    of_place = np.split(np.argsort(places, kind="stable"), np.cumsum(np.bincount(places))[:-1])
    drawn = [of_place[number] for number in rng.integers(len(of_place), size=n)]
    return np.concatenate(drawn), np.repeat(np.arange(n), [len(part) for part in drawn])


def differences(protocol: Protocol, simulations: int) -> Iterator[dict[str, Any]]:
    """Yield a line per pair of answers and size: how often each method holds the truth, and how wide it is."""
    places = places_of(protocol.locations)
    answers = {name: protocol.distances(answer) for name, answer in ANSWERS.items()}
    for name, base in PAIRS:
        own, other = answers[name], answers[base]
        for repeats, n in SIZES:
            rng = np.random.default_rng(1)
            truth, found = _difference(own, other), {method: np.empty((simulations, 2)) for method in METHODS}
            for i in range(simulations):
                index, together = draw_places(places, n, rng)
                rows = rng.integers(len(own), size=repeats)[:, None]
                for method, interval in METHODS.items():
                    found[method][i] = interval(own[rows, index], other[rows, index], together, i)
            for method, ends in found.items():
                held = (ends[:, 0] <= truth) & (truth <= ends[:, 1])
                yield {
                    "what": f"{name} less {base}",
                    "folds": "place" if protocol.by_place else "location",
                    "places": n,
                    "repeats": repeats,
                    "alike": "",
                    "truth": round(100 * truth, 2),
                    "simulations": simulations,
                    "method": method,
                    "held": round(100 * float(held.mean()), 1),
                    "width": round(100 * float(np.diff(ends).mean()), 2),
                }


def areas(places: Ints, simulations: int) -> Iterator[dict[str, Any]]:
    """Yield lines of AURC and AUGRC: how often their intervals hold the truth."""
    from scipy.special import expit
    from scipy.stats import norm

    for n, alike in AREAS:
        rng = np.random.default_rng(2)

        def effects(rng: np.random.Generator = rng, alike: float = alike) -> Floats:
            of_place = rng.normal(size=places.max() + 1)[places]
            return np.asarray(np.sqrt(alike) * of_place + np.sqrt(1 - alike) * rng.normal(size=len(places)))

        confidence = expit(SURE + SPREAD * effects())
        wrong = norm.cdf(effects()) > confidence
        drawn = [draw_places(places, n, rng) for _ in range(simulations)]
        for name, area, interval in (("AURC", aurc, aurc_interval), ("AUGRC", augrc, augrc_interval)):
            truth = area(confidence, wrong)
            ends = np.array([interval(confidence[index], wrong[index], together) for index, together in drawn])
            yield {
                "what": name,
                "folds": "",
                "places": n,
                "repeats": 1,
                "alike": alike,
                "truth": round(100 * truth, 2),
                "simulations": simulations,
                "method": "linearised",
                "held": round(100 * float(((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean()), 1),
                "width": round(100 * float(np.diff(ends).mean()), 2),
            }


def main() -> None:
    """Measure and report."""
    flags = parse_flags("how often intervals of the benchmarks, and of AURC, hold the truth")
    package.N_DRAWS = DRAWS  # more would only steady the ends of each interval
    n, locations = QUICK_SIMULATIONS if flags.quick else SIMULATIONS, real_locations(shared_data())
    rows = [row for by_place in (False, True) for row in differences(Protocol(locations, by_place, POOL), n)]
    rows += areas(places_of(locations), n)
    own = [row["held"] for row in rows if row["method"] in {"places and repeats", "linearised"}]
    summary = {"least often held": min(own), "most often held": max(own)}
    finish("coverage", [{**row, **conditions("numpy")} for row in rows], summary, flags)


if __name__ == "__main__":
    main()
