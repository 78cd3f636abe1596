"""What each part of a fit is worth on real features of real photographs, one change at a time, and what the best has.

559 locations (922 views) at 303 places, EfficientNet-Lite0 features, 64 K-Means cells unless said otherwise. Five
folds, drawn anew and fitted with another seed in every repeat. Folds are drawn by location, as in `real_features.py`,
and once more by place, with all locations of one coordinate in one fold: a place that was never seen. Differences are
paired, to the default or to the base that is named; in their interval places and repeats are drawn, for both together.

The best configuration is chosen inside: for every fold of every repeat, by the mean balscore of the candidates over the
other four folds, each fitted without that fold and without the one it is scored on.

Run: python -m benchmarks.ablation [--quick] [--json] [--again]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

import numpy as np
from torch import set_num_threads

from benchmarks.ablation_cases import BY_PLACE, CASES, DEFAULT, NEAREST, PLAIN, QUICK, Case
from benchmarks.common import conditions, finish, parse_flags, read_results, shared_data
from benchmarks.kept import Answers, keep, kept
from benchmarks.plain_loop import fit_plain, plain_answers
from benchmarks.protocol import Floats, Ints, Protocol, chosen, inner_scores, row_of
from benchmarks.real_features import nearest_answer, real_locations
from geocell.compute.cores import usable_cores
from geocell.geo.geodesy import distance_km
from geocell.heads.ensemble import Ensemble
from geocell.heads.fit_config import FitConfig
from geocell.training.fit import fit_head

REPEATS = {False: 8, True: 2}
"""How often folds are dealt by location, and by place."""


def answered(case: Case, protocol: Protocol, rest: Ints, test: Ints, repeat: int) -> Floats:
    """Return the distance in km of every test location from the answer of a case that was fitted on the rest."""
    locations = protocol.locations
    if case.validate:
        train, val = (locations.take(index) for index in protocol.split_validation(rest))
    else:
        train, val = locations.take(rest), None
    unseen, seed = locations.take(test), 100 * repeat
    partition = case.partitioner.fit(locations.take(rest).latlon)
    if case.plain:
        module = fit_plain(train, val, partition, FitConfig(seed=seed, device="cpu", **case.fit))
        return distance_km(plain_answers(module, unseen, partition), unseen.latlon)
    heads = []
    for number in range(case.heads):
        common: dict[str, Any] = {"seed": seed + number, "device": "cpu"}
        head = fit_head(train, val, partition, FitConfig(**common, **case.fit))
        if case.smooth:
            epoch = smoothed_best(head.history, case.smooth)
            head = fit_head(train, None, partition, FitConfig(**common, **case.fit), log=partial(stop_after, epoch))
        if case.second:
            head = fit_head(train, val, partition, FitConfig(**common, **{**case.fit, **case.second}), init=head)
        heads.append(head)
    answering = Ensemble(tuple(heads)) if len(heads) > 1 else heads[0]
    pieces = [points for _, _, points in answering.answer_chunks(unseen, heads[0].config.decode, "cpu")]
    return distance_km(np.concatenate(pieces), unseen.latlon)


def smoothed_best(history: Sequence[Mapping[str, float]], window: int) -> int:
    """Return the epoch with the best moving mean of the validation balscore; the window is cut off at both ends."""
    scores = np.array([row["val_balscore"] for row in history])
    half = window // 2
    means = [scores[max(0, i - half) : i + half + 1].mean() for i in range(len(scores))]
    return int(history[int(np.argmax(means))]["epoch"])


def stop_after(epoch: int, row: Mapping[str, float]) -> None:
    """Interrupt a fit after an epoch, so that it returns the head of that epoch."""
    if row["epoch"] == epoch:
        raise KeyboardInterrupt


def nearest(protocol: Protocol, rest: Ints, test: Ints, repeat: int, *, centred: bool = False) -> Floats:
    """Return the distances of the place whose features are nearest."""
    del repeat  # nothing is random
    known, unseen = protocol.locations.take(rest), protocol.locations.take(test)
    return distance_km(nearest_answer(known, known.take(rest[:0]), unseen, centred=centred), unseen.latlon)


CHOSEN = "chosen on the other folds"


def measure(protocol: Protocol, cases: Sequence[Case]) -> Answers:
    """Return the distances of every case, of the nearest neighbour and of the chosen case."""
    candidates = [case for case in cases if case.candidate]
    with ProcessPoolExecutor(usable_cores(), get_context("spawn"), set_num_threads, (1,)) as pool:
        # one thread each: products this small are slower on two
        answers = [pool.submit(protocol.distances, partial(answered, case)) for case in cases]
        inner = [pool.submit(inner_scores, protocol, partial(answered, case)) for case in candidates]
        distances = {case.name: answer.result() for case, answer in zip(cases, answers, strict=True)}
        within = {case.name: answer.result() for case, answer in zip(candidates, inner, strict=True)}
    best, counts = chosen(protocol, distances, within)
    return Answers({**distances, NEAREST: protocol.distances(nearest), CHOSEN: best}, {CHOSEN: counts})


def rows_of(protocol: Protocol, found: Answers) -> list[dict[str, Any]]:
    """Return the lines of one way to deal folds."""
    pairs = [(case.name, case.group, case.base) for case in CASES if case.name in found.distances]
    pairs += [(NEAREST, "floor", DEFAULT), *((CHOSEN, "chosen", base) for base in (DEFAULT, PLAIN, NEAREST))]
    km = found.distances
    return [
        {**row_of(name, group, base, protocol, km[name], km[base]), "chosen": found.chosen.get(name, "")}
        for name, group, base in pairs
    ]


def main() -> None:
    """Measure and report."""
    flags = parse_flags("what each part of a fit is worth on real features", keeps=True)
    locations = real_locations(shared_data())
    found = kept("ablation") if flags.again else {}
    if not flags.again:
        for by_place in (False,) if flags.quick else (True, False):
            names = QUICK if flags.quick else BY_PLACE if by_place else [case.name for case in CASES]
            cases = [case for case in CASES if case.name in names or (by_place and case.candidate)]
            found[by_place] = measure(Protocol(locations, by_place, 1 if flags.quick else REPEATS[by_place]), cases)
            if not flags.quick:
                keep("ablation", found)
    rows: list[dict[str, Any]] = []
    for by_place in (False, True):
        if by_place in found:
            own = rows_of(Protocol(locations, by_place, found[by_place].repeats), found[by_place])
            rows += [{**row, **conditions("torch")} for row in own]
        elif flags.again:  # measured before distances were kept
            rows += [row for row in read_results("ablation") if (row["folds"] == "place") == by_place]
    best = [row for row in rows if row["group"] == "chosen"]
    summary = {f"chosen less {row['base']}, folds by {row['folds']}": row["difference"] for row in best}
    finish("ablation", rows, summary, flags)


if __name__ == "__main__":
    main()
