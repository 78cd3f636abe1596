"""Which epoch a fit should keep, whether it should train on validation locations too, and with which settings.

Folds, features and intervals are those of `protocol.py`, by location and by place; cells are 64 K-Means cells unless
said otherwise. Epochs and refits are compared with the start, the best of 80 epochs on an eighth of the training folds;
settings with the last of 20 annealed epochs on all training folds. The best candidate is chosen for every fold by the
other four, and compared, like the default, with the floors: the plain loop, scikit-learn's logistic regression on the
same cells, and the nearest neighbour on raw and on centred features.

Run: python -m benchmarks.defaults [--quick] [--json] [--again]
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import set_num_threads

from benchmarks.ablation import answered, nearest
from benchmarks.ablation_cases import CLUSTERS, NEAREST
from benchmarks.common import conditions, finish, parse_flags, shared_data
from benchmarks.defaults_cases import BASE, BEST_REFIT, CASES, DEFAULT, PLAIN, QUICK, REFIT, START
from benchmarks.kept import Answers, keep, kept
from benchmarks.protocol import Answer, Floats, Ints, Protocol, chosen, inner_scores, row_of
from benchmarks.real_features import real_locations
from geocell.compute.cores import usable_cores
from geocell.geo.geodesy import distance_km

REPEATS = 6
CENTRED = "nearest neighbour, centred features"
LOGISTIC = "logistic regression"
FLOORS = (PLAIN, LOGISTIC, NEAREST, CENTRED)
CHOSEN = "chosen on the other folds"


def logistic(protocol: Protocol, rest: Ints, test: Ints, repeat: int) -> Floats:
    """Return the distances of scikit-learn's logistic regression, with its own settings, on normalised features."""
    from sklearn.linear_model import LogisticRegression

    del repeat  # nothing is random
    known, unseen = protocol.locations.take(rest), protocol.locations.take(test)
    partition = CLUSTERS.fit(known.latlon)
    features, asked = (_normalised(part.mean_features()) for part in (known, unseen))
    model = LogisticRegression(max_iter=1000, tol=1e-3).fit(features, partition.assign(known.latlon))
    return distance_km(partition.centroids[model.predict(asked)], unseen.latlon)


def _normalised(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return features with mean 0 and spread 1 in every row, as a head sees them."""
    centred = features - features.mean(axis=1, keepdims=True)
    return np.asarray(centred / features.std(axis=1, keepdims=True))


def answers_of(names: Sequence[str]) -> dict[str, Answer]:
    """Return what answers under each name, the floors included."""
    floors: dict[str, Answer] = {LOGISTIC: logistic, NEAREST: nearest, CENTRED: partial(nearest, centred=True)}
    return {case.name: partial(answered, case) for case in CASES if case.name in names} | floors


def measure(protocol: Protocol, names: Sequence[str]) -> Answers:
    """Return the distances of every case and floor, and of the chosen case."""
    answers = answers_of(names)
    cases = {case.name: case for case in CASES if case.name in names}
    with ProcessPoolExecutor(usable_cores(), get_context("spawn"), set_num_threads, (1,)) as pool:
        # one thread each: products this small are slower on two
        jobs = {name: pool.submit(protocol.distances, answer) for name, answer in answers.items()}
        inner_jobs = {
            name: pool.submit(inner_scores, protocol, answers[name]) for name, case in cases.items() if case.candidate
        }
        distances = {name: job.result() for name, job in jobs.items()}
        inner = {name: job.result() for name, job in inner_jobs.items()}
    best, counts = chosen(protocol, distances, inner)
    return Answers({**distances, CHOSEN: best}, {CHOSEN: counts})


def rows_of(protocol: Protocol, found: Answers) -> list[dict[str, Any]]:
    """Return a line for every case and floor, and the chosen one and the default beside every floor."""
    groups = {case.name: case.group for case in CASES}
    rows, distances = [], found.distances
    for name, own in ((name, own) for name, own in distances.items() if name != CHOSEN):
        group = groups.get(name, "floor")
        base = BASE if group == "settings" and BASE in distances else START
        rows.append(row_of(name, group, base, protocol, own, distances[base]))
        if group == "refit" and name != BEST_REFIT and BEST_REFIT in distances:
            rows.append(row_of(name, group, BEST_REFIT, protocol, own, distances[BEST_REFIT]))
    for name in (CHOSEN, DEFAULT, REFIT):
        if name in distances:
            for base in (START, *FLOORS):
                row = row_of(name, "against", base, protocol, distances[name], distances[base])
                rows.append({**row, "chosen": found.chosen.get(name, "")})
    return [{**row, "chosen": row.get("chosen", "")} for row in rows]


def main() -> None:
    """Measure and report."""
    flags = parse_flags("the defaults of a fit", keeps=True)
    locations = real_locations(shared_data())
    names = QUICK if flags.quick else [case.name for case in CASES]
    found = kept("defaults") if flags.again else {}
    if not flags.again:
        for by_place in (False,) if flags.quick else (False, True):
            found[by_place] = measure(Protocol(locations, by_place, 1 if flags.quick else REPEATS), names)
            if not flags.quick:
                keep("defaults", found)
    rows = []
    for by_place, answers in found.items():
        rows += rows_of(Protocol(locations, by_place, answers.repeats), answers)
    best = [row for row in rows if row["case"] == CHOSEN]
    summary = {f"chosen less {row['base']}, folds by {row['folds']}": row["difference"] for row in best}
    finish("defaults", [{**row, **conditions("torch", "scikit-learn")} for row in rows], summary, flags)


if __name__ == "__main__":
    main()
