"""A partition: a rule that assigns locations to raw cells, classes made of raw cells, and its folder.

A class is one raw cell, or several where cells with too few locations were merged.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from geocell.files import FORMAT, canonical_json, new_folder, read_folder, reading, write_json
from geocell.geo.geodesy import Floats, as_latlon, unit_vectors
from geocell.partitioners.cell_polygons import cell_points, cell_polygons
from geocell.partitioners.cells import INFO_FILE, Cells, cells_to_info, read_cells
from geocell.partitioners.kinds import Kind, require_loadable
from geocell.partitioners.layer import cells_from_table
from geocell.partitioners.merging import Ints
from geocell.partitioners.partition_file import CENTROIDS_KIND, PARTITION_FILE, read_partition_file, require_hash
from geocell.partitioners.polygon_rule import MAX_SNAP_KM
from geocell.partitioners.rule import OUTSIDE, Bools, Level, Rule, canonical_latlon, locate_all, workers_for

if TYPE_CHECKING:
    import geopandas
    from scipy.spatial import cKDTree

__all__ = ["OUTSIDE", "PARTITION_FILE", "Assignment", "Partition"]

PARTITION_MARKS = (INFO_FILE, PARTITION_FILE)
"""The files of every partition, by which its folder is recognised before it is replaced."""

PARTITION_PARTS = ("cells.geojson",)
"""The other file of a partition. A head's folder has more files, and is not replaced by a partition."""


@dataclass(frozen=True, eq=False)
class Assignment:
    """The cell of each location.

    Attributes:
        cells: (P,) int64 class, or OUTSIDE.
        fallback: (P,) bool: True where the class is only the nearest one, by the partition's `outside_rule`.
    """

    cells: Ints
    fallback: Bools


