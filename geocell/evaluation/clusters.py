"""Which locations were drawn together: what a split kept together, places, or the values of a column."""

from __future__ import annotations

import numpy as np

from geocell.features.locations import Locations
from geocell.metrics.clusters import LOCATION, PLACE, Clusters
from geocell.splits.grouping import column_texts, drawn_by, groups_of, require_by
from geocell.splits.splits import Splits

COUNTRY = "country"
_CELL = "cell:"


def clusters_of(locations: Locations, cluster: str | Clusters | None = None, splits: Splits | None = None) -> Clusters:
    """Return which locations were drawn together, and are one draw of an interval.

    Args:
        locations: P locations.
        cluster: `place`, locations that share their coordinates to 0.01 degrees; `location`, none; `country`, by the
            column of that name or by outlines; `cell:R`, those of an H3 cell of resolution R; or the name of another
            column, of sequences or users say. Clusters that are made already are returned. When omitted, what the
            splits kept together by their record, else `place`.
        splits: splits that the locations are a part of.

    Raises:
        ValueError: for a column that is not there, or has no value for some location.
    """
    if isinstance(cluster, Clusters):
        if len(cluster.numbers) != len(locations):
            raise ValueError(
                f"clusters must be of {len(locations)} locations, got {len(cluster.numbers)}: make them anew."
            )
        return cluster
    if cluster is None:
        return _clusters_of_splits(locations, splits)
    if cluster == LOCATION:
        return Clusters(LOCATION, np.arange(len(locations)))
    if cluster == PLACE or not len(locations):
        return Clusters.of_places(locations.latlon)
    if cluster == COUNTRY or cluster.startswith(_CELL):
        require_by(cluster, None, 0.0)
        return Clusters(cluster, _groups(locations, cluster, 0.0))
    if cluster not in locations.columns:
        raise ValueError(
            f"clusters must be place, location, country, cell:R or a column, got {cluster!r} and the columns "
            f"{', '.join(sorted(map(str, locations.columns))) or 'none'}: name one of these."
        )
    values = column_texts(locations.columns, cluster)
    if empty := int((values == "").sum()):
        raise ValueError(
            f"clusters by {cluster} need its value for every location, got {empty:,} without: fill the column, or "
            "cluster by place."
        )
    return Clusters.of(f"column {cluster}", values)


def _clusters_of_splits(locations: Locations, splits: Splits | None) -> Clusters:
    by = None if splits is None else drawn_by(splits.protocol)
    if splits is None or not len(locations):
        return Clusters.of_places(locations.latlon)
    if by is not None and (by == COUNTRY or by.startswith(_CELL)):
        return Clusters(by, _groups(locations, by, 0.0))
    if by in locations.columns and (column_texts(locations.columns, str(by)) != "").all():
        return clusters_of(locations, by)
    if splits.buffer_km > 0:
        return Clusters(f"buffer {splits.buffer_km:g} km", _groups(locations, LOCATION, splits.buffer_km))
    return Clusters.of_places(locations.latlon)


def _groups(locations: Locations, by: str, buffer_km: float) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return groups_of(np.arange(len(locations)), locations.latlon, locations.columns, by, buffer_km)
