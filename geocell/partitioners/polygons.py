"""Regions of any polygon layer: Natural Earth, GADM, geoBoundaries, your own. NUTS and semantic cells build on it."""

# No postponed annotations here: the command reads a kind's parameters in the kind's own module, where names of this one
# are unknown.

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from geocell.files import read_json, reading, write_json
from geocell.geo.geodesy import Floats, chord_from_km, swap_latlon_to_xy, unit_vectors
from geocell.geo.shapes import Geometries
from geocell.partitioners.merging import Ints
from geocell.partitioners.partitioner import Partitioner
from geocell.partitioners.rule import OUTSIDE, Level, RawAssignment, Rule, level_of

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

SHAPES_FILE = "cells.geojson"

_BORDER_STEP = 0.02  # degrees between border vertices: the distance to a border is at most 0.01° (1.1 km) too long


@dataclass(frozen=True, eq=False)
class PolygonRule(Rule):
    """The region that contains a location, or the nearest one within `snap_km`.

    Attributes:
        codes: (R,) identifiers of the regions, ascending.
        titles: (R,) names of the regions.
        shapes: (R,) polygons in degrees, x = longitude.
        snap_km: how far from a region a location may lie.
        parents: (R,) the larger region that each belongs to; empty where the layer does not say.
    """

    codes: tuple[str, ...]
    titles: tuple[str, ...]
    shapes: Geometries
    snap_km: float
    parents: tuple[str, ...] = ()

    nearest_when_unseen: ClassVar[bool] = False

    @property
    def names(self) -> tuple[str, ...]:
        """(R,) identifiers."""
        return self.codes

    @property
    def labels(self) -> tuple[str, ...]:
        """(R,) names of the regions."""
        return self.titles

    @property
    def levels(self) -> dict[str, Level]:
        """The larger regions, where the layer has them."""
        return {"parent": level_of(self.parents)} if self.parents else {}

    @property
    def families(self) -> Sequence[Ints]:
        """(R,) larger region of each region."""
        return [level.groups for level in self.levels.values()]

    @cached_property
    def anchors(self) -> Floats:
        """(R, 2) degrees of a point inside each region."""
        import shapely

        return swap_latlon_to_xy(shapely.get_coordinates(shapely.point_on_surface(self.shapes)))

    @property
    def outside_rule(self) -> str:
        """What happens to a location in no known cell."""
        return (
            "A location gets the region that contains it (the lowest code on a border), else the nearest region within "
            f"{self.snap_km:g} km, flagged as fallback; farther away it is OUTSIDE. A region without training "
            "locations has the class of the nearest one that has some, of its own larger region first, flagged as "
            "fallback."
        )

    def locate(self, latlon: Floats) -> RawAssignment:
        """Return the raw cells of (P, 2) degrees."""
        cells = self._containing(latlon)
        fallback = np.zeros(len(latlon), dtype=np.bool_)
        missing = np.flatnonzero(cells == OUTSIDE)
        if len(missing) and self.snap_km > 0:
            tree, region = self._border
            reach = np.nextafter(chord_from_km(self.snap_km), math.inf)
            found = tree.query(unit_vectors(latlon[missing]), distance_upper_bound=reach)
            distance, vertex = np.asarray(found[0]), np.asarray(found[1])
            near = np.isfinite(distance)
            cells[missing[near]] = region[vertex[near]]
            fallback[missing[near]] = True
        return RawAssignment(cells, fallback)

    def _containing(self, latlon: Floats) -> Ints:
        """Return the (P,) lowest region that holds each of (P, 2) degrees, OUTSIDE where there is none.

        Regions are prepared and asked in bulk about the locations in their boxes; none becomes an object in Python.
        """
        import shapely

        # A place on the antimeridian is -180 here, and a region may end at +180.
        row = np.concatenate((np.arange(len(latlon)), np.flatnonzero(latlon[:, 1] == -180.0)))
        lat, lon = latlon[row].T
        lon[len(latlon) :] = 180.0
        order = np.argsort(lat, kind="stable")
        row, lat, lon = row[order], lat[order], lon[order]
        shapely.prepare(self.shapes)
        west, south, east, north = shapely.bounds(self.shapes).T
        first, last = np.searchsorted(lat, south, "left"), np.searchsorted(lat, north, "right")
        cells = np.full(len(latlon), OUTSIDE, dtype=np.int64)
        for region in reversed(range(len(self.shapes))):  # so that the lowest has the last word
            band = lon[first[region] : last[region]]
            near = first[region] + np.flatnonzero((band >= west[region]) & (band <= east[region]))
            if len(near):
                cells[row[near[shapely.intersects_xy(self.shapes[region], lon[near], lat[near])]]] = region
        return cells

    @cached_property
    def _border(self) -> "tuple[cKDTree, Ints]":
        """Tree over the vertices of all borders, and the lowest region each belongs to."""
        import shapely
        from scipy.spatial import cKDTree

        xy, region = shapely.get_coordinates(shapely.segmentize(self.shapes, _BORDER_STEP), return_index=True)
        xy, first = np.unique(xy, axis=0, return_index=True)  # the first of equals belongs to the lowest code
        return cKDTree(unit_vectors(swap_latlon_to_xy(xy))), region[first]

    def cell_polygons(self) -> Geometries:
        """Return the (R,) regions as they are in the layer, without what a lower code covers of them."""
        return self.shapes

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form; the polygons are in their own file, and their hash here."""
        import shapely

        digest = hashlib.sha256()
        for code, shape in zip(self.codes, shapely.to_wkb(self.shapes, byte_order=1), strict=True):
            digest.update(code.encode() + shape)
        return {"snap_km": self.snap_km, "shapes": SHAPES_FILE, "shapes_sha256": digest.hexdigest()}

    def write_files(self, folder: Path) -> None:
        """Write the regions as GeoJSON."""
        import shapely

        features = []
        for i, code in enumerate(self.codes):
            properties = {"name": code, "label": self.titles[i]}
            if self.parents:
                properties["parent"] = self.parents[i]
            geometry = shapely.geometry.mapping(self.shapes[i])
            features.append({"type": "Feature", "properties": properties, "geometry": geometry})
        write_json(folder / SHAPES_FILE, {"type": "FeatureCollection", "features": features})

    @classmethod
    def from_json(cls, value: Mapping[str, Any], folder: Path) -> Self:
        """Read the JSON form and the regions beside it."""
        import shapely

        regions = read_json(folder / SHAPES_FILE, "a partition into regions", versioned=False)
        with reading(folder / SHAPES_FILE, "the regions of a partition"):
            features = regions["features"]
            try:
                shapes = np.array([shapely.geometry.shape(item["geometry"]) for item in features], dtype=object)
            except shapely.errors.ShapelyError as error:
                raise ValueError(str(error)) from error
            rows = [item["properties"] for item in features]
            codes, titles = (tuple(str(row[key]) for row in rows) for key in ("name", "label"))
            parents = tuple(str(row["parent"]) for row in rows if "parent" in row)
        return cls(codes, titles, shapes, float(value["snap_km"]), parents)


@dataclass(frozen=True)
class LayerPartitioner(Partitioner):
    """What the kinds that read a polygon layer share.

    Attributes:
        shapes: polygon layer: GeoJSON, GPKG or shapefile, of Natural Earth, GADM or geoBoundaries, say.
        snap_km: a location outside every region gets the nearest one within this distance: generalised coasts
            leave real places in the sea.
    """

    advice: ClassVar[str] = "download one from Natural Earth, GADM or geoBoundaries."

    shapes: Path
    snap_km: float = field(default=50.0, kw_only=True)

    def __post_init__(self) -> None:
        """Check the parameters."""
        super().__post_init__()
        if not isinstance(self.shapes, str | Path):
            raise self._error(f"shapes must be the path of a boundary file, got {self.shapes!r}.")
        object.__setattr__(self, "shapes", Path(self.shapes))
        number = isinstance(self.snap_km, int | float) and not isinstance(self.snap_km, bool)
        if not number or not 0 <= self.snap_km < math.inf:
            raise self._error(f"snap_km must be a distance in km of at least 0, got {self.snap_km!r}.")
        object.__setattr__(self, "snap_km", float(self.snap_km))

    def _read_table(self, columns: Sequence[str]) -> Any:  # noqa: ANN401 - a GeoDataFrame
        """Return the layer as a GeoDataFrame that has some columns."""
        import geopandas

        if not self.shapes.exists():
            raise FileNotFoundError(
                f"{type(self).__name__}: shapes must be a boundary file, and there is none at {self.shapes}: "
                f"{self.advice}"
            )
        try:
            table = geopandas.read_file(self.shapes)
        except Exception as error:
            raise self._error(f"shapes must be GeoJSON, GPKG or a shapefile, got {self.shapes}: {error}") from error
        if not set(columns) <= set(table.columns) or not isinstance(table, geopandas.GeoDataFrame):
            raise self._error(
                f"{self.shapes} must have the columns {', '.join(columns)} and a geometry, got {list(table.columns)}."
            )
        return table

    def _regions(self, table: Any, ids: str, names: str, parents: str | None) -> dict[str, Any]:  # noqa: ANN401
        """Return the fields of a rule, in the order of the codes, from the columns of a GeoDataFrame.

        Raises:
            ValueError: when a region has no identifier of its own, or is not a polygon in degrees.
        """
        import shapely

        missing = int(table[ids].isna().sum())
        if missing:
            raise self._error(
                f"{self.shapes} must have an identifier in {ids} for every region, and {missing} lack one."
            )
        codes = table[ids].astype(str)
        if codes.nunique() != len(codes):
            raise self._error(
                f"{self.shapes} must name every region once, got {len(codes)} rows of {codes.nunique()}: name another "
                "column, or merge the rows that share an identifier."
            )
        if table.crs is not None and table.crs != "EPSG:4326":
            table = table.to_crs("EPSG:4326")
        self._require_polygons(np.asarray(table.geometry.to_numpy(), dtype=object))
        order = np.argsort(codes.to_numpy(dtype=object), kind="stable")
        table, codes = table.iloc[order], codes.iloc[order]
        shapes = shapely.make_valid(np.asarray(table.geometry.to_numpy(), dtype=object))
        columns = {"titles": table[names].where(table[names].notna(), codes).astype(str)}
        if parents is not None:
            columns["parents"] = table[parents].where(table[parents].notna(), "").astype(str)
        texts = {"codes": tuple(codes), **{name: tuple(column) for name, column in columns.items()}}
        return {**texts, "shapes": shapes, "snap_km": self.snap_km}

    def _require_polygons(self, shapes: Geometries) -> None:
        import shapely

        wrong = ~np.isin(shapely.get_type_id(shapes), (3, 6)) | shapely.is_empty(shapes)
        if wrong.any():
            raise self._error(f"every region of {self.shapes} must be a polygon, and {int(wrong.sum())} are not.")
        west, south, east, north = shapely.total_bounds(shapes)
        if west < -180 or east > 180 or south < -90 or north > 90:
            raise self._error(
                f"{self.shapes} must be in degrees or name its coordinate system, got x from {west:g} to {east:g} "
                f"and y from {south:g} to {north:g}."
            )


@dataclass(frozen=True)
class PolygonsPartitioner(LayerPartitioner):
    """Regions of a polygon layer that have training locations, in the order of their identifiers.

    Attributes:
        id_column: column with a distinct identifier of each region ("adm1_code", "GID_1", "shapeID").
        name_column: column with names for people; the identifiers without it.
        parent_column: column with the larger region that each belongs to ("adm0_a3", "GID_0", "shapeGroup"), within
            which small ones are merged first.
    """

    kind: ClassVar[str] = "polygons"
    rule_type: ClassVar[type[Rule]] = PolygonRule

    id_column: str
    name_column: str | None = None
    parent_column: str | None = None

    def __post_init__(self) -> None:
        """Check the parameters."""
        super().__post_init__()
        for name in ("id_column", "name_column", "parent_column"):
            value = getattr(self, name)
            if not (isinstance(value, str) and value) and not (value is None and name != "id_column"):
                raise self._error(f"{name} must be the name of a column of the layer, got {value!r}.")

    def make_rule(self, latlon: Floats) -> Rule:
        """Return the rule: all regions of the layer.

        Raises:
            FileNotFoundError: when there is no layer.
            ValueError: when it is not one.
        """
        del latlon  # the regions do not depend on the locations
        return self.read_polygons()

    def read_polygons(self) -> PolygonRule:
        """Return the rule of the plain regions."""
        names = self.name_column or self.id_column
        columns = dict.fromkeys([self.id_column, names, *([self.parent_column] if self.parent_column else [])])
        return PolygonRule(**self._regions(self._read_table(list(columns)), self.id_column, names, self.parent_column))
