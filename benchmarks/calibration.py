"""What calibration on validation locations is worth on real photographs, and which decoder answers best after it.

Folds are those of `protocol.py`, by location and by place: three folds train, one calibrates, one is asked. Nothing is
chosen on the fold that is asked. The errors are those of the posterior before and after; the coverage is that of the
radii of the decoder `centroid`, read off the posterior and learned on the calibration fold. Decoders use the calibrated
posterior, and are paired with `centroid`; the parameters of `knn` are chosen on the calibration fold, and it is paired
with the nearest neighbour on centred features too. Majority cell and nearest neighbour stand beside them.

Run: python -m benchmarks.calibration [--quick] [--json] [--again]
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.common import conditions, finish, parse_flags, shared_data
from benchmarks.kept import Answers, keep, kept
from benchmarks.protocol import Floats, Protocol, folds, row_of
from benchmarks.real_features import N_FOLDS, real_locations
from geocell.evaluation.baselines import majority_points, nearest_points
from geocell.evaluation.calibrate import calibrate
from geocell.features.locations import Locations
from geocell.features.neighbours import NeighbourIndex
from geocell.geo.geodesy import distance_km
from geocell.heads.fit_config import FitConfig
from geocell.heads.neighbours import fit_neighbours
from geocell.partitioners import KMeansPartitioner
from geocell.partitioners.base import OUTSIDE
from geocell.prediction.predictions import predict_locations
from geocell.training.fit import fit_head
from geocell.uncertainty.errors import calibration_errors

REPEATS = 6
K = 64
DECODERS = ("centroid", "mean", "medoid", "geoscore", "balscore", "within:200")
KNN, NEAREST, MAJORITY = "knn", "1-NN, centred", "majority cell"
SHARES = (50, 90)


def measure(protocol: Protocol) -> tuple[dict[str, Any], dict[str, Floats]]:
    """Return errors and coverage over all folds and repeats, and (R, P) distances of every decoder."""
    locations = protocol.locations
    names = (MAJORITY, NEAREST, *DECODERS, KNN)
    distances = {name: np.empty((protocol.repeats, len(locations))) for name in names}
    posteriors: dict[str, list[Any]] = {"before": [], "after": []}
    cells: list[Any] = []
    held: dict[str, list[Any]] = {}
    temperatures = []
    for repeat in range(protocol.repeats):
        parts = folds(locations, repeat, protocol.by_place)
        for i, test in enumerate(parts):
            val = parts[(i + 1) % N_FOLDS]
            train = np.concatenate([part for j, part in enumerate(parts) if j not in (i, (i + 1) % N_FOLDS)])
            known, asked, unseen = (locations.take(index) for index in (train, val, test))
            partition = KMeansPartitioner(k=K, seed=repeat, min_count=3).fit(known.latlon)
            head = fit_head(known, None, partition, FitConfig(seed=repeat, device="cpu"))
            sure = replace(head, calibration=calibrate(head, asked, device="cpu"))
            temperatures.append(sure.calibration.temperature if sure.calibration else np.nan)
            found = partition.assign(unseen.latlon)
            inside = found != OUTSIDE
            cells.append(found[inside])
            for name, answering in (("before", head), ("after", sure)):
                padded = ((0, 0), (0, K - len(partition)))  # merged cells have no location
                posteriors[name].append(np.pad(answering.posterior(unseen, "cpu")[inside], padded))
                _hold(held, name, answering, unseen)
            for name in DECODERS:
                points = np.concatenate([part for _, _, part in sure.answer_chunks(unseen, name, "cpu")])
                distances[name][repeat, test] = distance_km(points, unseen.latlon)
            index = NeighbourIndex.from_locations(head, known)
            near = replace(sure, neighbours=index)
            knn, _ = fit_neighbours(near, index, asked, device="cpu")
            points = np.concatenate([part for _, _, part in near.answer_chunks(unseen, knn, "cpu")])
            distances[KNN][repeat, test] = distance_km(points, unseen.latlon)
            distances[NEAREST][repeat, test] = distance_km(nearest_points(known, unseen), unseen.latlon)
            majority = majority_points(partition, len(unseen))
            distances[MAJORITY][repeat, test] = distance_km(majority, unseen.latlon)
    row: dict[str, Any] = {"folds": "place" if protocol.by_place else "location", "repeats": protocol.repeats}
    row["temperature_median"] = round(float(np.median(temperatures)), 2)
    truth = np.concatenate(cells)
    for name, parts_of in posteriors.items():
        errors = calibration_errors(np.concatenate(parts_of), truth)
        row |= {f"{key}_{name}": round(value, 4) for key, value in errors.to_dict().items()}
    for key, values in held.items():
        row[key] = round(float(np.median(values)), 1) if key.startswith("radius") else round(float(np.mean(values)), 4)
    return row, distances


def _hold(held: dict[str, list[Any]], name: str, head: Any, unseen: Locations) -> None:  # noqa: ANN401 - a head
    """Note which answers have the truth within their radii."""
    for answer in predict_locations(head, unseen, device="cpu", top_k=1):
        for share in SHARES:
            radius = getattr(answer, f"radius_{share}_km")
            held.setdefault(f"within_{share}_{name}", []).append(float((answer.distance_km or 0.0) <= radius))
            held.setdefault(f"radius_{share}_{name}", []).append(radius)


def main() -> None:
    """Measure and report."""
    import torch

    torch.set_num_threads(1)  # products this small are slower on two threads than on one
    flags = parse_flags("what calibration is worth, and which decoder answers best after it", keeps=True)
    locations = real_locations(shared_data())
    rows: list[dict[str, Any]] = []
    decoders: list[dict[str, Any]] = []
    summary: dict[str, Any] = {}
    found = kept("calibrated_decoders") if flags.again else {}
    if not flags.again:
        for by_place in (False, True):
            row, distances = measure(Protocol(locations, by_place, 1 if flags.quick else REPEATS))
            found[by_place] = Answers(distances)
            rows.append({**row, **conditions("torch")})
            summary |= {f"ECE {when}, folds by {row['folds']}": row[f"ece_{when}"] for when in ("before", "after")}
        if not flags.quick:
            keep("calibrated_decoders", found)
    for by_place, answers in found.items():
        protocol, km = Protocol(locations, by_place, answers.repeats), answers.distances
        pairs = [(name, base) for name in km for base in ("centroid", *([NEAREST] if name == KNN else []))]
        lines = [row_of(name, "decoder", base, protocol, km[name], km[base]) for name, base in pairs]
        decoders += [{**line, **conditions("torch")} for line in lines]
    finish("calibrated_decoders", decoders, {}, flags)
    if rows:
        finish("calibration", rows, summary, flags)


if __name__ == "__main__":
    main()
