"""The picture of an audit: what the oracle reaches on partitions, against how many cells a head would have to tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from geocell.plots.style import legend_name, new_figure, own_style, require_picture_name, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KIND_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#111111", "#7a7a7a", "#9b7b2f")
KIND_MARKERS = "osD^vPX*h"
"""Okabe and Ito's colours and a shape, so that kinds are told apart without colour too."""

TITLE = "What an oracle reaches that knows the true cell"

_PLACES = ((7, 0, "left"), (-7, 0, "right"), (0, 9, "center"), (0, -9, "center"), (7, 9, "left"), (7, -9, "left"))
"""Where a label may stand, in points from its mark, the preferred place first."""


def draw_audits(out: Path, rows: Sequence[Mapping[str, Any]], title: str = TITLE, caption: str = "") -> Path:
    """Draw the oracle's balscore of partitions against their number of cells.

    Args:
        out: the picture to write, PNG or SVG by its suffix; an existing file is replaced.
        rows: one mapping per partition, at least one: `Audit.to_dict()` and a `partition`, whose last part of a path
            is the label; partitions of one kind share a line.
        title: what stands above.
        caption: what a reader must know about the locations, below.

    Returns:
        `out`.

    Raises:
        ImportError: when matplotlib is not installed.
        ValueError: for another suffix, or no rows.
    """
    require_picture_name(out)
    if not rows:
        raise ValueError("a picture of audits needs at least one row, got none: pass Audit.to_dict().")
    rows = sorted(rows, key=lambda row: (row["n_cells"], str(row["partition"])))
    with own_style():
        from matplotlib.ticker import FixedLocator, NullLocator

        figure = new_figure(8.0, 5.0)
        axes = figure.add_axes((0.085, 0.16 if caption else 0.12, 0.75, 0.75))
        axes.set(xscale="log", xlabel="number of cells", ylabel="balscore of the oracle, %")
        axes.grid(True, color="#e6e6e6", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        for i, kind in enumerate(sorted({str(row["kind"]) for row in rows})):
            mine = sorted((row["n_cells"], 100 * row["balscore"]) for row in rows if row["kind"] == kind)
            style: dict[str, Any] = {
                "color": KIND_COLOURS[i % len(KIND_COLOURS)],
                "marker": KIND_MARKERS[i % len(KIND_MARKERS)],
            }
            axes.plot(
                *zip(*mine, strict=True),
                linewidth=1.0,
                markersize=6.5,
                mec="white",
                mew=0.6,
                label=legend_name(kind),
                **style,
            )
        axes.margins(0.08, 0.08)
        axes.set_ylim(*widened(*axes.get_ylim()))
        axes.xaxis.set_major_locator(FixedLocator(cell_ticks(*axes.get_xlim())))
        axes.xaxis.set_major_formatter("{x:,.0f}")
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_title(title, loc="left", fontsize=11, fontweight="bold")
        axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
        figure.text(0.085, 0.03, caption, fontsize=8, color="#555555")
        figure.draw_without_rendering()  # places the axes, which labels are measured by
        _label(axes, [(row["n_cells"], 100 * row["balscore"], Path(str(row["partition"])).name) for row in rows])
        return save_figure(figure, out)


def widened(low: float, high: float, least: float = 2.0) -> tuple[float, float]:
    """Return a range of at least so many percentage points: nearly equal scores are not drawn far apart."""
    pad = max(0.0, least - (high - low)) / 2.0
    return low - pad, high + pad


def cell_ticks(low: float, high: float) -> list[int]:
    """Return three to eight round numbers of cells for a logarithmic axis between two limits, where it has as many.

    Powers of ten where they are enough, else those times 1, 2 and 5, else evenly spaced integers: a narrow axis would
    have no tick at all, and a wide one labels that overlap.
    """
    from matplotlib.ticker import LogLocator, MaxNLocator

    ticks: list[int] = []
    even = [MaxNLocator(most, integer=True, steps=[1, 2, 5, 10]) for most in (6, 8)]
    for locator in (LogLocator(), LogLocator(subs=(1.0, 2.0, 5.0)), *even):
        values = np.asarray(locator.tick_values(max(low, 0.5), high))
        inside = values[(values >= max(low, 1.0)) & (values <= high) & (values == np.round(values))]
        ticks = np.unique(inside).astype(int).tolist()
        if 3 <= len(ticks) <= 8:
            break
    return ticks


def _label(axes: Axes, points: Sequence[tuple[float, float, str]]) -> None:
    """Write names beside their marks, where they hide neither marks nor each other; a name without room is left out."""
    from matplotlib.transforms import Bbox

    marks = [axes.transData.transform((x, y)) for x, y, _ in points]
    taken = [Bbox.from_extents(x - 6, y - 6, x + 6, y + 6) for x, y in marks]
    for own, (x, y, name) in enumerate(points):
        others = [*taken[:own], *taken[own + 1 :]]
        for text in _attempts(axes, x, y, name):
            box = text.get_window_extent()
            inside = axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 and axes.bbox.y0 <= box.y0
            if inside and not any(box.overlaps(other) for other in others):
                taken.append(box)
                break
            text.remove()


def _attempts(axes: Axes, x: float, y: float, name: str) -> Iterator[Any]:
    for dx, dy, side in _PLACES:
        yield axes.annotate(
            name, (x, y), (dx, dy), textcoords="offset points", ha=side, va="center", fontsize=7.5, color="#333333"
        )
