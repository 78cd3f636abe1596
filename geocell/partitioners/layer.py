"""Polygon layers as tables: the regions of a rule from the rows of a GeoDataFrame, and cells from them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from geocell.geo.geodesy import as_latlon
from geocell.geo.regions import mended_regions
from geocell.partitioners.cells import Cells, checked_cells
from geocell.partitioners.polygon_rule import PolygonRule

if TYPE_CHECKING:
    import geopandas


def layer_regions(
    table: geopandas.GeoDataFrame, ids: str, names: str, parents: str | None, where: str
) -> dict[str, Any]:
    """Return `codes`, `titles`, `shapes` and, where there are some, `parents` of a rule, in the order of the codes.

    Args:
        table: a layer with those columns.
        ids: column of identifiers.
        names: column of human-readable names.
        parents: column of larger regions.
        where: what the layer is, for messages.

    Raises:
        ValueError: when a region has no identifier of its own, or is not a polygon in degrees.
    """
    table, order = _ordered(table, ids, where)
    codes = table[ids].astype(str).iloc[order]
    table = table.iloc[order]
    try:
        shapes = mended_regions(np.asarray(table.geometry.to_numpy(), dtype=object))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    columns = {"titles": table[names].where(table[names].notna(), codes).astype(str)}
    if parents is not None:
        columns["parents"] = table[parents].where(table[parents].notna(), "").astype(str)
    texts = {"codes": tuple(codes), **{name: tuple(column) for name, column in columns.items()}}
    return {**texts, "shapes": shapes}


def _ordered(table: geopandas.GeoDataFrame, ids: str, where: str) -> tuple[geopandas.GeoDataFrame, Any]:
    """Return the layer in degrees, and the order of its identifiers, of which every row has one of its own."""
    missing = int(table[ids].isna().sum())
    if missing:
        raise ValueError(f"{where} must have an identifier in {ids} for every region, and {missing} lack one.")
    codes = table[ids].astype(str)
    if codes.nunique() != len(codes):
        raise ValueError(
            f"{where} must name every region once, got {len(codes)} rows of {codes.nunique()}: name another "
            "column, or merge the rows that share an identifier."
        )
    if table.crs is not None and table.crs != "EPSG:4326":
        table = table.to_crs("EPSG:4326")
    return table, np.argsort(codes.to_numpy(dtype=object), kind="stable")


def cells_from_table(
    table: geopandas.GeoDataFrame, id_column: str, name_column: str | None, snap_km: float
) -> tuple[Cells, PolygonRule]:
    """Return cells and rule of a table of polygons; see `Partition.from_geopandas`.

    Raises:
        TypeError: when it is no GeoDataFrame.
        ValueError: see there.
    """
    import geopandas

    where = "the table"
    if not isinstance(table, geopandas.GeoDataFrame):
        raise TypeError(f"{where} of cells must be a GeoDataFrame, got {type(table).__name__}.")
    lacking = [name for name in dict.fromkeys((id_column, name_column or id_column)) if name not in table.columns]
    if lacking or not len(table):
        raise ValueError(
            f"{where} must have at least one row and the columns {id_column!r} and "
            f"{name_column or id_column!r}, got {len(table)} rows of {list(map(str, table.columns))}."
        )
    fields = layer_regions(table, id_column, name_column or id_column, None, where)
    rule = PolygonRule(**fields, snap_km=snap_km)
    order = np.argsort(table[id_column].astype(str).to_numpy(dtype=object), kind="stable")
    rows = table.drop(columns=table.geometry.name).iloc[order].to_dict("records")
    points = as_latlon(rule.anchors, "points inside of the cells").tolist()
    given = zip(rule.codes, rule.titles, points, rows, strict=True)
    cells = [_cell(code, title, point, row) for code, title, point, row in given]
    try:
        return checked_cells(cells, rule.codes), rule
    except ValueError as error:
        raise ValueError(f"{where} must have cells: {error}; correct or drop that column.") from error


def _cell(code: str, title: str, inside: list[float], row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a cell as `geocell_info.json` has it: with what the row says, and else with a point inside of it."""
    known = {key: value for key, value in row.items() if not (isinstance(value, float) and math.isnan(value))}
    lat, lon = (known["lat"], known["lon"]) if {"lat", "lon"} <= set(known) else inside
    extra = {key: _plain(known[key]) for key in ("count", "radius_km") if known.get(key) is not None}
    return {"name": code, "label": title, "centroid_lat": _plain(lat), "centroid_lon": _plain(lon), **extra}


def _plain(value: object) -> object:
    """Return a number of numpy as one of Python, which validation expects."""
    return value.item() if isinstance(value, np.generic) else value
