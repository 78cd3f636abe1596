"""What heads are compared with: the same answer for every location, and the nearest training location by features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from geocell.features.locations import Locations
    from geocell.geo.geodesy import Floats
    from geocell.partitioners.base import Partition


def majority_cell(partition: Partition, n: int) -> Floats:
    """Return the (n, 2) degrees of n answers that are all the centroid of the cell with most training locations."""
    return np.repeat(partition.centroids[[int(partition.counts.argmax())]], n, axis=0)


def nearest_location(train: Locations, test: Locations) -> Floats:
    """Return the (P, 2) degrees of the training location whose mean feature has the highest cosine, per location."""
    known, asked = (_unit(locations.mean_features()) for locations in (train, test))
    return np.asarray(train.latlon[(asked @ known.T).argmax(axis=1)])


def baseline_rows(partition: Partition, train: Locations, test: Locations) -> list[dict[str, Any]]:
    """Return the scores of both baselines on the test locations, in the form of `Scores.to_dict`.

    Args:
        partition: whose fullest cell is answered.
        train: what both baselines know.
        test: what they are asked.
    """
    majority = _row("majority cell", majority_cell(partition, len(test)), test)
    return [{**majority, "n_cells": len(partition)}, _row("1-NN", nearest_location(train, test), test)]


def _row(name: str, points: Floats, test: Locations) -> dict[str, Any]:
    from geocell.metrics.clusters import PLACE
    from geocell.metrics.outcomes import outcomes_of, within_shares

    found = outcomes_of(points, test.latlon)
    values = found.values()
    return {
        "head": name,
        "split": "test",
        "n_locations": len(test),
        **{key: values[key] for key in ("balscore", "median_km", "mean_km")},
        "within": {str(radius): share for radius, share in within_shares(found.distances_km).items()},
        "intervals": {key: list(interval) for key, interval in found.intervals().items()},
        "clustered_by": PLACE,
        "n_clusters": found.n_clusters,
    }


def _unit(features: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Floats:
    return np.asarray(features / np.linalg.norm(features, axis=1, keepdims=True), dtype=np.float64)
