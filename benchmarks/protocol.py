"""How answers are compared on the shared real features: folds, paired differences, choosing on folds not scored on.

559 locations (922 views) at 303 places, EfficientNet-Lite0 features. Five folds, drawn anew and fitted with another
seed in every repeat: by location, or by place, where all locations of one coordinate are in one fold, and where of
training and validation locations none share a coordinate. The balscore is that of all answers of a repeat, every
location once, averaged over repeats. Differences are paired; their interval is that of `geocell compare` over places,
each with its locations in all repeats, and over repeats, which are drawn too: `benchmarks/coverage.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any
from typing import Protocol as Typed

import numpy as np
from numpy.typing import NDArray

from benchmarks.real_features import N_FOLDS, VALIDATION_SHARE
from geocell.features.locations import Locations
from geocell.metrics.intervals import N_DRAWS, Interval, percentile_interval, share_draws
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


def difference_draws(own: Floats, other: Floats, places: Ints, seed: int = 0) -> Floats:
    """Return (R, N) draws of the difference of the balscores of two answers, in every repeat of its own.

    A place is drawn with all its locations and all their repeats together: `geocell.metrics.intervals`.

    Args:
        own: (R, P) km.
        other: (R, P) km.
        places: (P,) numbers from 0.
        seed: of the draws.
    """
    drawn = share_draws(np.concatenate((_hits(own), _hits(other)), axis=1), seed, clusters=places, paired=True)
    first, second = np.split(_balscores_of_shares(drawn), 2)
    return np.asarray(first - second)


def score_draws(own: Floats, places: Ints, seed: int = 0) -> Floats:
    """Return (R, N) draws of the balscore of an answer in every repeat; see `difference_draws`."""
    return _balscores_of_shares(share_draws(_hits(own), seed, clusters=places))


def _hits(km: Floats) -> NDArray[np.bool_]:
    """Return the (P, R · 3) hits of (R, P) km within the radii of the balscore."""
    return np.asarray((km.T[:, :, None] <= np.array(RADII_KM)).reshape(len(km.T), -1))


def _balscores_of_shares(drawn: Floats) -> Floats:
    """Return the (S, N) balscores of (N, S · 3) shares."""
    return np.asarray(np.cbrt(drawn.reshape(len(drawn), -1, len(RADII_KM)).prod(axis=-1)).T)


def place_weights(places: Ints) -> Floats:
    """Return (N_DRAWS, P) weights of locations, for means of them: places drawn by the Bayesian bootstrap."""
    return np.random.default_rng(0).standard_exponential((N_DRAWS, places.max() + 1))[:, places]


def balscores(distances: Floats) -> Floats:
    """Return the (R,) balscores of (R, P) distances: of all answers of a repeat together."""
    within = np.stack([(distances <= radius).mean(axis=1) for radius in RADII_KM])
    return np.asarray(np.cbrt(within.prod(axis=0)))


def interval_of(draws: Floats, difference: float) -> Interval:
    """Return the interval of a mean over repeats, from (R, N) draws; it has the difference in it."""
    low, high = percentile_interval(mean_of_drawn_repeats(draws))
    return min(low, difference), max(high, difference)


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
    draws = difference_draws(own, other, places_of(protocol.locations))
    return {
        "folds": "place" if protocol.by_place else "location",
        "group": group,
        "case": name,
        "base": base,
        "repeats": protocol.repeats,
        **_numbers([own], [other], draws, same=name == base),
    }


def mean_row(
    name: str, group: str, base: str, protocols: dict[bool, Protocol], found: Mapping[bool, Mapping[str, Floats]]
) -> dict[str, Any]:
    """Return a line of the mean over both protocols, whose places and repeats are drawn together."""
    own, other = ([found[by_place][case] for by_place in protocols] for case in (name, base))
    repeats = protocols[False].repeats
    draws = difference_draws(np.concatenate(own), np.concatenate(other), places_of(protocols[False].locations))
    return {
        "folds": "both",
        "group": group,
        "case": name,
        "base": base,
        "repeats": repeats,
        **_numbers(own, other, draws.reshape(2, repeats, -1).mean(axis=0), same=name == base),
    }


def _numbers(own: Sequence[Floats], other: Sequence[Floats], draws: Floats, *, same: bool) -> dict[str, float]:
    """Return scores in percent, means over protocols; what is compared with itself has no interval."""
    score, against = (float(np.mean([balscores(km).mean() for km in part])) for part in (own, other))
    low, high = (0.0, 0.0) if same else interval_of(draws, score - against)
    numbers = {
        "balscore": score,
        "difference": score - against,
        "difference_low": low,
        "difference_high": high,
        **{f"within_{radius}": np.mean([(km <= radius).mean() for km in own]) for radius in RADII_KM},
    }
    return {key: round(100 * float(value), 2) for key, value in numbers.items()}
