"""What training places are worth as candidates of decoders, on real photographs, beside centroids of the same head.

Folds are those of `protocol.py`, by location and by place: three folds train, one calibrates, one is asked. How many
cells and which shares `balscore` over places has is chosen on the calibration fold; the others have 8 cells. Every
decoder is paired with `centroid`.

Run: python -m benchmarks.place_decoders [--quick] [--json] [--again]
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.common import conditions, finish, parse_flags, shared_data
from benchmarks.kept import Answers, keep, kept
from benchmarks.protocol import Floats, Protocol, folds, row_of
from benchmarks.real_features import N_FOLDS, real_locations
from geocell.evaluation.calibrate import calibrate
from geocell.evaluation.decoders import decoded_points
from geocell.features.training_places import TrainingPlaces
from geocell.geo.geodesy import distance_km
from geocell.heads.fit_config import FitConfig
from geocell.heads.places import fit_places
from geocell.partitioners import KMeansPartitioner
from geocell.training.fit import fit_head

REPEATS = 4
K = 64
CHOSEN = "balscore:places=N, chosen"
SPECS = (
    "centroid", "balscore", "balscore:places=8", "within:25", "within:25,places=8", "within:200", "within:200,places=8",
    "geoscore", "geoscore:places=8", "medoid", "medoid:places=8",
)  # fmt: skip


def distances(protocol: Protocol) -> dict[str, Floats]:
    """Return (R, P) km of every decoder."""
    locations = protocol.locations
    km = {name: np.empty((protocol.repeats, len(locations))) for name in (*SPECS, CHOSEN)}
    for repeat in range(protocol.repeats):
        parts = folds(locations, repeat, protocol.by_place)
        for i, test in enumerate(parts):
            val = parts[(i + 1) % N_FOLDS]
            train = np.concatenate([part for j, part in enumerate(parts) if j not in (i, (i + 1) % N_FOLDS)])
            known, asked, unseen = (locations.take(index) for index in (train, val, test))
            partition = KMeansPartitioner(k=K, seed=repeat, min_count=3).fit(known.latlon)
            head = fit_head(known, None, partition, FitConfig(seed=repeat, device="cpu"))
            places = TrainingPlaces.from_locations(head, known)
            sure = replace(head, calibration=calibrate(head, asked, device="cpu"), places=places)
            chosen, _ = fit_places(sure, places, asked, device="cpu")
            answers = decoded_points(sure, unseen, [sure.prepare(spec) for spec in (*SPECS, chosen)], "cpu")
            for name, points in zip(km, answers, strict=True):
                km[name][repeat, test] = distance_km(points, unseen.latlon)
    return km


def main() -> None:
    """Measure and report."""
    import torch

    torch.set_num_threads(1)  # products this small are slower on two threads than on one
    flags = parse_flags("what training places are worth as candidates of decoders", keeps=True)
    locations = real_locations(shared_data())
    found = kept("place_decoders") if flags.again else {}
    if not flags.again:
        for by_place in (False, True):
            found[by_place] = Answers(distances(Protocol(locations, by_place, 1 if flags.quick else REPEATS)))
        if not flags.quick:
            keep("place_decoders", found)
    rows: list[dict[str, Any]] = []
    for by_place, answers in found.items():
        protocol, km = Protocol(locations, by_place, answers.repeats), answers.distances
        for name, own in km.items():
            row = row_of(name, "decoder", "centroid", protocol, own, km["centroid"])
            within_1 = round(100 * float((own <= 1).mean()), 2)
            rows.append({**row, "within_1": within_1, **conditions("torch")})
    summary = {f"{row['case']}, folds by {row['folds']}": row["difference"] for row in rows}
    finish("place_decoders", rows, summary, flags)


if __name__ == "__main__":
    main()
