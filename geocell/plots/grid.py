"""Maps of one box in rows and columns: how high each is, and where it stands in the picture."""

from __future__ import annotations

from dataclasses import dataclass

from geocell.geo.maps import height_per_width, is_world

__all__ = ["SIDE", "Grid", "height_per_width", "is_world"]

SIDE = 0.25
"""Inches to the left and right of the maps."""


@dataclass(frozen=True)
class Grid:
    """A grid of equal maps, in inches.

    Attributes:
        columns: maps in a row.
        rows: of maps.
        width: of a map.
        height: of a map.
        gap: between two maps in a row.
        head: above every map, for its title.
        top: above all maps.
        bottom: below all maps.
    """

    columns: int
    rows: int
    width: float
    height: float
    gap: float
    head: float
    top: float
    bottom: float

    @property
    def size(self) -> tuple[float, float]:
        """Width and height of the whole picture."""
        width = 2 * SIDE + self.columns * self.width + (self.columns - 1) * self.gap
        return width, self.top + self.rows * (self.head + self.height) + self.bottom

    def panel(self, i: int) -> tuple[float, float, float, float]:
        """Return left, bottom, width, height of map `i` as fractions of the picture."""
        row, column = divmod(i, self.columns)
        width, height = self.size
        left = SIDE + column * (self.width + self.gap)
        bottom = height - self.top - (row + 1) * (self.head + self.height)
        return left / width, bottom / height, self.width / width, self.height / height
