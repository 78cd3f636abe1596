"""How often 95 % intervals hold the truth where whole places are drawn, by simulation on real locations.

A population of clusters: places of the real locations (coordinates that agree to 0.01 degrees), or groups of places
connected by steps of 25 km. Clusters are drawn from it with replacement, and the truth is what the population has. The
answers are those of a head and of a nearest neighbour on the shared features, which have seen none of a place; or, on
the coordinates of IM2GPS3k and YFCC26k, distances drawn from a log-normal with an effect of the cluster, which has the
share "alike" of the variance, and an effect that both answers share.

Beside the intervals of the package, those that take every location for a draw of its own, a Bayesian bootstrap of
clusters, and Student's t of log-odds with a cluster-robust variance (CR2) and Satterthwaite's degrees of freedom.

Run: python -m benchmarks.intervals [--quick] [--json], then python -m benchmarks.readme
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.common import conditions, finish, parse_flags, shared_data
from benchmarks.protocol import Floats, Ints, Protocol
from benchmarks.real_features import head_answer, nearest_answer, real_locations
from geocell.evaluation.comparison import paired_intervals
from geocell.geo.geodesy import distance_km
from geocell.heads.fit_config import FitConfig
from geocell.metrics import intervals as package
from geocell.metrics.clusters import Clusters
from geocell.metrics.geoscore import geoscore_points
from geocell.metrics.intervals import Interval, mean_interval, percentile_interval
from geocell.metrics.outcomes import Outcomes
from geocell.partitioners import KMeansPartitioner
from geocell.splits.neighbours import connected_places

SIMULATIONS, QUICK_SIMULATIONS = 500, 10
DRAWS = 500
GROUP_KM = 25.0
SCORES = ("balscore", "within_1", "within_25", "within_200", "within_750", "median_km", "mean_km", "geoscore")
SHARES = ("within_1", "within_25", "within_200", "within_750")

Found = dict[str, Interval]
Method = Callable[[Outcomes, Outcomes, int], tuple[Found, Found]]
"""From two outcomes and a seed to the intervals of the first and of the difference."""


@dataclass(frozen=True, eq=False)
class Population:
    """Clusters of locations, and how far two answers are from each of them.

    Attributes:
        numbers: (P,) cluster of each location, ascending.
        distances: (2, P) km.
    """

    numbers: Ints
    distances: Floats

    @classmethod
    def of(cls, numbers: Ints, distances: Floats) -> Population:
        """Return the population of locations in any order."""
        order = np.argsort(numbers, kind="stable")
        return cls(numbers[order], distances[:, order])

    def draw(self, rng: np.random.Generator, n: int) -> tuple[Outcomes, Outcomes]:
        """Return n clusters with all their locations."""
        starts = np.searchsorted(self.numbers, np.arange(self.numbers[-1] + 2))
        chosen = rng.integers(len(starts) - 1, size=n)
        sizes = np.diff(starts)[chosen]
        clusters = Clusters("place", np.repeat(np.arange(n), sizes))
        index = np.repeat(starts[chosen] - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
        a, b = (Outcomes(d[index], clusters=clusters) for d in self.distances)
        return a, b


@dataclass(frozen=True)
class Case:
    """One simulation.

    Attributes:
        locations: where they come from.
        groups: `places`, or `25 km`.
        n: clusters that are drawn.
        alike: share of the variance of log-distances that is of the cluster; None for real answers.
        log_km: mean of the log-distances.
        spread: their standard deviation.
    """

    locations: str
    groups: str
    n: int
    alike: float | None = None
    log_km: float = 5.0
    spread: float = 2.0


CASES = (
    Case("shared features", "places", 300),
    Case("shared features", "places", 60),
    Case("shared features", "25 km", 118),
    Case("shared features", "25 km", 30),
    Case("shared features", "locations", 300),
    Case("IM2GPS3k", "places", 400, 0.5),
    Case("IM2GPS3k", "places", 100, 0.0),
    Case("IM2GPS3k", "places", 100, 0.5, 2.5),
    Case("IM2GPS3k", "places", 200, 0.9, 7.0, 1.5),
    Case("IM2GPS3k", "places", 25, 0.5),
    Case("IM2GPS3k", "places", 12, 0.5),
    Case("IM2GPS3k", "25 km", 100, 0.5),
    Case("IM2GPS3k", "25 km", 50, 0.1),
    Case("YFCC26k", "places", 1000, 0.3),
    Case("YFCC26k", "25 km", 500, 0.3),
)
FILES = {"IM2GPS3k": "im2gps3k.csv", "YFCC26k": "yfcc26k.csv"}


def real_answers() -> tuple[Floats, Floats]:
    """Return (P, 2) degrees of the shared locations, and (2, P) km of a head and a nearest neighbour, by place."""
    locations = real_locations(shared_data())
    protocol = Protocol(locations, True, 1)

    def by_head(protocol: Protocol, rest: Ints, test: Ints, repeat: int) -> Floats:
        train, val = (locations.take(index) for index in protocol.split_validation(rest))
        asked = locations.take(test)
        head = head_answer(KMeansPartitioner(k=64, seed=repeat), FitConfig(seed=repeat, device="cpu"))
        return distance_km(head(train, val, asked), asked.latlon)

    def by_neighbour(protocol: Protocol, rest: Ints, test: Ints, repeat: int) -> Floats:  # noqa: ARG001
        train, val = (locations.take(index) for index in protocol.split_validation(rest))
        asked = locations.take(test)
        return distance_km(nearest_answer(train, val, asked, centred=True), asked.latlon)

    return locations.latlon, np.concatenate([protocol.distances(answer) for answer in (by_head, by_neighbour)])


def simulated_answers(numbers: Ints, case: Case) -> Floats:
    """Return (2, P) km."""
    rng, alike = np.random.default_rng(0), case.alike or 0.0

    def effects() -> Floats:
        of_cluster = rng.normal(size=numbers.max() + 1)[numbers]
        return np.asarray(np.sqrt(alike) * of_cluster + np.sqrt(1 - alike) * rng.normal(size=len(numbers)))

    common = effects()
    logs = [case.log_km + 0.1 * k + case.spread * (0.8 * common + 0.6 * effects()) for k in range(2)]
    return np.minimum(np.exp(logs), 20_000.0)


def population_of(case: Case, answers: tuple[Floats, Floats]) -> Population:
    """Return what a case is drawn from; `answers` are those of `real_answers`."""
    if case.locations in FILES:
        path = shared_data() / "points" / FILES[case.locations]
        latlon = np.loadtxt(path, delimiter=",", skiprows=1, usecols=(1, 2))
    else:
        latlon = answers[0]
    if case.groups == "locations":
        numbers = np.arange(len(latlon))
    else:
        groups = connected_places(latlon, GROUP_KM) if case.groups != "places" else Clusters.of_places(latlon).numbers
        numbers = Clusters.of(case.groups, groups).numbers
    return Population.of(numbers, answers[1] if case.alike is None else simulated_answers(numbers, case))


def of_package(a: Outcomes, b: Outcomes, seed: int) -> tuple[Found, Found]:
    """Return the intervals of the package over the clusters of the outcomes."""
    one, other = (geoscore_points(outcome.distances_km) for outcome in (a, b))
    return (
        {**a.intervals(seed), "geoscore": mean_interval(one, clusters=a.drawn)},
        {**paired_intervals(a, b, seed), "geoscore": mean_interval(one - other, clusters=a.drawn, paired=True)},
    )


def over_locations(a: Outcomes, b: Outcomes, seed: int) -> tuple[Found, Found]:
    """Return those that take every location for a draw of its own."""
    return of_package(Outcomes(a.distances_km), Outcomes(b.distances_km), seed)


def by_bootstrap(a: Outcomes, b: Outcomes, seed: int) -> tuple[Found, Found]:
    """Return percentiles of the Bayesian bootstrap of clusters, with nothing added."""
    numbers = a.clusters.numbers if a.clusters is not None else np.arange(len(a.distances_km))
    columns = [*a.hits().values(), *b.hits().values(), a.distances_km, b.distances_km]
    columns += [geoscore_points(outcome.distances_km) for outcome in (a, b)]
    totals = np.stack([np.bincount(numbers, column) for column in columns], axis=1)
    weights = np.random.default_rng(seed).standard_exponential((DRAWS, len(totals)))
    means = weights @ totals / (weights @ np.bincount(numbers))[:, None]
    n = len(a.hits())
    drawn = [
        {**outcome.draws(means[:, k * n : (k + 1) * n]), "mean_km": means[:, 2 * n + k], "geoscore": means[:, -2 + k]}
        for k, outcome in enumerate((a, b))
    ]
    return (
        {name: percentile_interval(drawn[0][name]) for name in SCORES},
        {name: percentile_interval(drawn[0][name] - drawn[1][name]) for name in SCORES},
    )


def by_robust_t(a: Outcomes, b: Outcomes, seed: int) -> tuple[Found, Found]:  # noqa: ARG001 - that of a method
    """Return Student's t with the CR2 variance of clusters: of log-odds for shares and balscore, else as it is."""
    from scipy.special import expit, logit

    found: tuple[Found, Found] = ({}, {})
    influences = [_influences(outcome) for outcome in (a, b)]
    for name in SCORES:
        (value, one), (other, two) = (influence[name] for influence in influences)
        low, high = mean_interval(one, clusters=a.drawn, paired=True)
        if not name.endswith("_km") and name != "geoscore":
            if not 0 < value < 1:
                low, high = value, value  # a robust variance of 0: it has nothing to say here
            else:
                ends = logit(value) + (np.array([low, high]) - value) / (value * (1 - value))
                low, high = expit(ends)
        found[0][name] = (float(low), float(high))
        found[1][name] = mean_interval(value - other + (one - value) - (two - other), clusters=a.drawn, paired=True)
    return found


