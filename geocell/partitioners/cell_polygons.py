"""The cells of a partition as polygons: for maps, for GIS programs, and for their areas."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from geocell.files import atomic_path
from geocell.geo.geodesy import Floats, swap_latlon_to_xy
from geocell.geo.shapes import GRID, Geometries, areas_km2, only_polygons

if TYPE_CHECKING:
    import geopandas

    from geocell.partitioners.cells import HasCells
    from geocell.partitioners.rule import Rule

SUFFIXES = (".geojson", ".parquet")


def class_polygons(partition: HasCells) -> Geometries:
    """Return the region in which `locate` returns each cell, without assignments by fallback.

    Args:
        partition: one that assigns.

    Returns:
        (C,) valid polygons and multipolygons in (lon, lat) degrees, cut at ±180°; a cell merged from several is their
        union. A polygon is empty where all training locations of a cell lie slightly outside its region.

    Raises:
        ValueError: when the partition only decodes.
    """
    import shapely

    raw = np.asarray(_rule(partition).cell_polygons(), dtype=object)
    known = np.flatnonzero(~partition.unseen_raw)
    known = known[np.argsort(partition.class_of_raw[known], kind="stable")]
    classes = partition.class_of_raw[known]
    groups = np.split(raw[known], np.flatnonzero(np.diff(classes)) + 1)
    polygons = np.empty(len(partition.names), dtype=object)
    for i, group in zip(np.unique(classes).tolist(), groups, strict=True):
        polygons[i] = group[0] if len(group) == 1 else shapely.union_all(group, grid_size=GRID)
    for i in np.flatnonzero(~shapely.is_valid(polygons) | ~np.isin(shapely.get_type_id(polygons), (3, 6))):
        polygons[i] = only_polygons(polygons[i])
    return polygons


def _rule(partition: HasCells) -> Rule:
    if partition.rule is None:
        raise ValueError(
            "this partition can only decode: its centroids are known and its cells are not; put the partition.json it "
            "was written with beside geocell_info.json, or fit a partition."
        )
    return partition.rule


def class_areas_km2(partition: HasCells) -> Floats:
    """Return the (C,) areas of the cells on the sphere; see `class_polygons`.

    Raises:
        ValueError: when the partition only decodes.
    """
    rule = _rule(partition)
    known = ~partition.unseen_raw
    areas = rule.cell_areas_km2()[known]
    return np.bincount(partition.class_of_raw[known], areas, minlength=len(partition.names)).astype(np.float64)


def cell_polygons(partition: HasCells) -> geopandas.GeoDataFrame:
    """Return the cells of a partition as a table of polygons.

    H3 and S2 cells, boxes of k-d trees and quadtrees and the Voronoi cells of K-Means are exact, with great circles
    approximated by straight lines to within 0.1 km; regions are as in their layer. A cell of `h3-adaptive` is
    the outline of its descendants three resolutions finer.

    Args:
        partition: one that assigns.

    Returns:
        C rows in class order, EPSG:4326: `cell` (class index), `name`, `label`, `count` of training locations, `lat`
        and `lon` of the centroid, `radius_km`, `area_km2`, `geometry`.

    Raises:
        ValueError: when the partition only decodes.
    """
    polygons = class_polygons(partition)
    return _cell_table(partition, polygons, areas_km2(polygons))


def cell_points(partition: HasCells) -> geopandas.GeoDataFrame:
    """Return the table of `cell_polygons` with the centroids as points, and no areas, of any partition."""
    import shapely

    points = np.asarray(shapely.points(swap_latlon_to_xy(partition.centroids)), dtype=object)
    return _cell_table(partition, points, np.full(len(points), np.nan))


def _cell_table(partition: HasCells, shapes: Geometries, areas: Floats) -> geopandas.GeoDataFrame:
    import geopandas

    columns = {
        "cell": np.arange(len(partition.names)),
        "name": list(partition.names),
        "label": list(partition.labels),
        "count": partition.counts,
        "lat": partition.centroids[:, 0],
        "lon": partition.centroids[:, 1],
        "radius_km": partition.radius_km,
        "area_km2": areas,
    }
    return geopandas.GeoDataFrame(columns, geometry=list(shapes), crs="EPSG:4326")


def require_export_name(out: Path) -> None:
    """Raise ValueError unless cells can be exported to a file of this name."""
    if out.suffix.lower() not in SUFFIXES:
        raise ValueError(f"cells are exported to a {' or '.join(SUFFIXES)} file, got {out.name!r}: name it so.")


def export_cells(partition: HasCells, out: Path) -> Path:
    """Write the cells as GeoJSON (RFC 7946) or GeoParquet, by the suffix; see `cell_polygons`.

    Args:
        partition: one that assigns.
        out: file called .geojson or .parquet; an existing one is replaced.

    Returns:
        `out`.

    Raises:
        ValueError: for another suffix, or when the partition only decodes.
    """
    import shapely

    require_export_name(out)
    suffix = out.suffix.lower()
    table = cell_polygons(partition)
    with atomic_path(out) as part:
        if suffix == ".parquet":
            table.to_parquet(part)
        else:
            # RFC 7946 requires a counter-clockwise outer ring.
            table = table.set_geometry(shapely.orient_polygons(table.geometry.to_numpy()), crs="EPSG:4326")
            part.write_text(table.to_json(drop_id=True, to_wgs84=True, ensure_ascii=False), encoding="utf-8")
    return out
