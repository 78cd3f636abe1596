"""NUTS regions of the European Union and its neighbours, from a boundary file of Eurostat GISCO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from geocell.geo.geodesy import Floats
from geocell.partitioners.merging import Ints
from geocell.partitioners.polygon_rule import PolygonRule
from geocell.partitioners.polygons import LayerPartitioner
from geocell.partitioners.rule import Level, Rule, level_of
from geocell.partitioners.validation import shown

_SHOWN_ROWS = 10_000  # of which an error names the levels
_LONGEST_CODE = 32  # every prefix of a code is a level


@dataclass(frozen=True, eq=False)
class NUTSRule(PolygonRule):
    """The NUTS region that contains a location, or the nearest one within `snap_km`; larger regions are in the code."""

    @property
    def levels(self) -> dict[str, Level]:
        """The larger regions: a code has two letters for the country and one more character per level."""
        finest = max(map(len, self.codes)) - 2
        return {f"level_{n}": level_of([code[: n + 2] for code in self.codes]) for n in range(finest)}

    @property
    def families(self) -> list[Ints]:
        """(R,) country of each region."""
        return [level_of([code[:2] for code in self.codes]).groups]

    @classmethod
    def from_json(cls, value: Mapping[str, Any], folder: Path) -> Self:
        """Read the JSON form and the regions beside it."""
        rule = super().from_json(value, folder)
        if max(map(len, rule.codes)) > _LONGEST_CODE:
            raise ValueError(f"NUTS codes must have at most {_LONGEST_CODE} characters")
        return rule


@dataclass(frozen=True)
class NUTSPartitioner(LayerPartitioner):
    """NUTS regions that have training locations, in the order of their codes.

    Attributes:
        shapes: boundary file of GISCO: GeoJSON, GPKG or shapefile with columns NUTS_ID and LEVL_CODE.
        level: 0 countries to 3 small regions.
    """

    kind: ClassVar[str] = "nuts"
    rule_type: ClassVar[type[Rule]] = NUTSRule
    advice: ClassVar[str] = "download the NUTS regions as GeoJSON from Eurostat GISCO."

    level: int = 3

    def __post_init__(self) -> None:
        """Check the parameters."""
        super().__post_init__()
        self._require_int("level", 0, 3)

    def make_rule(self, latlon: Floats) -> NUTSRule:
        """Return the rule: all regions of the level.

        Raises:
            FileNotFoundError: when there is no boundary file.
            ValueError: when it is not one.
        """
        del latlon  # the regions do not depend on the locations
        table = self._read_table(["NUTS_ID", "LEVL_CODE"])
        levels = sorted({shown(level) for level in table["LEVL_CODE"].dropna().tolist()[:_SHOWN_ROWS]})
        codes = table["LEVL_CODE"].tolist()  # lists and texts may be among them
        table = table[[isinstance(code, int | float) and code == self.level for code in codes]]
        if table.empty:
            raise self._error(
                f"{self.shapes} must have regions of level {self.level}, got levels {', '.join(levels) or 'none'}."
            )
        names = next((name for name in ("NAME_LATN", "NUTS_NAME") if name in table.columns), "NUTS_ID")
        return NUTSRule(**self._regions(table, "NUTS_ID", names, None))