def _influences(outcome: Outcomes) -> Mapping[str, tuple[float, Floats]]:
    """Return score -> its value, and (P,) numbers whose mean is that value and whose spread is its own, linearised."""
    values, hits, d = outcome.values(), outcome.hits(), outcome.distances_km
    found = {name: (values[name], hits[name].astype(np.float64)) for name in SHARES}
    slopes = [(hits[name] - values[name]) / max(values[name], 1e-9) for name in SHARES[1:]]
    found["balscore"] = (values["balscore"], values["balscore"] * (1 + np.sum(slopes, axis=0) / 3))
    near = np.quantile(d, np.clip(0.5 + np.array([-1, 1]) / np.sqrt(len(d)), 0, 1))
    slope = (near[1] - near[0]) * np.sqrt(len(d)) / 2
    found["median_km"] = (values["median_km"], values["median_km"] - slope * ((d <= np.median(d)) - 0.5))
    points = geoscore_points(d)
    return {**found, "mean_km": (values["mean_km"], d), "geoscore": (float(points.mean()), points)}


METHODS: dict[str, Method] = {
    "over locations": over_locations,
    "bootstrap of clusters": by_bootstrap,
    "robust t": by_robust_t,
    "geocell": of_package,
}


def truths(population: Population) -> tuple[dict[str, float], dict[str, float]]:
    """Return the scores of the whole population, and the differences of the two answers."""
    a, b = ({**Outcomes(d).values(), "geoscore": float(geoscore_points(d).mean())} for d in population.distances)
    return a, {name: a[name] - b[name] for name in SCORES}


