"""Charts of errors: their distribution on a logarithmic axis, and scores by the distance to training locations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.plots.chart import DASHES, GRID, INK, SERIES, SOFT, new_chart
from geocell.plots.style import legend_name, own_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEAST_KM, MOST_KM = 0.1, 20_100.0
"""Ends of the axis of errors: half of the earth's circumference is the largest."""

_RADII = {1: ("street", "center"), 25: ("city", "center"), 200: ("region", "center")}
_RADII |= {750: ("country", "center"), 2500: ("continent", "left")}
_MOST_POINTS = 300
_FEW, _STEEP = 60, 20  # cells that are dots; how much fuller than the median the fullest is on a logarithmic axis
_SAID = " (logarithmic)"
_PER_ROW, _MOST_NAME = 2, 30  # of a legend


def cdf_points(distances_km: ArrayLike, most: int = _MOST_POINTS) -> NDArray[np.float64]:
    """Return points of the empirical distribution of errors, as a step curve needs them.

    Args:
        distances_km: (P,) errors, P >= 1.
        most: how many points there may be; of more locations, those at evenly spaced ranks are kept, the smallest and
            the largest among them.

    Returns:
        (n, 2) of km, ascending, and the share of the locations within it.
    """
    km = np.sort(np.asarray(distances_km, dtype=np.float64))
    values, last = np.unique(km[::-1], return_index=True)
    share = (len(km) - last) / len(km)  # of a distance that several have, the share with all of them
    if len(values) > most:
        shown = np.unique(np.linspace(0, len(values) - 1, most).round().astype(np.int64))
        values, share = values[shown], share[shown]
    return np.stack([values, share], axis=1)


def error_cdf(curves: Mapping[str, ArrayLike]) -> Figure:
    """Draw what share of the locations is answered within each distance.

    Args:
        curves: name -> (n, 2) points as of `cdf_points`; the first is drawn strongest.
    """
    with own_style():
        figure, axes = new_chart(3.9)
        axes.set(xscale="log", xlim=(LEAST_KM, MOST_KM), ylim=(0, 100))
        for i, (name, points) in enumerate(curves.items()):
            km, share = np.asarray(points, dtype=np.float64).T
            x = np.concatenate([[LEAST_KM], np.clip(km, LEAST_KM, MOST_KM), [MOST_KM]])
            y = 100.0 * np.concatenate([[0.0], share, [share[-1]]])
            axes.step(x, y, where="post", label=legend_name(_short(name)), zorder=9 - i, **_line(i))
        for km, (what, side) in _RADII.items():
            axes.axvline(km, color=SOFT, linewidth=0.6, linestyle=(0, (1, 2)), zorder=1)
            dx = -7 if side == "left" else 0
            axes.annotate(what, (km, 100), (dx, 3), textcoords="offset points", ha=side, fontsize=7, color=SOFT)
        ticks = [1, 25, 200, 750, 2500]
        axes.set_xticks([LEAST_KM, *ticks, MOST_KM], ["0.1", *map(str, ticks), ""])
        axes.minorticks_off()
        axes.set(xlabel="error, km (logarithmic)", ylabel="locations answered within it, %")
        rows = -(-len(curves) // _PER_ROW)
        style: dict[str, Any] = {
            "frameon": False,
            "fontsize": 8.5,
            "labelcolor": INK,
            "handlelength": 2.4,
            "columnspacing": 1.4,
        }
        figure.legend(loc="lower center", ncols=_PER_ROW, **style)
        figure.tight_layout(pad=0.6, rect=(0, 0.055 * rows + 0.01, 1, 1))
    return figure


def _short(name: str) -> str:
    return name if len(name) <= _MOST_NAME else f"{name[: _MOST_NAME - 1]}…"


def _line(i: int) -> dict[str, Any]:
    dash = DASHES[i % len(DASHES)]
    style: object = (0, dash) if dash else "-"
    return {"color": SERIES[i % len(SERIES)], "linewidth": 2.0 if i == 0 else 1.3, "linestyle": style}


def distance_chart(
    names: Sequence[str], counts: ArrayLike, shares: ArrayLike, low: ArrayLike, high: ArrayLike
) -> Figure:
    """Draw a score by the distance to the nearest training location, and how many locations each bin has.

    Args:
        names: (B,) bins, such as `1–5`, in km.
        counts: (B,) locations in each.
        shares: (B,) scores as fractions, NaN where there is no location.
        low: (B,) lower ends of their intervals.
        high: (B,) upper ends.
    """
    n, y = np.asarray(counts), 100.0 * np.asarray(shares, dtype=np.float64)
    ends = 100.0 * np.asarray([low, high], dtype=np.float64)
    with own_style():
        figure, axes = new_chart()
        x = np.arange(len(names))
        known = np.isfinite(y)
        axes.vlines(x[known], *ends[:, known], color=SERIES[0], linewidth=1.6)
        axes.plot(x[known], y[known], "o", color=SERIES[0], markersize=6)
        axes.set_xticks(x, [f"{name}\n(n = {k:,})" for name, k in zip(names, n.tolist(), strict=True)])
        axes.set(xlim=(-0.6, len(names) - 0.4), ylim=(0, 100))
        axes.set(xlabel="distance to the nearest training location, km", ylabel="balscore, % (95 % interval)")
        axes.grid(False, axis="x")
        figure.tight_layout(pad=0.6)
    return figure


def counts_chart(counts: ArrayLike) -> Figure:
    """Draw how many training locations the cells have, from the fullest cell on.

    Args:
        counts: (C,) locations of each cell; cells without any stand at the end.
    """
    ranked = np.sort(np.asarray(counts, dtype=np.int64))[::-1]
    with own_style():
        figure, axes = new_chart(2.9)
        rank = np.arange(1, len(ranked) + 1)
        middle = float(np.median(ranked))
        shown = rank - 1
        if len(ranked) > _MOST_POINTS:  # evenly spaced on the logarithmic axis
            shown = np.unique(np.geomspace(1, len(ranked), _MOST_POINTS).round().astype(np.int64)) - 1
        axes.set(xscale="log" if len(ranked) > _FEW else "linear")
        if steep := ranked[0] > _STEEP * max(middle, 1.0):
            axes.set_yscale("log")
        else:
            axes.set_ylim(0, 1.05 * max(ranked[0], 1))
        marker: dict[str, Any] = {"marker": "o", "markersize": 3.0} if len(ranked) <= _FEW else {}
        axes.plot(rank[shown], np.maximum(ranked[shown], 0.5), color=SERIES[0], linewidth=1.6, **marker)
        axes.axhline(max(middle, 0.5), color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.annotate(
            f"median {middle:,.0f}",
            (1, max(middle, 0.5)),
            (-2, 3),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="right",
            fontsize=8,
            color=SOFT,
        )
        _plain_ticks(axes)
        axes.set(xlabel="rank of the cell, the fullest first", ylabel=f"training locations{_SAID if steep else ''}")
        axes.grid(True, color=GRID, linewidth=0.6)
        axes.title.set_color(INK)
        figure.tight_layout(pad=0.6)
    return figure


def _plain_ticks(axes: Axes) -> None:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())
