"""What decoders and the nearest features are worth for one head on real photographs, beside answers without a head.

Folds, heads and what is chosen where are those of `combination.py`, whose rows stand beside these in the README: three
folds train and one chooses; then all four train, and the fifth is asked. Differences are paired with the head that
answers by `centroid`, and with the nearest neighbour on centred features.

Run: python -m benchmarks.answers [--quick] [--json] [--again]
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.combination import NEAREST, ONE, heads_on, points_of, report
from benchmarks.protocol import Floats, Protocol
from geocell.decoders.balscore import reached_shares
from geocell.decoders.base import LocationData, PartitionData
from geocell.decoders.knn import KNN
from geocell.evaluation.baselines import majority_points, nearest_points
from geocell.evaluation.calibrate import calibrate
from geocell.features.locations import Locations
from geocell.features.neighbours import NeighbourIndex
from geocell.geo.geodesy import distance_km
from geocell.heads.head import Head
from geocell.heads.neighbours import TEMPERATURES, fit_neighbours
from geocell.metrics.outcomes import balscore_of

DECODERS = ("centroid", "mean", "medoid", "geoscore", "balscore", "within:200")
IN_CELL = "kNN in its cells"
CASES = (
    "majority cell",
    "1-NN",
    NEAREST,
    "kNN, centred",
    *(f"one head, {name}" for name in (*DECODERS, IN_CELL, "best decoder")),
)


def answers_of_one(
    first: Head, again: Head, parts: tuple[Locations, Locations, Locations], asked: Locations
) -> tuple[dict[str, Floats], str]:
    """Return the answers of one head by every decoder and by the one that is best on the validation locations.

    Temperature, shares, and the parameters of the neighbours are those of the first head on the validation locations.
    """
    train, rest, val = parts
    sure = replace(first, calibration=calibrate(first, val, device="cpu"))
    near = replace(sure, neighbours=NeighbourIndex.from_locations(first, train))
    index = near.neighbours
    if index is None:
        raise ValueError("a head needs its index here.")
    knn, _ = fit_neighbours(near, index, val, device="cpu")
    specs = {**{spec: spec for spec in DECODERS}, IN_CELL: knn.spec}
    scores = {name: balscore_of(distance_km(points_of(near, val, spec), val.latlon)) for name, spec in specs.items()}
    ready = replace(again, calibration=sure.calibration, neighbours=NeighbourIndex.from_locations(again, rest))
    points = {f"one head, {name}": points_of(ready, asked, spec) for name, spec in specs.items()}
    best = max(scores, key=lambda name: scores[name])
    return {**points, "one head, best decoder": points[f"one head, {best}"]}, best


def answers_without_head(
    again: Head, parts: tuple[Locations, Locations, Locations], asked: Locations
) -> dict[str, Floats]:
    """Return the answers of the majority cell, of the nearest neighbour, and of the vote of the nearest ones.

    The vote is that of the decoder `knn` where all cells are equally probable, its temperature chosen on the validation
    locations.
    """
    train, rest, val = parts
    indices = {len(part): NeighbourIndex.from_locations(again, part) for part in (train, rest)}

    def vote(known: Locations, of: Locations, knn: KNN) -> Floats:
        index, features = indices[len(known)], of.mean_features()
        alike = np.full((len(of), len(again.partition)), 1 / len(again.partition), dtype=np.float32)
        decoder = knn.prepare(PartitionData(again.partition.centroids, neighbours=index))
        return decoder(alike, LocationData(features=lambda: features))

    tried = [KNN(len(again.partition), temperature, share=0.0) for temperature in TEMPERATURES]
    best = max(tried, key=lambda knn: balscore_of(distance_km(vote(train, val, knn), val.latlon)))
    reached = reached_shares(distance_km(vote(train, val, best), val.latlon))
    best = replace(best, within_25=reached[25], within_200=reached[200], within_750=reached[750])
    return {
        "majority cell": majority_points(again.partition, len(asked)),
        "1-NN": nearest_points(rest, asked, centred=False),
        NEAREST: nearest_points(rest, asked),
        "kNN, centred": vote(rest, asked, best),
    }


def measure(protocol: Protocol) -> tuple[dict[str, Floats], dict[str, list[str]]]:
    """Return (R, P) distances of every case, and which decoder was best on the validation locations of each fold."""
    locations = protocol.locations
    distances = {name: np.empty((protocol.repeats, len(locations))) for name in CASES}
    chosen: list[str] = []
    for repeat, *indices, test in protocol.choosing():
        train, val, rest, asked = map(locations.take, (*indices, test))
        first, again = (heads_on(part, repeat, [ONE])[0] for part in (train, rest))
        points, best = answers_of_one(first, again, (train, rest, val), asked)
        chosen.append(best)
        for name, found in {**answers_without_head(again, (train, rest, val), asked), **points}.items():
            distances[name][repeat, test] = distance_km(found, asked.latlon)
    return distances, {"one head, best decoder": chosen}


def main() -> None:
    """Measure and report."""
    report("answers", "what decoders and the nearest features are worth for one head", measure)


if __name__ == "__main__":
    main()
