"""What each part of a fit is worth on real features of real photographs, one change at a time, and what the best has.

559 locations (922 views) at 303 places, EfficientNet-Lite0 features, 64 K-Means cells unless said otherwise. Five
folds, drawn anew and fitted with another seed in every repeat. Folds are drawn by location, as in `real_features.py`,
and once more by place, with all locations of one coordinate in one fold: a place that was never seen. Differences are
paired, to the default or to the base that is named; in their interval places and repeats are drawn, for both together.

The best configuration is chosen inside: for every fold of every repeat, by the mean balscore of the candidates over the
other four folds, each fitted without that fold and without the one it is scored on.

Run: python -m benchmarks.ablation [--quick] [--json]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from multiprocessing import get_context
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import set_num_threads

from benchmarks.ablation_cases import BY_PLACE, CASES, DEFAULT, NEAREST, PLAIN, QUICK, Case
from benchmarks.common import conditions, finish, parse_flags, shared_data
from benchmarks.plain_loop import fit_plain, plain_answers
from benchmarks.real_features import N_FOLDS, VALIDATION_SHARE, nearest_answer, real_locations
from geocell.compute.cores import usable_cores
from geocell.features.locations import Locations
from geocell.geo.geodesy import distance_km
from geocell.heads.ensemble import Ensemble
from geocell.heads.fit_config import FitConfig
from geocell.metrics.intervals import N_DRAWS, percentile_interval
from geocell.metrics.outcomes import balscore_of
from geocell.training.fit import fit_head
from geocell.views import latlon_keys

REPEATS = {False: 8, True: 5}
"""How often folds are dealt by location, and by place."""

RADII_KM = (25, 200, 750)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def folds(locations: Locations, seed: int, by_place: bool) -> list[Ints]:
    """Return the locations of five folds; by place, those of one coordinate are together."""
    rng = np.random.default_rng(seed)
    if not by_place:
        return list(np.array_split(rng.permutation(len(locations)), N_FOLDS))
    places = places_of(locations)
    of_place = rng.permutation(places.max() + 1) % N_FOLDS
    return [rng.permutation(np.flatnonzero(of_place[places] == i)) for i in range(N_FOLDS)]


def places_of(locations: Locations) -> Ints:
    """Return the (P,) place of every location: one number per coordinate."""
    return np.unique(latlon_keys(locations.latlon), return_inverse=True)[1].astype(np.int64)


def answered(case: Case, locations: Locations, rest: Ints, test: Ints, seed: int) -> Floats:
    """Return the distance in km of every test location from the answer of a case that was fitted on the rest."""
    n_val = int(VALIDATION_SHARE * len(rest)) if case.validate else 0
    train, val, unseen = locations.take(rest[n_val:]), locations.take(rest[:n_val]), locations.take(test)
    partition = case.partitioner.fit(locations.take(rest).latlon)
    if case.plain:
        module = fit_plain(train, val, partition, FitConfig(seed=100 * seed, device="cpu", **case.fit))
        return distance_km(plain_answers(module, unseen, partition), unseen.latlon)
    heads = []
    for number in range(case.heads):
        common: dict[str, Any] = {"seed": 100 * seed + number, "device": "cpu"}
        head = fit_head(train, val, partition, FitConfig(**common, **case.fit))
        if case.second:
            head = fit_head(train, val, partition, FitConfig(**common, **{**case.fit, **case.second}), init=head)
        heads.append(head)
    answering = Ensemble(tuple(heads)) if len(heads) > 1 else heads[0]
    pieces = [points for _, _, points in answering.answer_chunks(unseen, heads[0].config.decode, "cpu")]
    return distance_km(np.concatenate(pieces), unseen.latlon)


def nearest(locations: Locations, rest: Ints, test: Ints) -> Floats:
    """Return the distances of the place whose features are nearest."""
    known, unseen = locations.take(rest), locations.take(test)
    return distance_km(nearest_answer(known, locations.take(rest[:0]), unseen), unseen.latlon)


@dataclass(frozen=True, eq=False)
class Protocol:
    """Locations and how they are dealt into folds.

    Attributes:
        locations: P locations.
        by_place: whether all locations of one coordinate share a fold.
        repeats: R, each with folds and seeds of its own.
    """

    locations: Locations
    by_place: bool
    repeats: int

    def dealt(self, repeat: int) -> list[tuple[Ints, Ints]]:
        """Return (rest, test) of the five folds of a repeat."""
        parts = folds(self.locations, repeat, self.by_place)
        return [(np.concatenate(parts[:i] + parts[i + 1 :]), test) for i, test in enumerate(parts)]

    def distances(self, case: Case | None) -> Floats:
        """Return (R, P) km, every location answered by the head of the folds it is not in; None: the neighbour."""
        result = np.empty((self.repeats, len(self.locations)))
        for repeat in range(self.repeats):
            for rest, test in self.dealt(repeat):
                distances = (
                    nearest(self.locations, rest, test)
                    if case is None
                    else answered(case, self.locations, rest, test, repeat)
                )
                result[repeat, test] = distances
        return result

    def balscores(self, distances: Floats, weights: Floats | None = None) -> Floats:
        """Return (R, N) means over the folds of the balscore, for (N, P) weights of locations; one of ones if none."""
        weights = np.ones((1, distances.shape[1])) if weights is None else weights
        scores = np.zeros((self.repeats, len(weights)))
        for repeat in range(self.repeats):
            for _, test in self.dealt(repeat):
                hits = distances[repeat, test, None] <= np.array(RADII_KM)
                within = weights[:, test] @ hits / weights[:, test].sum(axis=1, keepdims=True)
                scores[repeat] += np.cbrt(within.prod(axis=1)) / N_FOLDS
        return scores

    def draws(self) -> Floats:
        """Return (N_DRAWS, P) weights of locations: places drawn by the Bayesian bootstrap."""
        places = places_of(self.locations)
        return np.random.default_rng(0).standard_exponential((N_DRAWS, places.max() + 1))[:, places]


def mean_of_drawn_repeats(values: Floats) -> Floats:
    """Return (N,) means of (R, N) values over repeats that are drawn too, by the Bayesian bootstrap.

    A repeat stands for other folds and other random numbers of the fit. The spread of so few is raised to the one
    that is right on average: their bootstrap has (R - 1) / (R + 1) of the variance of their mean.
    """
    repeats = len(values)
    if repeats == 1:
        return np.asarray(values[0])
    mean = values.mean(axis=0)
    weights = np.random.default_rng(1).standard_exponential(values.shape)
    weights /= weights.sum(axis=0)
    return np.asarray(mean + np.sqrt((repeats + 1) / (repeats - 1)) * ((values - mean) * weights).sum(axis=0))


def inner_scores(protocol: Protocol, case: Case) -> Floats:
    """Return (R, 5): the sum of the balscores on the other folds of heads that saw neither that nor the outer fold."""
    scores = np.zeros((protocol.repeats, N_FOLDS))
    for repeat in range(protocol.repeats):
        parts = folds(protocol.locations, repeat, protocol.by_place)
        for one, other in combinations(range(N_FOLDS), 2):
            rest = np.concatenate([part for i, part in enumerate(parts) if i not in (one, other)])
            both = np.concatenate((parts[one], parts[other]))
            km = answered(case, protocol.locations, rest, both, repeat)
            scores[repeat, other] += balscore_of(km[: len(parts[one])])
            scores[repeat, one] += balscore_of(km[len(parts[one]) :])
    return scores


def chosen(protocol: Protocol, distances: Mapping[str, Floats], inner: Mapping[str, Floats]) -> tuple[Floats, str]:
    """Return the (R, P) distances of the candidate that is best on the other folds, and how often each was chosen."""
    names = list(inner)
    best = np.argmax([inner[name] for name in names], axis=0)  # (R, 5)
    result = np.empty_like(distances[DEFAULT])
    for repeat in range(protocol.repeats):
        for outer, (_, test) in enumerate(protocol.dealt(repeat)):
            result[repeat, test] = distances[names[best[repeat, outer]]][repeat, test]
    counts = np.bincount(best.ravel(), minlength=len(names))
    return result, ", ".join(f"{name} ({count})" for name, count in zip(names, counts, strict=True) if count)


def row_of(name: str, group: str, base: str, protocol: Protocol, own: Floats, other: Floats) -> dict[str, Any]:
    """Return a line: the balscore, and the paired difference to the base with its interval."""
    scores, against = protocol.balscores(own)[:, 0], protocol.balscores(other)[:, 0]
    difference = scores - against
    weights = protocol.draws()
    drawn = protocol.balscores(own, weights) - protocol.balscores(other, weights)
    low, high = percentile_interval(mean_of_drawn_repeats(drawn))
    numbers = {
        "balscore": scores.mean(),
        "difference": difference.mean(),
        "difference_low": low,
        "difference_high": high,
        **{f"within_{radius}": (own <= radius).mean() for radius in RADII_KM},
    }
    return {
        "folds": "place" if protocol.by_place else "location",
        "group": group,
        "case": name,
        "base": base,
        "repeats": protocol.repeats,
        **{key: round(100 * float(value), 2) for key, value in numbers.items()},
    }


def run(protocol: Protocol, cases: Sequence[Case]) -> list[dict[str, Any]]:
    """Return the lines of one way to deal folds."""
    candidates = [case for case in cases if case.candidate]
    with ProcessPoolExecutor(usable_cores(), get_context("spawn"), set_num_threads, (1,)) as pool:
        # one thread each: products this small are slower on two
        answers = [pool.submit(protocol.distances, case) for case in cases]
        inner = [pool.submit(inner_scores, protocol, case) for case in candidates]
        distances = {case.name: answer.result() for case, answer in zip(cases, answers, strict=True)}
        within = {case.name: answer.result() for case, answer in zip(candidates, inner, strict=True)}
    rows = [
        row_of(case.name, case.group, case.base, protocol, distances[case.name], distances[case.base]) for case in cases
    ]
    neighbour = protocol.distances(None)
    rows.append(row_of(NEAREST, "floor", DEFAULT, protocol, neighbour, distances[DEFAULT]))
    best, counts = chosen(protocol, distances, within)
    for base, other in ((DEFAULT, distances[DEFAULT]), (PLAIN, distances[PLAIN]), (NEAREST, neighbour)):
        rows.append({**row_of("chosen on the other folds", "chosen", base, protocol, best, other), "chosen": counts})
    return [{**row, "chosen": row.get("chosen", "")} for row in rows]


def main() -> None:
    """Measure and report."""
    flags = parse_flags("what each part of a fit is worth on real features")
    locations = real_locations(shared_data())
    rows = []
    for by_place in (False,) if flags.quick else (False, True):
        names = QUICK if flags.quick else BY_PLACE if by_place else [case.name for case in CASES]
        cases = [case for case in CASES if case.name in names or (by_place and case.candidate)]
        rows += run(Protocol(locations, by_place, 1 if flags.quick else REPEATS[by_place]), cases)
    best = [row for row in rows if row["group"] == "chosen"]
    summary = {f"chosen less {row['base']}, folds by {row['folds']}": row["difference"] for row in best}
    finish("ablation", [{**row, **conditions("torch")} for row in rows], summary, flags)


if __name__ == "__main__":
    main()
