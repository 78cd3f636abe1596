"""Coordinates: read from the cells of a table, checked, and in the form in which they are compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.geo.geodesy import Floats, as_latlon

if TYPE_CHECKING:
    import pandas as pd

_PIECE = 1 << 18  # coordinates that are rounded at a time
_LONGITUDES = 400_000_000  # more than there are, in units of 1e-6 degrees


def rounded_latlon(latlon: Floats) -> Floats:
    """Return (P, 2) degrees to 1e-6 (11 cm), each coordinate in one canonical form."""
    rounded = np.round(latlon, 6) + 0.0  # + 0.0 turns -0.0 into 0.0
    rounded[rounded[:, 1] == -180.0, 1] = 180.0
    rounded[np.abs(rounded[:, 0]) == 90.0, 1] = 0.0  # the longitude of a pole is 0
    return rounded


def coordinate_numbers(latlon: Floats) -> NDArray[np.int64]:
    """Return (P,) numbers that are equal where `rounded_latlon` is, and ordered by latitude, then longitude.

    Args:
        latlon: (P, 2) valid degrees.
    """
    numbers = np.empty(len(latlon), dtype=np.int64)
    for first in range(0, len(latlon), _PIECE):
        lat, lon = np.rint(rounded_latlon(latlon[first : first + _PIECE]) * 1e6).astype(np.int64).T
        numbers[first : first + _PIECE] = lat * _LONGITUDES + lon
    return numbers


def latlon_keys(latlon: Floats) -> list[str]:
    """Return a text key of every coordinate; see `rounded_latlon`."""
    return [f"{lat:.6f},{lon:.6f}" for lat, lon in rounded_latlon(latlon).tolist()]


def require_latlon(checked: Floats, found: dict[str, str], source: str) -> None:
    """Raise ValueError for (N, 2) coordinates of a whole table that are none, zeros standing for unknown ones."""
    _refuse_swapped(checked, found, source)
    as_latlon(checked, f"{source}: coordinates")


def _stripped(values: pd.Series[Any]) -> pd.Series[Any]:
    return values.astype(str).where(values.notna(), None).str.strip()


def has_commas(values: pd.Series[Any]) -> bool:
    """Return whether all texts of a column are numbers as `48,137`: no degree has a thousands separator."""
    if values.dtype.kind in "fiub":
        return False
    return bool(_stripped(values).str.fullmatch(r"[-+]?\d{1,3}(?:,\d+)?").fillna(True).astype(bool).all())


def degrees(values: pd.Series[Any], role: str, source: str, good: NDArray[np.int64], commas: bool) -> Floats:
    """Return numbers, NaN where a row has a problem; with `commas` texts are as in `has_commas`."""
    import pandas as pd

    if values.dtype.kind not in "fiub":
        values = _stripped(values)
        if commas:
            values = values.str.replace(",", ".")
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(np.float64, copy=True)
    bad = good[np.isnan(numbers[good]) & values.iloc[good].notna().to_numpy()]
    if len(bad):
        raise ValueError(
            f"{source}: {role} must be degrees, got {values.iloc[bad[0]]!r} in row {values.index[bad[0]]}."
        )
    return numbers


def _refuse_swapped(latlon: Floats, found: dict[str, str], source: str) -> None:
    beyond = np.flatnonzero(np.abs(latlon[:, 0]) > 90)
    if len(beyond) and np.max(np.abs(latlon[:, 0])) <= 180 and np.max(np.abs(latlon[:, 1])) <= 90:
        raise ValueError(
            f"{source}: latitude and longitude look swapped: {found['lat']!r} and {found['lon']!r} are "
            f"{latlon[beyond[0]].tolist()} in row {beyond[0]}; if the headings are wrong, pass "
            f"--lat-column {found['lon']} --lon-column {found['lat']}."
        )
