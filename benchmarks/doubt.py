"""How often answers are doubted, for photographs of the region a head was fitted on and for photographs of elsewhere.

Heads on the European locations of the shared features, five folds by location: the held-out fold is asked, and so are
all locations outside Europe, of which the head knows nothing.

Run: python -m benchmarks.doubt [--quick] [--json]
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.common import conditions, finish, parse_flags, shared_data
from benchmarks.real_features import folds, real_locations
from geocell.features.locations import Locations
from geocell.heads.fit_config import FitConfig
from geocell.partitioners import KMeansPartitioner
from geocell.prediction.predictions import predict_locations
from geocell.prediction.records import Prediction
from geocell.training.fit import fit_head

EUROPE = (35.0, -12.0, 72.0, 40.0)
"""South, west, north, east in degrees."""


def asked(europe: Locations, elsewhere: Locations, seeds: range) -> dict[str, list[Prediction]]:
    """Return the predictions for held-out locations in Europe and for those elsewhere, over all folds and seeds."""
    answers: dict[str, list[Prediction]] = {"Europe, held out": [], "elsewhere": []}
    for seed in seeds:
        for split in folds(len(europe), seed):
            train, val, test = (europe.take(index) for index in split)
            seen = np.concatenate((train.latlon, val.latlon))
            partition = KMeansPartitioner(k=32, seed=seed, min_count=3).fit(seen)
            head = fit_head(train, val, partition, FitConfig(seed=seed, device="cpu"))
            answers["Europe, held out"] += predict_locations(head, test)
            answers["elsewhere"] += predict_locations(head, elsewhere)
    return answers


def main() -> None:
    """Measure and report."""
    import torch

    torch.set_num_threads(1)  # products this small are slower on two threads than on one
    flags = parse_flags("how often answers are doubted, in the region of a head and outside it")
    locations = real_locations(shared_data())
    south, west, north, east = EUROPE
    lat, lon = locations.latlon.T
    inside = (lat > south) & (lat < north) & (lon > west) & (lon < east)
    europe, elsewhere = (locations.take(np.flatnonzero(mask)) for mask in (inside, ~inside))
    seeds = range(1 if flags.quick else 3)
    rows: list[dict[str, Any]] = []
    radii: list[np.ndarray] = []
    for name, answers in asked(europe, elsewhere, seeds).items():
        radius = np.array([answer.radius_50_km for answer in answers])
        radii.append(radius)
        row = {
            "photographs": name,
            "locations": len({answer.location for answer in answers}),
            "doubted": round(float(np.mean([bool(answer.doubt) for answer in answers])), 4),
            "median_radius_50_km": round(float(np.median(radius)), 1),
        }
        rows.append({**row, "seeds": len(seeds), **conditions("torch")})
    here, there = radii
    separation = float((there[:, None] > here).mean() + 0.5 * (there[:, None] == here).mean())
    rows = [{**row, "auroc_of_radius": round(separation, 4)} for row in rows]
    summary = {"doubted elsewhere / in Europe": rows[1]["doubted"] / rows[0]["doubted"], "auroc_of_radius": separation}
    finish("doubt", rows, summary, flags)


if __name__ == "__main__":
    main()
