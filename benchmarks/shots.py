"""What a head from words is worth as the start of a fit on few photographs per cell, on real features.

Folds, features and intervals are those of `protocol.py`, by location and by place. Of the four folds that are not asked
three are cut into 64 K-Means cells, and of every cell up to 1, 2, 4, 8 or all locations, drawn anew in every repeat,
are trained on; the fourth chooses the weights of WiSE-FT, and nothing else. Rates and epochs are the defaults. The
texts of the cells are those of the joined towers EfficientNet-Lite0 × MiniLM. Draws docs/images/shots.png too.

Run: python -m benchmarks.shots [--quick] [--json]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from multiprocessing import get_context
from typing import Any

import numpy as np
from torch import set_num_threads

from benchmarks.combination import points_of
from benchmarks.common import conditions, finish, parse_flags, shared_data
from benchmarks.protocol import (
    Floats,
    Ints,
    Protocol,
    balscores,
    interval_of,
    mean_of_drawn_repeats,
    place_weights,
    places_of,
    row_of,
    score_draws,
)
from benchmarks.real_features import nearest_answer, real_locations
from benchmarks.shots_chart import draw_shots
from geocell.evaluation.baselines import majority_points
from geocell.features.locations import Locations
from geocell.geo.geodesy import distance_km
from geocell.heads.ensemble import average_heads
from geocell.heads.fit_config import FitConfig
from geocell.heads.head import Head
from geocell.heads.words_head import head_from_words, scaled_to
from geocell.imagetext.loading import load_image_text
from geocell.imagetext.protocol import ImageTextModel
from geocell.metrics.intervals import percentile_interval
from geocell.metrics.outcomes import balscore_of
from geocell.partitioners import KMeansPartitioner
from geocell.training.fit import fit_head

REPEATS = 3
CELLS = 64
SHOTS = (1, 2, 4, 8, 0)
ALL = 0  # shots
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
MAJORITY, WORDS, ZEROS = "majority cell", "words alone", "from zeros"
AS_IS, SCALED = "from words", "from words, scaled"
WISE, BESIDE = "WiSE-FT, words and from words", "words and from zeros, averaged"
NEAREST, CENTRED = "1-NN", "1-NN, centred"
CASES = (NEAREST, CENTRED, ZEROS, AS_IS, SCALED, WISE, BESIDE)

Key = tuple[str, str]
"""Shots as text (0 for none) and case."""


@dataclass
class Found:
    """What one repeat found.

    Attributes:
        km: key -> (P,) distances of the answers.
        nats: key -> (P,) negative logarithms of the probability of the true cell, for heads.
        chosen: key -> what was chosen, or fitted, in each fold.
        sizes: shots -> training locations of each fold.
    """

    km: dict[Key, Floats] = field(default_factory=dict)
    nats: dict[Key, Floats] = field(default_factory=dict)
    chosen: dict[Key, list[float]] = field(default_factory=dict)
    sizes: dict[str, list[int]] = field(default_factory=dict)

    def add(self, key: Key, test: Ints, asked: Locations, answer: Head | Floats, n: int) -> None:
        """Keep what a head, or (T, 2) points, make of the T locations of one fold, at `test` of n."""
        points = points_of(answer, asked, "centroid") if isinstance(answer, Head) else answer
        self.km.setdefault(key, np.empty(n))[test] = distance_km(points, asked.latlon)
        if isinstance(answer, Head):
            own = answer.posterior(asked, "cpu")[np.arange(len(asked)), answer.partition.assign(asked.latlon)]
            self.nats.setdefault(key, np.empty(n))[test] = -np.log(np.maximum(own, np.finfo(np.float32).tiny))


def shots_of(cells: Ints, order: Ints, shots: int) -> Ints:
    """Return the locations that are trained on, up to so many of each cell; fewer shots are among more.

    Args:
        cells: (P,) of the locations.
        order: (P,) a permutation: the first of a cell are drawn first.
        shots: of a cell; all for 0.
    """
    if shots == ALL:
        return np.arange(len(cells))
    seen: dict[int, int] = {}
    taken = []
    for i in order.tolist():
        seen[cells[i]] = seen.get(cells[i], 0) + 1
        if seen[cells[i]] <= shots:
            taken.append(i)
    return np.sort(np.array(taken, dtype=np.int64))


def best_share(scores: Sequence[float], shares: Sequence[float] = SHARES) -> float:
    """Return the share of the words whose validation score is largest; the smallest of equals."""
    return shares[int(np.argmax(scores))]


def mixed(head: Head, words: Head, share: float) -> Head:
    """Return a head of which a share is words: WiSE-FT."""
    return head if share == 0 else average_heads([head, words], [1 - share, share])


def chosen_mix(head: Head, words: Head, val: Locations) -> tuple[Head, float]:
    """Return the mean of a head and of words whose share is best on validation locations, and that share."""
    points = [points_of(mixed(head, words, share), val, "centroid") for share in SHARES]
    share = best_share([balscore_of(distance_km(answers, val.latlon)) for answers in points])
    return mixed(head, words, share), share


def measure(protocol: Protocol, repeat: int, model: ImageTextModel, shots: Sequence[int] = SHOTS) -> Found:
    """Return what one repeat of a protocol found."""
    locations, found = protocol.locations, Found()
    for turn, *indices, test in protocol.choosing():
        if turn != repeat:
            continue
        train, val, _, asked = map(locations.take, (*indices, test))
        partition = KMeansPartitioner(k=CELLS, seed=repeat).fit(train.latlon)
        cells = partition.assign(train.latlon)
        order = np.random.default_rng([repeat, int(test[0])]).permutation(len(train))
        words = head_from_words(model, partition, train)
        found.add(("0", MAJORITY), test, asked, majority_points(partition, len(asked)), len(locations))
        found.add(("0", WORDS), test, asked, words, len(locations))
        for n in shots:
            name = str(n) if n else "all"
            known = train.take(shots_of(cells, order, n))
            found.sizes.setdefault(name, []).append(len(known))
            nothing = known.take(np.empty(0, dtype=np.int64))
            for case in (NEAREST, CENTRED):
                points = nearest_answer(known, nothing, asked, centred=case == CENTRED)
                found.add((name, case), test, asked, points, len(locations))
            for case, (head, chosen) in heads_of(known, val, words, repeat).items():
                found.add((name, case), test, asked, head, len(locations))
                if chosen is not None:
                    found.chosen.setdefault((name, case), []).append(chosen)
    return found


def heads_of(known: Locations, val: Locations, words: Head, seed: int) -> dict[str, tuple[Head, float | None]]:
    """Return the head of every case that is trained on some shots, and its temperature or the share of words."""
    config = FitConfig(seed=seed, device="cpu")
    scaled = scaled_to(words, known, "cpu")
    zeros, as_is, fitted = (fit_head(known, None, words.partition, config, start) for start in (None, words, scaled))
    return {
        ZEROS: (zeros, None),
        AS_IS: (as_is, None),
        SCALED: (fitted, scaled.training["words"]["scaled"]["temperature"]),
        WISE: chosen_mix(fitted, scaled, val),
        BESIDE: chosen_mix(zeros, scaled, val),
    }


def line(
    protocol: Protocol, key: Key, base: str, km: Mapping[Key, Floats], nats: Mapping[Key, Floats]
) -> dict[str, Any]:
    """Return the scores of a case, and how much more they are than those of a base, with intervals over places."""
    shots, case = key
    own, other = km[key], km[shots, base]
    places = places_of(protocol.locations)
    weights = place_weights(places)
    low, high = (100 * end for end in interval_of(score_draws(own, places), float(balscores(own).mean())))
    numbers = {"balscore_low": round(low, 2), "balscore_high": round(high, 2), **_mean("mean_km", own, weights, 1)}
    numbers |= _mean("km_difference", own - other, weights, 1)
    has = key in nats, key in nats and (shots, base) in nats
    numbers |= _mean("nats", nats[key] if has[0] else None, weights, 3)
    numbers |= _mean("nats_difference", nats[key] - nats[shots, base] if has[1] else None, weights, 3)
    return {**row_of(case, shots, base, protocol, own, other), **numbers}


def _mean(name: str, values: Floats | None, weights: Floats, digits: int) -> dict[str, Any]:
    """Return the mean of (R, P) values and its interval, by (N, P) weights of locations; nothing for None."""
    if values is None:
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"), "")
    drawn = values @ (weights / weights.sum(axis=1, keepdims=True)).T
    low, high = percentile_interval(mean_of_drawn_repeats(np.asarray(drawn)))
    numbers = {name: float(values.mean()), f"{name}_low": low, f"{name}_high": high}
    return {key: round(number, digits) for key, number in numbers.items()}


@cache
def _loaded() -> tuple[Locations, ImageTextModel]:
    model = load_image_text("efficientnet-lite0", device="cpu")
    return replace(real_locations(shared_data()), encoder=model.info), model


def _job(by_place: bool, repeat: int, shots: Sequence[int]) -> Found:
    locations, model = _loaded()
    return measure(Protocol(locations, by_place, repeat + 1), repeat, model, shots)


def rows_of(protocol: Protocol, found: Sequence[Found]) -> list[dict[str, Any]]:
    """Return a line for every key of the repeats of one protocol; those with shots beside the head from zeros."""
    km, nats = (
        {key: np.stack([values[key] for values in by]) for key in by[0]}
        for by in ([one.km for one in found], [one.nats for one in found])
    )
    rows = []
    for shots, case in km:
        sizes = [n for one in found for n in one.sizes.get(shots, [0])]
        chosen = [x for one in found for x in one.chosen.get((shots, case), [])]
        row = line(protocol, (shots, case), ZEROS if shots != "0" else MAJORITY, km, nats)
        row = {"folds": row.pop("folds"), "shots": row.pop("group"), "locations": round(float(np.mean(sizes))), **row}
        rows.append({**row, "chosen": round(float(np.median(chosen)), 2) if chosen else ""})
    return rows


def main() -> None:
    """Measure and report."""
    flags = parse_flags("what a head from words is worth as the start of a fit on few photographs")
    repeats, shots = (1, (1,)) if flags.quick else (REPEATS, SHOTS)
    locations = real_locations(shared_data())
    jobs: dict[bool, list[Callable[[], Found]]] = {}
    with ProcessPoolExecutor(2, get_context("spawn"), set_num_threads, (1,)) as pool:
        # one thread each: products this small are slower on two
        for by_place in (False,) if flags.quick else (False, True):
            jobs[by_place] = [pool.submit(_job, by_place, repeat, shots).result for repeat in range(repeats)]
        rows = []
        for by_place, results in jobs.items():
            rows += rows_of(Protocol(locations, by_place, repeats), [result() for result in results])
    summary = {
        f"{row['case']}, {row['shots']} shots by {row['folds']}": row["difference"]
        for row in rows
        if row["case"] in (AS_IS, SCALED, WISE, BESIDE)
    }
    finish("shots", [{**row, **conditions("torch")} for row in rows], summary, flags)
    if not flags.quick:
        draw_shots(rows)


if __name__ == "__main__":
    main()
