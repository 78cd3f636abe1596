"""The rule of cells that are regions: the polygons of a layer, and the file that stores them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from geocell.files import read_json, reading, write_json
from geocell.geo.geodesy import Floats, chord_from_km, swap_latlon_to_xy, unit_vectors
from geocell.geo.regions import border_points, geometry_to_geojson, regions_from_geojson
from geocell.geo.shapes import Geometries
from geocell.partitioners.merging import Ints
from geocell.partitioners.rule import OUTSIDE, Level, RawAssignment, Rule, level_of
from geocell.partitioners.validation import items, number, texts

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

SHAPES_FILE = "cells.geojson"

_MAX_SHAPES_BYTES = 1 << 30
MAX_SNAP_KM = 1e9


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

        Each prepared region is queried in bulk with the locations in its bounding box.
        """
        import shapely

        # A location on the antimeridian has longitude -180 here, and a region may end at +180.
        row = np.concatenate((np.arange(len(latlon)), np.flatnonzero(latlon[:, 1] == -180.0)))
        lat, lon = latlon[row].T
        lon[len(latlon) :] = 180.0
        order = np.argsort(lat, kind="stable")
        row, lat, lon = row[order], lat[order], lon[order]
        shapely.prepare(self.shapes)
        west, south, east, north = shapely.bounds(self.shapes).T
        first, last = np.searchsorted(lat, south, "left"), np.searchsorted(lat, north, "right")
        cells = np.full(len(latlon), OUTSIDE, dtype=np.int64)
        for region in reversed(range(len(self.shapes))):  # so that the lowest overwrites the others
            band = lon[first[region] : last[region]]
            near = first[region] + np.flatnonzero((band >= west[region]) & (band <= east[region]))
            if len(near):
                cells[row[near[shapely.intersects_xy(self.shapes[region], lon[near], lat[near])]]] = region
        return cells

    @cached_property
    def _border(self) -> tuple[cKDTree, Ints]:
        """Tree over the vertices of all borders, and the lowest region each belongs to."""
        from scipy.spatial import cKDTree

        xy, region = border_points(self.shapes)
        # Complex numbers sort like rows; the first of equal points belongs to the lowest code.
        _, first = np.unique(np.ascontiguousarray(xy).view(np.complex128)[:, 0], return_index=True)
        return cKDTree(unit_vectors(swap_latlon_to_xy(xy[first]))), region[first]

    def cell_polygons(self) -> Geometries:
        """Return the (R,) regions as they are in the layer, overlaps included."""
        return self.shapes

    def to_json(self) -> dict[str, Any]:
        """Return the JSON form, with the hash of the polygons, which have a file of their own."""
        import shapely

        digest = hashlib.sha256()
        for code, shape in zip(self.codes, shapely.to_wkb(self.shapes, byte_order=1), strict=True):
            digest.update(code.encode() + shape)
        return {"snap_km": self.snap_km, "shapes": SHAPES_FILE, "shapes_sha256": digest.hexdigest()}

    def write_files(self, folder: Path) -> None:
        """Write the regions as GeoJSON."""
        features = []
        for i, code in enumerate(self.codes):
            properties = {"name": code, "label": self.titles[i]}
            if self.parents:
                properties["parent"] = self.parents[i]
            geometry = geometry_to_geojson(self.shapes[i])
            features.append({"type": "Feature", "properties": properties, "geometry": geometry})
        write_json(folder / SHAPES_FILE, {"type": "FeatureCollection", "features": features})

    @classmethod
    def from_json(cls, value: Mapping[str, Any], folder: Path) -> Self:
        """Read the JSON form and the regions beside it.

        Raises:
            FileNotFoundError: when there is no file of regions.
            ValueError: when it is damaged, or larger than can be worked on.
        """
        path = folder / SHAPES_FILE
        snap_km = number(value, "snap_km", 0.0, MAX_SNAP_KM)
        regions = read_json(path, "a partition into regions", versioned=False, max_bytes=_MAX_SHAPES_BYTES)
        with reading(path, "the regions of a partition"):
            features = items(regions, "features")
            rows = [item["properties"] for item in features]
            codes, titles = (texts([row[key] for row in rows], f"every {key!r}") for key in ("name", "label"))
            parents = texts([row["parent"] for row in rows if "parent" in row], "every 'parent'")
            if len(set(codes)) != len(codes) or len(parents) not in (0, len(codes)):
                raise ValueError("every region must have a name of its own, and all or none a parent")
            shapes = regions_from_geojson([item["geometry"] for item in features])
        return cls(codes, titles, shapes, snap_km, parents)
