"""What heads of several partitions, pooled on training places, are worth on real photographs.

Folds are those of `protocol.py`, by location and by place. Of the four folds that are not asked, three train and one
chooses: decoder, weights, rule, the vote of the nearest features, temperature and shares. The same is then fitted on
all four, as `--refit` does, takes what was chosen, and is asked; nothing is chosen on the fold that is asked.
Differences are paired with one head of 64 cells that answers by `centroid`, and with the nearest neighbour on centred
features.

Run: python -m benchmarks.combination [--quick] [--json] [--again]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.common import conditions, finish, parse_flags, shared_data
from benchmarks.kept import Answers, keep, kept
from benchmarks.protocol import Floats, Protocol, mean_row, row_of
from benchmarks.real_features import real_locations
from geocell.evaluation.baselines import nearest_points
from geocell.evaluation.calibrate import calibrate
from geocell.evaluation.combine import combine
from geocell.features.locations import Locations
from geocell.features.neighbours import NeighbourIndex
from geocell.geo.geodesy import distance_km
from geocell.heads.combination import Combination
from geocell.heads.fit_config import FitConfig
from geocell.heads.head import Head
from geocell.heads.neighbours import fit_neighbours
from geocell.heads.pooling import Pooling
from geocell.metrics.outcomes import balscore_of
from geocell.partitioners import KMeansPartitioner
from geocell.training.fit import fit_head

REPEATS = 3
SIZES = (48, 64, 96, 128, 48, 64, 96, 128)
ONE = 1  # of them: the head that stands alone
DECODERS = ("centroid", "medoid", "geoscore", "balscore", "within:200")
Measure = Callable[[Protocol], tuple[dict[str, Floats], dict[str, list[str]]]]
BASE, NEAREST = "one head, centroid", "1-NN, centred"
CASES: dict[str, dict[str, Any]] = {
    "two partitions": {"n": 2},
    "four partitions": {"n": 4},
    "eight partitions": {"n": 8},
    "eight partitions, equal weights": {"n": 8, "equal": True},
    "two partitions, kNN": {"n": 2, "knn": True},
    "four partitions, kNN": {"n": 4, "knn": True},
    "eight partitions, kNN": {"n": 8, "knn": True},
    "eight partitions, linear, kNN": {"n": 8, "knn": True, "pool": "linear"},
    "eight partitions, pieces, kNN": {"n": 8, "knn": True, "candidates": "pieces"},
}


def heads_on(known: Locations, repeat: int, numbers: Sequence[int]) -> list[Head]:
    """Return heads of some of the partitions, cut and fitted on locations."""
    found = []
    for number in numbers:
        seed = 100 * repeat + number
        partition = KMeansPartitioner(k=SIZES[number], seed=seed).fit(known.latlon)
        found.append(fit_head(known, None, partition, FitConfig(seed=seed, device="cpu")))
    return found


def points_of(head: Head | Combination, asked: Locations, decode: str) -> Floats:
    """Return the (P, 2) answers."""
    return np.concatenate([points for _, _, points in head.answer_chunks(asked, decode, "cpu")])


def best_decoder(first: Head, again: Head, train: Locations, rest: Locations, val: Locations) -> tuple[Head, str]:
    """Return the head that is asked, with the decoder that is best for the first one on the validation locations."""
    sure = replace(first, calibration=calibrate(first, val, device="cpu"))
    near = replace(sure, neighbours=NeighbourIndex.from_locations(first, train))
    index = near.neighbours
    if index is None:
        raise ValueError("a head needs its index here.")
    knn, _ = fit_neighbours(near, index, val, device="cpu")
    specs = (*DECODERS, knn.spec)
    scores = [balscore_of(distance_km(points_of(near, val, spec), val.latlon)) for spec in specs]
    asked = replace(again, calibration=sure.calibration, neighbours=NeighbourIndex.from_locations(again, rest))
    return asked, specs[int(np.argmax(scores))]


def combined(
    first: Sequence[Head], again: Sequence[Head], parts: tuple[Locations, Locations, Locations], case: dict[str, Any]
) -> Combination:
    """Return the combination that is asked, by what was chosen for the first heads on the validation locations."""
    train, rest, val = parts
    n = case["n"]
    flags: dict[str, Any] = {key: case[key] for key in ("knn", "pool", "candidates") if key in case}
    if case.get("equal"):
        flags["pooling"] = Pooling.equal(n)
    chosen = combine(first[:n], train, val, device="cpu", **flags)
    candidates = case.get("candidates", "auto")
    made = combine(again[:n], rest, pooling=chosen.pooling, candidates=candidates, device="cpu")
    return replace(made, calibration=chosen.calibration)


def measure(protocol: Protocol) -> tuple[dict[str, Floats], dict[str, list[str]]]:
    """Return (R, P) distances of every case, and what was chosen."""
    locations = protocol.locations
    names = (NEAREST, BASE, "one head, best decoder", *CASES)
    distances = {name: np.empty((protocol.repeats, len(locations))) for name in names}
    chosen: dict[str, list[str]] = {name: [] for name in names}
    most = max(case["n"] for case in CASES.values())
    for repeat, *indices, test in protocol.choosing():
        train, val, rest, asked = map(locations.take, (*indices, test))
        first, again = (heads_on(part, repeat, range(most)) for part in (train, rest))
        distances[BASE][repeat, test] = distance_km(points_of(again[ONE], asked, "centroid"), asked.latlon)
        one, spec = best_decoder(first[ONE], again[ONE], train, rest, val)
        points = {"one head, best decoder": points_of(one, asked, spec)}
        chosen["one head, best decoder"].append(spec.partition(":")[0])
        points[NEAREST] = nearest_points(rest, asked)
        for name, case in CASES.items():
            made = combined(first, again, (train, rest, val), case)
            points[name] = points_of(made, asked, "balscore")
            vote = made.pooling.vote
            chosen[name].append(made.pooling.rule + ("" if vote is None else f" + vote {vote.temperature:g}"))
        for name, found in points.items():
            distances[name][repeat, test] = distance_km(found, asked.latlon)
    return distances, chosen


def counted(choices: Sequence[str]) -> str:
    """Return how often each was chosen, in words."""
    return ", ".join(f"{choice} ({choices.count(choice)})" for choice in dict.fromkeys(choices))


def report(group: str, what: str, measure: Measure) -> None:
    """Measure in both protocols, and write the balscore of every case and its difference to two of them.

    Args:
        group: name of the CSV.
        what: is measured, for --help.
        measure: returns (R, P) distances of every case, and what was chosen for it in each fold.
    """
    import torch

    torch.set_num_threads(1)  # products this small are slower on two threads than on one
    flags = parse_flags(what, keeps=True)
    locations = real_locations(shared_data())
    found = kept(group) if flags.again else {}
    if not flags.again:
        for by_place in (False, True):
            distances, chosen = measure(Protocol(locations, by_place, 1 if flags.quick else REPEATS))
            found[by_place] = Answers(distances, {name: counted(choices) for name, choices in chosen.items()})
            if not flags.quick:
                keep(group, found)
    rows: list[dict[str, Any]] = []
    protocols = {by_place: Protocol(locations, by_place, answers.repeats) for by_place, answers in found.items()}
    for by_place, answers in found.items():
        for name, own in answers.distances.items():
            for base in (BASE, NEAREST):
                row = row_of(name, group, base, protocols[by_place], own, answers.distances[base])
                rows.append({**row, "chosen": answers.chosen.get(name, ""), **conditions("torch")})
    both = {by_place: answers.distances for by_place, answers in found.items()}
    rows += [
        {**mean_row(name, group, base, protocols, both), "chosen": "", **conditions("torch")}
        for name in both[False]
        for base in (BASE, NEAREST)
    ]
    summary = {f"{row['case']}, {row['folds']}": row["difference"] for row in rows if row["base"] == BASE}
    finish(group, rows, summary, flags)


def main() -> None:
    """Measure and report."""
    report("combination", "what heads of several partitions are worth, pooled on training places", measure)


if __name__ == "__main__":
    main()
