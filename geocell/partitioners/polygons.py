"""Regions of any polygon layer: Natural Earth, GADM, geoBoundaries, your own. NUTS and semantic cells build on it."""

# No postponed annotations here, see partitioner.py.

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from geocell.geo.geodesy import Floats
from geocell.partitioners.layer import layer_regions
from geocell.partitioners.partitioner import Partitioner
from geocell.partitioners.polygon_rule import MAX_SNAP_KM, PolygonRule
from geocell.partitioners.rule import Rule

COUNTRIES = "countries"
"""What `shapes` is for the outlines that this package has: Natural Earth 1:50m, with `iso_a2`, `name`, `continent`."""


@dataclass(frozen=True)
class LayerPartitioner(Partitioner):
    """The parameters shared by the kinds that read a polygon layer.

    Attributes:
        shapes: polygon layer: GeoJSON, GPKG or shapefile, of Natural Earth, GADM or geoBoundaries, say; or countries,
            the outlines of this package.
        snap_km: a location outside every region gets the nearest one within this distance: generalised coastlines
            leave real locations in the sea.
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
        if not number or not 0 <= self.snap_km <= MAX_SNAP_KM:
            raise self._error(f"snap_km must be a distance in km of at least 0, got {self.snap_km!r:.40}.")
        object.__setattr__(self, "snap_km", float(self.snap_km))

    def _read_table(self, columns: Sequence[str]) -> Any:  # noqa: ANN401 - a GeoDataFrame
        """Return the layer as a GeoDataFrame that has some columns."""
        import geopandas

        if self._is_countries and columns:
            from geocell.geo.countries import country_layer

            return self._with_columns(country_layer(), columns)
        if not self.shapes.exists():
            raise FileNotFoundError(
                f"{type(self).__name__}: shapes must be a boundary file, and there is none at {self.shapes}: "
                f"{self.advice}"
            )
        try:
            table = geopandas.read_file(self.shapes)
        except Exception as error:
            raise self._error(f"shapes must be GeoJSON, GPKG or a shapefile, got {self.shapes}: {error}") from error
        return self._with_columns(table, columns)

    @property
    def _is_countries(self) -> bool:
        """Whether the layer is that of this package; a file or folder of that name takes precedence."""
        return str(self.shapes) == COUNTRIES and not self.shapes.exists()

    def _with_columns(self, table: Any, columns: Sequence[str]) -> Any:  # noqa: ANN401 - a GeoDataFrame
        import geopandas

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
        try:
            fields = layer_regions(table, ids, names, parents, str(self.shapes))
        except ValueError as error:
            raise self._error(str(error)) from error
        return {**fields, "snap_km": self.snap_km}


@dataclass(frozen=True)
class PolygonsPartitioner(LayerPartitioner):
    """Regions of a polygon layer that have training locations, in the order of their identifiers.

    Attributes:
        id_column: column with a distinct identifier of each region ("adm1_code", "GID_1", "shapeID"); needed for every
            layer but countries, whose columns are iso_a2, name and continent.
        name_column: column with human-readable names; the identifiers without it.
        parent_column: column with the larger region that each belongs to ("adm0_a3", "GID_0", "shapeGroup"), within
            which small ones are merged first.
    """

    kind: ClassVar[str] = "polygons"
    rule_type: ClassVar[type[Rule]] = PolygonRule

    id_column: str = ""
    name_column: str | None = None
    parent_column: str | None = None

    def __post_init__(self) -> None:
        """Check the parameters."""
        super().__post_init__()
        if self.id_column == "" and self._is_countries:
            for name, column in (("id_column", "iso_a2"), ("name_column", "name"), ("parent_column", "continent")):
                object.__setattr__(self, name, getattr(self, name) or column)
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
