"""How answers are compared on the shared real features: folds, paired differences, choosing on folds not scored on.

559 locations (922 views) at 303 places, EfficientNet-Lite0 features. Five folds, drawn anew and fitted with another
seed in every repeat: by location, or by place, where all locations of one coordinate are in one fold, and where of
training and validation locations none share a coordinate. Differences are paired; in their interval places and repeats
are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any
from typing import Protocol as Typed

import numpy as np
from numpy.typing import NDArray

from benchmarks.real_features import N_FOLDS, VALIDATION_SHARE
from geocell.features.locations import Locations
from geocell.metrics.intervals import N_DRAWS, percentile_interval
from geocell.metrics.outcomes import balscore_of
from geocell.views import latlon_keys

RADII_KM = (25, 200, 750)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Answer(Typed):
    """What answers locations."""

    def __call__(self, protocol: Protocol, rest: Ints, test: Ints, repeat: int) -> Floats:
        """Return the distance in km of every test location from the answer of what was fitted on the rest."""
        ...


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

    def choosing(self) -> Iterator[tuple[int, Ints, Ints, Ints, Ints]]:
        """Yield repeat, train, val, rest and test: of the folds that are not asked three train and one chooses."""
        for repeat in range(self.repeats):
            parts = folds(self.locations, repeat, self.by_place)
            for i, test in enumerate(parts):
                v = (i + 1) % N_FOLDS
                train = np.concatenate([part for j, part in enumerate(parts) if j not in (i, v)])
                yield repeat, train, parts[v], np.concatenate((train, parts[v])), test

    def distances(self, answer: Answer) -> Floats:
        """Return (R, P) km, every location answered from the folds it is not in."""
        result = np.empty((self.repeats, len(self.locations)))
        for repeat in range(self.repeats):
            for rest, test in self.dealt(repeat):
                result[repeat, test] = answer(self, rest, test, repeat)
        return result

    def split_validation(self, rest: Ints) -> tuple[Ints, Ints]:
        """Return training and validation locations out of the rest; by place, none share a coordinate."""
        n_val = int(VALIDATION_SHARE * len(rest))
        if not self.by_place:
            return rest[n_val:], rest[:n_val]
        places = places_of(self.locations)[rest]
        drawn, first = np.unique(places, return_index=True)
        validating: list[int] = []
        size = 0
        for place in drawn[np.argsort(first)]:  # rest is in random order
            count = int((places == place).sum())
            if size + count <= n_val:
                validating.append(int(place))
                size += count
        chosen = np.isin(places, validating)
        return rest[~chosen], rest[chosen]

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


def inner_scores(protocol: Protocol, answer: Answer) -> Floats:
    """Return (R, 5): the sum of the balscores on the other folds of heads that saw neither that nor the outer fold."""
    scores = np.zeros((protocol.repeats, N_FOLDS))
    for repeat in range(protocol.repeats):
        parts = folds(protocol.locations, repeat, protocol.by_place)
        for one, other in combinations(range(N_FOLDS), 2):
            rest = np.concatenate([part for i, part in enumerate(parts) if i not in (one, other)])
            both = np.concatenate((parts[one], parts[other]))
            km = answer(protocol, rest, both, repeat)
            scores[repeat, other] += balscore_of(km[: len(parts[one])])
            scores[repeat, one] += balscore_of(km[len(parts[one]) :])
    return scores


def chosen(protocol: Protocol, distances: Mapping[str, Floats], inner: Mapping[str, Floats]) -> tuple[Floats, str]:
    """Return the (R, P) distances of the candidate that is best on the other folds, and how often each was chosen."""
    names = list(inner)
    best = np.argmax([inner[name] for name in names], axis=0)  # (R, 5)
    result = np.empty_like(distances[names[0]])
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


def mean_row(
    name: str, group: str, base: str, protocols: dict[bool, Protocol], found: Mapping[bool, Mapping[str, Floats]]
) -> dict[str, Any]:
    """Return a line of the mean over both protocols, whose places and repeats are drawn together."""
    scores, drawn, shares = [], [], []
    for by_place, protocol in protocols.items():
        own, other, weights = found[by_place][name], found[by_place][base], protocol.draws()
        scores.append((protocol.balscores(own)[:, 0], protocol.balscores(other)[:, 0]))
        drawn.append(protocol.balscores(own, weights) - protocol.balscores(other, weights))
        shares.append([(own <= radius).mean() for radius in RADII_KM])
    low, high = percentile_interval(mean_of_drawn_repeats(np.mean(drawn, axis=0)))
    values = {
        "balscore": np.mean([own.mean() for own, _ in scores]),
        "difference": np.mean([(own - other).mean() for own, other in scores]),
        "difference_low": low,
        "difference_high": high,
        **{f"within_{radius}": share for radius, share in zip(RADII_KM, np.mean(shares, axis=0), strict=True)},
    }
    return {
        "folds": "both",
        "group": group,
        "case": name,
        "base": base,
        "repeats": protocols[False].repeats,
        **{key: round(100 * float(value), 2) for key, value in values.items()},
    }