def simulate(case: Case, population: Population, n: int) -> Iterator[dict[str, Any]]:
    """Yield a row per method: how often its intervals hold the truth, in percent."""
    single, paired = truths(population)
    held = {name: np.zeros((n, 2, len(SCORES)), dtype=bool) for name in METHODS}
    rng, sizes, effective = np.random.default_rng(1), [], []
    for i in range(n):
        a, b = population.draw(rng, case.n)
        counts = np.bincount(a.clusters.numbers if a.clusters else [0])
        sizes.append(len(a.distances_km))
        effective.append(counts.sum() ** 2 / (counts**2).sum())
        for name, method in METHODS.items():
            for k, (found, truth) in enumerate(zip(method(a, b, i), (single, paired), strict=True)):
                held[name][i, k] = [found[score][0] <= truth[score] <= found[score][1] for score in SCORES]
    for name, within in held.items():
        coverage = 100 * within.mean(axis=0)
        yield {
            "locations": case.locations,
            "groups": case.groups,
            "clusters": case.n,
            "mean_locations": round(float(np.mean(sizes))),
            "equal_clusters": round(float(np.mean(effective))),
            "alike": "" if case.alike is None else case.alike,
            "balscore": round(100 * single["balscore"], 1),
            "simulations": n,
            "method": name,
            **{f"{score}_held": round(float(c), 1) for score, c in zip(SCORES, coverage[0], strict=True)},
            **{f"difference_{score}_held": round(float(c), 1) for score, c in zip(SCORES, coverage[1], strict=True)},
        }


def main() -> None:
    """Measure and report."""
    import torch

    torch.set_num_threads(1)
    flags = parse_flags("coverage of intervals where whole places are drawn")
    package.N_DRAWS = DRAWS  # more would only steady the ends of each interval
    answers, rows = real_answers(), []
    for case in CASES:
        population = population_of(case, answers)
        rows += list(simulate(case, population, QUICK_SIMULATIONS if flags.quick else SIMULATIONS))
    own = [row for row in rows if row["method"] == "geocell"]
    keys = [f"{part}{score}_held" for part in ("", "difference_") for score in ("balscore", "mean_km")]
    summary = {f"least of {key}": min(row[key] for row in own) for key in keys}
    finish("intervals", [{**row, **conditions("numpy")} for row in rows], summary, flags)


if __name__ == "__main__":
    main()
