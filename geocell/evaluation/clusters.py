"""Which locations were drawn together: what a split kept together, places, or the values of a column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from geocell.geo.geodesy import Floats
from geocell.metrics.clusters import LOCATION, PLACE, Clusters
from geocell.splits.grouping import COUNTRY, Columns, column_texts, drawn_by, groups_of, require_by

if TYPE_CHECKING:
    from geocell.features.locations import Locations
    from geocell.splits.splits import Splits

_CELL = "cell:"


def clusters_of(locations: Locations, cluster: str | Clusters | None = None, splits: Splits | None = None) -> Clusters:
    """Return which locations were drawn together, and are one draw of an interval.

    Args:
        locations: P locations.
        cluster: what `clusters_at` takes. Clusters that are made already are returned. When omitted, what the splits
            kept together by their record, else `place`.
        splits: splits that the locations are a part of.

    Raises:
        ValueError: for clusters of others, and what `clusters_at` refuses.
    """
    if isinstance(cluster, Clusters):
        if len(cluster.numbers) != len(locations):
            raise ValueError(
                f"clusters must be of {len(locations):,} locations, got {len(cluster.numbers):,}: make them of these."
            )
        return cluster
    latlon, columns = locations.latlon, locations.columns
    if cluster is not None or splits is None:
        return clusters_at(latlon, columns, cluster or PLACE)
    by = drawn_by(splits.protocol)
    if by == COUNTRY or (by is not None and by.startswith(_CELL)):
        return clusters_at(latlon, columns, by)
    if by in columns and (column_texts(columns, str(by)) != "").all():
        return clusters_at(latlon, columns, str(by))
    if splits.buffer_km > 0 and len(locations):
        groups = groups_of(np.arange(len(locations)), latlon, columns, LOCATION, splits.buffer_km)
        return Clusters(f"buffer {splits.buffer_km:g} km", groups)
    return Clusters.of_places(latlon)


def clusters_at(latlon: Floats, columns: Columns, cluster: str = PLACE) -> Clusters:
    """Return which of some coordinates were drawn together.

    Args:
        latlon: (P, 2) degrees.
        columns: name -> (P,) values.
        cluster: `place`, those that agree to 0.01 degrees; `location`, none; `country`, by the column of that name or
            by outlines; `cell:R`, those in an H3 cell of resolution R; or the name of another column, of sequences or
            users say.

    Raises:
        ValueError: for a column that is not there, or lacks a value.
    """
    if cluster == LOCATION:
        return Clusters(LOCATION, np.arange(len(latlon)))
    if cluster == PLACE or not len(latlon):
        return Clusters.of_places(latlon)
    if cluster not in columns and (cluster == COUNTRY or cluster.startswith(_CELL)):
        require_by(cluster, None, 0.0)
        return Clusters(cluster, groups_of(np.arange(len(latlon)), latlon, columns, cluster, 0.0))
    if cluster not in columns:
        raise ValueError(
            f"clusters must be place, location, country, cell:RESOLUTION or a column, got {cluster!r} and the columns "
            f"{', '.join(sorted(map(str, columns))) or 'none'}: name one of these."
        )
    values = column_texts(columns, cluster)
    if empty := int((values == "").sum()):
        raise ValueError(
            f"clusters by {cluster} need its value for every location, got {empty:,} without: fill the column, or "
            "cluster by place."
        )
    return Clusters.of(cluster if cluster == COUNTRY else f"column {cluster}", values)
