"""What this version answers about every released artefact, by names of `geocell` alone.

The programs that wrote the artefacts kept these answers in `expected.json` and `expected.npz`; the tests ask again.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import geocell

FORMAT1 = Path(__file__).parent / "format1"
DECODERS = ("centroid", "mean", "offset")

PROBES = np.array(
    [
        *((lat, lon) for lat in (41.0, 43.5, 45.25, 47.75, 50.0, 52.5) for lon in (-3.5, 0.25, 3.0, 7.5, 11.0, 15.5)),
        (46.0, 4.0),  # on a border of the regions
        (50.0, 12.0),  # on a corner of the regions
        (39.5, 5.0),  # 56 km outside the regions
        (39.0, 5.0),  # 111 km outside
        (48.0, 21.5),
        (54.5, 19.9),
        (0.0, 0.0),
        (-33.9, 151.2),
        (37.8, -122.4),
        (64.1, -21.9),
        (10.0, 180.0),
        (10.0, -180.0),
        (90.0, 0.0),
        (-90.0, 45.0),
    ]
)
"""(P, 2) degrees, inside and outside the cells, on borders, at the antimeridian and at the poles."""


def heads() -> list[str]:
    """Return the names of the heads, those inside an ensemble and a sweep too."""
    return sorted(
        path.parent.relative_to(FORMAT1).as_posix() for path in FORMAT1.rglob("config.json") if _is_ours(path)
    )


def _is_ours(path: Path) -> bool:
    return json.loads(path.read_text(encoding="utf-8")).get("library") == "geocell"  # encoders have a config.json too


def partitions() -> list[str]:
    """Return the names of the partitions that are in no head's folder."""
    found = {path.parent.relative_to(FORMAT1).as_posix() for path in FORMAT1.rglob("geocell_info.json")}
    return sorted(found - set(heads()) - {"published"})


def caches() -> list[str]:
    """Return the names of the feature caches."""
    return sorted(path.parent.relative_to(FORMAT1).as_posix() for path in FORMAT1.rglob("cache.json"))


def splits() -> list[str]:
    """Return the names of the splits."""
    return sorted(path.relative_to(FORMAT1).as_posix() for path in FORMAT1.glob("splits*.json"))


def files_sha256() -> dict[str, str]:
    """Return path -> hash of every released file."""
    paths = sorted(path for path in FORMAT1.rglob("*") if path.is_file())
    return {path.relative_to(FORMAT1).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def of_cache(name: str) -> dict[str, Any]:
    """Return what a feature cache holds."""
    cache = geocell.FeatureCache.open(FORMAT1 / name)
    locations = cache.locations()
    views = cache.views.astype(object).where(cache.views.notna(), None)
    return {
        "rows": len(cache),
        "encoder": cache.encoder.to_dict(),
        "features_sha256": cache.features_sha256,
        "bytes_sha256": hashlib.sha256(np.ascontiguousarray(cache.features)).hexdigest(),
        "sum": float(np.nansum(cache.features.astype(np.float64))),
        "good": cache.good.tolist(),
        "views": {str(column): views[column].tolist() for column in views.columns},
        "locations": locations.ids.tolist(),
        "offsets": locations.offsets.tolist(),
        "columns": {key: values.tolist() for key, values in locations.columns.items()},
        "latlon": locations.latlon,
        "mean_features": locations.mean_features(),
    }


def of_splits(name: str) -> dict[str, Any]:
    """Return who is in which split."""
    found = geocell.Splits.load(FORMAT1 / name)
    ids = {split: list(members) for split, members in found.ids.items()}
    return {"ids": ids, "seed": found.seed, "buffer_km": found.buffer_km}


def of_partition(folder: Path) -> dict[str, Any]:
    """Return the cells of a partition, and where it puts the probes."""
    partition = geocell.Partition.load(folder)
    answers: dict[str, Any] = {
        "kind": partition.kind,
        "sha256": partition.sha256,
        "names": list(partition.names),
        "labels": list(partition.labels),
        "counts": partition.counts.tolist(),
        "parameters": partition.parameters,
        "fitted_on": partition.fitted_on,
        "centroid_rule": partition.centroid_rule,
        "can_assign": partition.can_assign,
        "ancestors": {level: groups.tolist() for level, groups in partition.ancestors.items()},
        "ancestor_names": {level: list(names) for level, names in partition.ancestor_names.items()},
        "nearest": partition.nearest(PROBES).tolist(),
        "centroids": partition.centroids,
        "radius_km": partition.radius_km,
    }
    if partition.can_assign:
        found = partition.locate(PROBES)
        answers |= {"cells": found.cells.tolist(), "fallback": found.fallback.tolist()}
    return answers


def scored_locations() -> Any:
    """Return the locations of the test split."""
    locations = geocell.FeatureCache.open(FORMAT1 / "cache").locations()
    return geocell.Splits.load(FORMAT1 / "splits.json").select(locations, "test")


def _posteriors_and_points(head: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a head or an ensemble answers about every location of the cache."""
    locations = geocell.FeatureCache.open(FORMAT1 / "cache").locations()
    yield "posterior", head.posterior(locations, device="cpu")
    for decode in DECODERS:
        if decode == "offset" and not getattr(head, "has_offsets", False):
            continue
        yield f"points {decode}", np.concatenate([p for _, _, p in head.answer_chunks(locations, decode, device="cpu")])
        scores = geocell.score(head, scored_locations(), decode=decode, split="test", device="cpu")
        yield f"scores {decode}", scores.to_dict()


def of_head(folder: Path) -> dict[str, Any]:
    """Return what a head is, and what it answers about every location of the cache."""
    head = geocell.load_head(folder)
    answers: dict[str, Any] = {
        "sha256": head.sha256,
        "has_offsets": head.has_offsets,
        "partition_sha256": head.partition.sha256,
        "encoder": head.encoder.to_dict(),
        "fit": dataclasses.asdict(head.config),
        "training": json.loads(json.dumps(dict(head.training))),
        "history": [{key: None if np.isnan(value) else value for key, value in row.items()} for row in head.history],
    }
    return answers | dict(_posteriors_and_points(head))


def of_ensemble(name: str) -> dict[str, Any]:
    """Return what an ensemble answers about every location of the cache."""
    ensemble = geocell.load_ensemble(FORMAT1 / name)
    return {"sha256": ensemble.sha256, "heads": len(ensemble.heads)} | dict(_posteriors_and_points(ensemble))


def everything() -> dict[str, dict[str, Any]]:
    """Return the answers about every artefact that has some, by kind and name."""
    return {
        **{f"cache {name}": of_cache(name) for name in caches()},
        **{f"splits {name}": of_splits(name) for name in splits()},
        **{f"partition {name}": of_partition(FORMAT1 / name) for name in partitions()},
        **{f"head {name}": of_head(FORMAT1 / name) for name in heads()},
        "ensemble ensemble": of_ensemble("ensemble"),
    }