@dataclass(frozen=True, eq=False, repr=False)
class Partition:
    """An ordered list of C cells with centroids, and the rule that assigns locations to them.

    Attributes:
        kind: kind of its partitioner; "centroids" for a partition that only decodes.
        names: (C,) names of the cells.
        labels: (C,) human-readable names.
        centroids: (C, 2) degrees (lat, lon), read-only.
        counts: (C,) training locations, without those of dropped cells, read-only; 0 where a foreign file has
            none.
        radius_km: (C,) distance from the centroid to the farthest training location, read-only.
        parameters: of the partitioner.
        fitted_on: number of training locations, how many by fallback and outside, their source and sha256.
        rule: assigns locations to raw cells; None for a partition that only decodes.
        class_of_raw: (R,) class of every raw cell.
        unseen_raw: (R,) bool: raw cells without a training location, or dropped with theirs.
        made_by: the class whose `fit` made it, or that the caller of `load` named; None for a kind of this package
            that was loaded.
    """

    kind: str
    names: tuple[str, ...]
    labels: tuple[str, ...]
    centroids: Floats
    counts: Ints
    radius_km: Floats
    parameters: dict[str, Any] = field(default_factory=dict)
    fitted_on: dict[str, Any] = field(default_factory=dict)
    rule: Rule | None = None
    class_of_raw: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    unseen_raw: Bools = field(default_factory=lambda: np.empty(0, dtype=np.bool_))
    made_by: type[Kind] | None = None

    def __post_init__(self) -> None:
        """Check that the parts are consistent, and make the arrays read-only."""
        n = len(self.names)
        sizes = [len(self.labels), len(self.centroids), len(self.counts), len(self.radius_km)]
        if n == 0 or sizes != [n] * 4:
            raise ValueError(f"a partition needs at least one cell and one row per cell, got {n} names and {sizes}.")
        if self.rule is not None:
            raw = len(self.rule.names)
            classes = self.class_of_raw
            if len(classes) != raw or len(self.unseen_raw) != raw or not set(classes.tolist()) == set(range(n)):
                raise ValueError(f"class_of_raw must give {raw} raw cells one of {n} classes each, and use them all.")
        for name in ("centroids", "counts", "radius_km", "class_of_raw", "unseen_raw"):
            frozen = np.array(getattr(self, name))
            frozen.setflags(write=False)
            object.__setattr__(self, name, frozen)

    def __len__(self) -> int:
        """Return C."""
        return len(self.names)

    def __repr__(self) -> str:
        """Return kind, size and the start of the hash."""
        return f"<Partition {self.kind}: {len(self)} cells, sha256 {self.sha256[:12]}>"

    def _repr_html_(self) -> str:
        from geocell.partitioners.notebook import partition_display

        return partition_display(self, self.sha256).html()

    @property
    def can_assign(self) -> bool:
        """Whether it assigns locations to cells; a partition of centroids alone only decodes."""
        return self.rule is not None

    @property
    def outside_rule(self) -> str:
        """What happens to a location in no known cell, in one sentence."""
        if self.rule is None:
            return "Locations are not assigned: only the centroids are known."
        if self.parameters.get("small") != "drop":
            return self.rule.outside_rule
        heir = "the nearest centroid" if self.rule.nearest_when_unseen else "the nearest cell that remains"
        return f"{self.rule.outside_rule} A location in a dropped cell gets {heir}, flagged as fallback."

    @property
    def centroid_rule(self) -> str:
        """The rule of the centroids: "mean", "cell" or "medoid"; "unknown" for a foreign file."""
        return str(self.parameters.get("centroid", "unknown"))

    @cached_property
    def _levels(self) -> dict[str, Level]:
        if self.rule is None:
            return {}
        raw = {name: i for i, name in enumerate(self.rule.names)}
        survivors = np.array([raw[name] for name in self.names], dtype=np.int64)
        levels = {}
        for name, level in self.rule.levels.items():
            used, groups = np.unique(level.groups[survivors], return_inverse=True)
            if len(used) < len(self):  # else it is no coarser than the cells
                levels[name] = Level(tuple(level.names[i] for i in used), groups.astype(np.int64))
        return levels

    @property
    def ancestors(self) -> dict[str, Ints]:
        """Level -> (C,) int64 group of each cell, from the coarsest level to the finest; the groups nest.

        Empty for kinds without a hierarchy. A cell at or above a level is alone in its group there, and one merged
        from several raw cells has the ancestors of the one that gave it its name.
        """
        return {name: level.groups for name, level in self._levels.items()}

    @property
    def ancestor_names(self) -> dict[str, tuple[str, ...]]:
        """Level -> (G,) names of its groups, ascending: name i is that of group i of `ancestors`."""
        return {name: level.names for name, level in self._levels.items()}

    @cached_property
    def sha256(self) -> str:
        """Hash of names, centroids and assignment rule, which identifies the cells."""
        cells = [[name, *row] for name, row in zip(self.names, self.centroids.tolist(), strict=True)]
        content = {"kind": self.kind, "cells": cells, "assign": self._assign_json()}
        return hashlib.sha256(canonical_json(content).encode()).hexdigest()

    @cached_property
    def _centroid_tree(self) -> cKDTree:
        from scipy.spatial import cKDTree

        return cKDTree(unit_vectors(self.centroids))

    def _assign_json(self) -> dict[str, Any] | None:
        if self.rule is None:
            return None
        return {
            **self.rule.to_json(),
            "class_of_raw": self.class_of_raw.tolist(),
            "unseen_raw": np.flatnonzero(self.unseen_raw).tolist(),
        }

    def locate(self, latlon: ArrayLike) -> Assignment:
        """Return the cell of each location, and whether it is only the nearest.

        Args:
            latlon: (P, 2) degrees.

        Raises:
            ValueError: when the partition only decodes, or the coordinates are not degrees (lat, lon).
        """
        if self.rule is None:
            raise ValueError(
                "this partition can only decode: it came from geocell_info.json alone, which has centroids but does "
                "not say which cell a location is in; put the partition.json it was written with beside that file, "
                "or fit a partition."
            )
        places = canonical_latlon(as_latlon(latlon))
        raw = locate_all(self.rule, places)
        inside = raw.cells != OUTSIDE
        cells = np.full(len(places), OUTSIDE, dtype=np.int64)
        cells[inside] = self.class_of_raw[raw.cells[inside]]
        unseen = ~inside
        unseen[inside] = self.unseen_raw[raw.cells[inside]]
        if not unseen.any():
            return Assignment(cells, raw.fallback)
        if self.rule.nearest_when_unseen:
            cells[unseen] = self.nearest(places[unseen])
        return Assignment(cells, raw.fallback | (unseen & (cells != OUTSIDE)))

    def assign(self, latlon: ArrayLike) -> Ints:
        """Return the (P,) int64 cell of each location, OUTSIDE for those in none; see `locate`."""
        return self.locate(latlon).cells

    def nearest(self, latlon: ArrayLike) -> Ints:
        """Return the (P,) int64 cell with the nearest centroid, regardless of the rule."""
        places = unit_vectors(as_latlon(latlon))
        return np.asarray(self._centroid_tree.query(places, workers=workers_for(len(places)))[1], dtype=np.int64)

    def to_geopandas(self) -> geopandas.GeoDataFrame:
        """Return the cells as a table of polygons, or of their centroids where only these are known.

        Returns:
            C rows in class order, EPSG:4326: `cell` (class index), `name`, `label`, `count` of training locations,
            `lat` and `lon` of the centroid, `radius_km`, `area_km2`, `geometry`; see
            `geocell.partitioners.cell_polygons.cell_polygons`.
        """
        return cell_polygons(self) if self.can_assign else cell_points(self)

    @classmethod
    def from_geopandas(
        cls,
        table: geopandas.GeoDataFrame,
        *,
        id_column: str = "name",
        name_column: str | None = None,
        snap_km: float = 50.0,
    ) -> Partition:
        """Return a partition of kind `polygons` whose cells are the rows of a table.

        Its columns `lat` and `lon` are the centroids, else a point inside each cell; `count` and `radius_km` are taken
        over where they are known. To choose centroids and counts by training locations, fit a `PolygonsPartitioner`.

        Args:
            table: polygons with their coordinate system, or in degrees.
            id_column: a distinct name of each cell, by which the cells are ordered.
            name_column: human-readable names; `label` where there is such a column, else the identifiers.
            snap_km: a location outside every cell gets the nearest one within this distance.

        Raises:
            TypeError: when it is no GeoDataFrame.
            ValueError: for a missing column, a name that is missing or there twice, a cell that is no polygon in
                degrees, or a number that is none.
        """
        if not 0 <= snap_km <= MAX_SNAP_KM:
            raise ValueError(f"snap_km must be a distance in km of at least 0, got {snap_km!r:.40}.")
        label = name_column or ("label" if "label" in getattr(table, "columns", ()) else None)
        cells, rule = cells_from_table(table, id_column, label, float(snap_km))
        fitted_on = {"n_locations": int(cells.counts.sum()), "source": "a GeoDataFrame"}
        parameters = {"id_column": id_column, "snap_km": float(snap_km)}
        every = np.arange(len(cells.names))
        return cls("polygons", *cells, parameters, fitted_on, rule, every, np.zeros(len(every), dtype=np.bool_))

    def save(self, path: str | Path, overwrite: bool = False) -> None:
        """Write the partition as a folder, atomically.

        Raises:
            FileExistsError: when `path` exists and `overwrite` is false, or it is no partition.
            ValueError: when it is of a custom kind that could not be loaded again.
        """
        with new_folder(Path(path), overwrite=overwrite, marks=PARTITION_MARKS, parts=PARTITION_PARTS) as folder:
            self.write_into(folder)

    def write_into(self, folder: Path) -> None:
        """Write the files of the partition into an existing folder; see `save`."""
        if self.rule is not None:
            require_loadable(self.kind, type(self.rule), self.made_by)
        cells = Cells(self.names, self.labels, self.centroids, self.counts, self.radius_km)
        write_json(folder / INFO_FILE, cells_to_info(cells))
        if self.rule is not None:
            self.rule.write_files(folder)
        partition = {
            "format": FORMAT,
            "kind": self.kind,
            "n_cells": len(self),
            "parameters": self.parameters,
            "centroid_rule": self.centroid_rule,
            "outside_rule": self.outside_rule,
            "fitted_on": self.fitted_on,
            "sha256": self.sha256,
            "assign": self._assign_json(),
        }
        write_json(folder / PARTITION_FILE, partition)

    @classmethod
    def load(cls, path: str | Path, partitioner: str | type[Kind] | None = None) -> Partition:
        """Read a partition's folder, or a head's; one with `geocell_info.json` alone decodes and does not assign.

        Args:
            path: the folder; it is read again if another process replaces it meanwhile.
            partitioner: class or `module:attribute` of the partitioner, for a custom kind of partition. A name that
                a file contains is never imported.

        Raises:
            FileNotFoundError: when `geocell_info.json` is missing.
            ImportError: when there is no such partitioner.
            ValueError: when a file is not what it should be, or the cells are not those that were written.
        """
        return read_folder(Path(path), lambda folder: cls._load(folder, partitioner))

    @classmethod
    def _load(cls, folder: Path, partitioner: str | type[Kind] | None) -> Partition:
        cells = read_cells(folder)
        content = read_partition_file(folder, cells, partitioner)
        if content is None:
            return cls(CENTROIDS_KIND, *cells)
        with reading(folder / PARTITION_FILE, "a partition"):
            partition = cls(
                content.kind,
                *cells,
                content.parameters,
                content.fitted_on,
                content.rule,
                content.class_of_raw,
                content.unseen_raw,
                content.made_by,
            )
            found = partition.sha256
        require_hash(folder, found, content.sha256)
        return partition
