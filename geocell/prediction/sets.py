"""The sets of cells of an answer: which, how large, and as polygons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from geocell.geo.geodesy import Floats
from geocell.heads.calibration import COVERAGES
from geocell.partitioners.base import Partition
from geocell.partitioners.cell_polygons import class_polygons
from geocell.uncertainty.areas import cell_areas, smallest_area_cells
from geocell.uncertainty.cell_sets import METHODS, Method, conformal_set

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from geocell.heads.protocol import HeadLike

SetMethod = Literal["mass", "hpd", "lac", "aps"]
"""`mass`: the smallest area with 50 or 90 % of the probability; the others hold the truth that often, as a calibration
has learned; see `geocell.uncertainty.cell_sets`."""

Cells = NDArray[np.int64]


@dataclass(frozen=True)
class SetMaker:
    """Makes the sets of 50 and 90 % of the answers of a head.

    Attributes:
        partition: the C cells.
        method: how cells are taken.
        thresholds: coverage in percent -> threshold, of a calibration; None for `mass`.
    """

    partition: Partition
    method: SetMethod
    thresholds: Mapping[int, float] | None = None

    @classmethod
    def of(cls, head: HeadLike, method: SetMethod | None = None) -> SetMaker:
        """Return that of a head: by `hpd` where nothing else is asked for and it is calibrated, else by `mass`.

        Raises:
            ValueError: for an unknown method, or one that the head has not learned.
        """
        known = None if head.calibration is None else head.calibration.set_thresholds
        chosen = method or ("mass" if known is None else "hpd")
        if chosen not in ("mass", *METHODS):
            raise ValueError(f"sets must be one of mass, {', '.join(METHODS)}, got {chosen!r}.")
        if chosen == "mass":
            return cls(head.partition, chosen)
        if known is None:
            raise ValueError(
                f"sets by {chosen} are learned by `geocell calibrate`, and this head has none: calibrate it, or take "
                "those by mass."
            )
        return cls(head.partition, chosen, known[chosen])

    @cached_property
    def _areas(self) -> Floats:
        return cell_areas(self.partition).km2

    @cached_property
    def _points(self) -> bool:
        return cell_areas(self.partition).points

    def __call__(self, row: NDArray[np.float32], uniform: float) -> tuple[Cells, Cells]:
        """Return the cells of 50 and of 90 %, in the order in which they are taken; at least the first cell.

        Args:
            row: (C,) probabilities.
            uniform: the random number of the location, of `uniform_of`.
        """
        half, most = (self._cells(row, coverage, uniform) for coverage in COVERAGES)
        return half, most

    def _cells(self, row: NDArray[np.float32], coverage: int, uniform: float) -> Cells:
        if self.thresholds is None:
            return smallest_area_cells(row, self._areas, coverage / 100)
        method = cast("Method", self.method)
        cells = conformal_set(row, method, self.thresholds[coverage], self._areas, uniform)
        return cells if len(cells) else conformal_set(row, method, 1.0, self._areas, uniform)[:1]

    def km2(self, cells: Cells) -> float | None:
        """Return the area of a set, None where the cells are points."""
        return None if self._points else float(self._areas[cells].sum())


def set_polygon(polygons: NDArray[Any], cells: Cells) -> BaseGeometry:
    """Return the union of (C,) polygons of cells, with counter-clockwise outer rings, as RFC 7946 has it."""
    import shapely

    from geocell.geo.shapes import GRID

    return shapely.orient_polygons(shapely.union_all(polygons[cells], grid_size=GRID))


def polygons_of(partition: Partition) -> NDArray[Any] | None:
    """Return the (C,) polygons of the cells; None where only their centroids are known."""
    return class_polygons(partition) if partition.can_assign else None
