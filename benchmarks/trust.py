"""How far the answers of a calibrated head can be trusted on real photographs: sets, risk against coverage, scaling.

Folds are those of `protocol.py`, by location and by place: three folds train, one calibrates, one is asked; all that
is asked is pooled. Sets are those that a prediction has, and `exact` is their coverage where an empty set stays empty.
AURC and AUGRC are of answers of the decoder `centroid` that are wrong by more than 200 km; their intervals are over
places, with their locations in all repeats. A threshold is learned for
the wanted error on the calibration fold, where one is found.

Run: python -m benchmarks.trust [--quick] [--json]
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import conditions, finish, parse_flags, shared_data
from benchmarks.protocol import Protocol, folds, places_of
from benchmarks.real_features import N_FOLDS, real_locations
from geocell.evaluation.calibrate import calibrate
from geocell.evaluation.held_out import half_radii_km
from geocell.features.locations import Locations
from geocell.geo.geodesy import distance_km
from geocell.heads.fit_config import FitConfig
from geocell.heads.head import Head
from geocell.metrics.outcomes import balscore_of
from geocell.metrics.places import place_clusters
from geocell.partitioners import KMeansPartitioner
from geocell.prediction.sets import SetMaker
from geocell.training.fit import fit_head
from geocell.uncertainty.areas import areas_to_truth_km2, cell_areas
from geocell.uncertainty.cell_sets import METHODS, Method, set_scores, uniform_of
from geocell.uncertainty.conformal import conformal_radius_km
from geocell.uncertainty.errors import calibration_errors
from geocell.uncertainty.radii import mass_within
from geocell.uncertainty.selective import RISK_KM, augrc, augrc_interval, aurc, aurc_interval
from geocell.uncertainty.vector import SCALINGS, fit_scale

REPEATS = 3
K = 64
SHARES = (50, 90)
WANTED_ERROR = 0.4

Lists = defaultdict[str, list[Any]]


def measure(protocol: Protocol) -> dict[str, Any]:
    """Return what is pooled over all folds and repeats."""
    locations, lists = protocol.locations, Lists(list)
    places = places_of(locations)
    for repeat in range(protocol.repeats):
        parts = folds(locations, repeat, protocol.by_place)
        for i, test in enumerate(parts):
            val = parts[(i + 1) % N_FOLDS]
            train = np.concatenate([part for j, part in enumerate(parts) if j not in (i, (i + 1) % N_FOLDS)])
            known, asked, unseen = (locations.take(index) for index in (train, val, test))
            partition = KMeansPartitioner(k=K, seed=repeat, min_count=3).fit(known.latlon)
            head = fit_head(known, None, partition, FitConfig(seed=repeat, device="cpu"))
            sure = replace(head, calibration=calibrate(head, asked, device="cpu"))
            lists["place"].append(places[test])
            _note_sets(lists, sure, unseen)
            _note_scalings(lists, head, asked, unseen)
            try:
                found = calibrate(head, asked, device="cpu", max_error=WANTED_ERROR).abstain_below
            except ValueError:
                found = None
            lists["threshold_found"].append(found is not None)
            if found is not None:
                kept = lists["confidence"][-1] >= found
                lists["kept"].append(kept)
                lists["wrong_kept"].append(lists["wrong"][-1][kept])
    return {
        "folds": "place" if protocol.by_place else "location",
        "repeats": protocol.repeats,
        **{key: round(float(value), 4) for key, value in _summary(lists).items()},
    }


def _note_sets(lists: Lists, head: Head, unseen: Locations) -> None:
    """Note confidences, and which truths the radii and sets of a calibrated head hold."""
    partition, learned = head.partition, head.calibration
    assert learned is not None  # noqa: S101
    assert learned.set_thresholds is not None  # noqa: S101
    posterior, cells = head.posterior(unseen, "cpu"), partition.assign(unseen.latlon)
    points = partition.centroids[posterior.argmax(axis=1)]
    away, areas, u = distance_km(points, unseen.latlon), cell_areas(partition).km2, uniform_of(unseen.ids)
    lists["confidence"].append(mass_within(posterior, points, partition.centroids, RISK_KM))
    lists["max_probability"].append(posterior.max(axis=1))
    lists["entropy"].append((posterior * np.log(np.maximum(posterior, 1e-30))).sum(axis=1))
    lists["wrong"].append(away > RISK_KM)
    lists["searched"].append(areas_to_truth_km2(posterior, cells, areas))
    lists["searched_by_probability"].append(
        [areas[row > row[c]].sum() + areas[c] for row, c in zip(posterior, cells, strict=True)]
    )
    radii = half_radii_km(partition, posterior, points)
    for share in SHARES:
        lists[f"radius_{share}"].append(away <= conformal_radius_km(learned.radius_factors[share], radii))
    methods: tuple[Literal["mass"] | Method, ...] = ("mass", *METHODS)
    for method in methods:
        maker = SetMaker.of(head, method)
        for row, cell, v in zip(posterior, cells, u, strict=True):
            for share, found in zip(SHARES, maker(row, float(v)), strict=True):
                lists[f"{method}_{share}"].append([cell in found])
                lists[f"{method}_{share}_km2"].append([maker.km2(found)])
                lists[f"{method}_{share}_cells"].append([len(found)])
        if method != "mass":
            scores = set_scores(posterior, cells, method, areas, u)
            for share in SHARES:
                lists[f"{method}_{share}_exact"].append(scores <= learned.set_thresholds[method][share])


def _note_scalings(lists: Lists, head: Head, asked: Locations, unseen: Locations) -> None:
    """Note the errors of a fold by each scaling."""
    partition = head.partition
    cells, truth = partition.assign(asked.latlon), partition.assign(unseen.latlon)
    learning, posterior = head.posterior(asked, "cpu"), head.posterior(unseen, "cpu")
    for scaling in SCALINGS:
        scale, _ = fit_scale(learning, cells, place_clusters(asked.latlon), scaling)
        after: NDArray[np.float32] = scale(posterior)
        errors = calibration_errors(after, truth)
        away = distance_km(partition.centroids[after.argmax(axis=1)], unseen.latlon)
        for name, value in (("nll", errors.nll), ("top1", errors.accuracy), ("balscore", balscore_of(away))):
            lists[f"{scaling}_{name}"].append([value])
        lists[f"{scaling}_vector_chosen"].append([scale.width > 0])


def _summary(lists: Lists) -> dict[str, float]:
    pooled = {key: np.concatenate([np.atleast_1d(part) for part in parts]) for key, parts in lists.items()}
    wrong, summary = pooled["wrong"], {"error": float(pooled["wrong"].mean())}
    for name in ("confidence", "max_probability", "entropy"):
        for area, value, interval in (("aurc", aurc, aurc_interval), ("augrc", augrc, augrc_interval)):
            ends = interval(pooled[name], wrong, pooled["place"])
            summary[f"{area}_{name}"] = value(pooled[name], wrong)
            summary |= {f"{area}_{name}_low": ends[0], f"{area}_{name}_high": ends[1]}
    for name in ("searched", "searched_by_probability"):
        summary[f"{name}_median_km2"] = float(np.median(pooled[name]))
    for key, values in pooled.items():
        if key.endswith("_km2"):
            summary[f"{key}_median"] = float(np.median(values))
        elif key.startswith((*METHODS, "mass", "radius", *SCALINGS)):
            summary[key] = float(values.mean())
    summary["threshold_found"] = float(pooled["threshold_found"].mean())
    if "kept" in pooled:
        summary |= {"kept": float(pooled["kept"].mean()), "error_kept": float(pooled["wrong_kept"].mean())}
    else:
        summary |= {"kept": np.nan, "error_kept": np.nan}
    return summary


def main() -> None:
    """Measure and report."""
    import torch

    torch.set_num_threads(1)  # products this small are slower on two threads than on one
    flags = parse_flags("how far the answers of a calibrated head can be trusted")
    locations = real_locations(shared_data())
    rows: list[dict[str, Any]] = []
    for by_place in (False, True):
        row = measure(Protocol(locations, by_place, 1 if flags.quick else REPEATS))
        rows.append({**row, "wanted_error": WANTED_ERROR, **conditions("torch")})
    summary = {f"90 % sets by hpd hold, folds by {row['folds']}": row["hpd_90_exact"] for row in rows}
    finish("trust", rows, summary, flags)


if __name__ == "__main__":
    main()
