"""Charts of countries: which are taken for which, and a map of a share in each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from geocell.geo.maps import COLOURS, COUNTRY_LINE, LAND, SEA, Box, height_per_width, shapes_in
from geocell.plots.chart import GRID, HEAT, INK, ON_DARK, ON_LIGHT, SOFT, new_chart
from geocell.plots.panel import shapes_patch
from geocell.plots.paths import require_box
from geocell.plots.style import new_figure, own_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WIDTH, _BELOW = 6.5, 0.75  # inches


def confusion_chart(names: Sequence[str], counts: ArrayLike) -> Figure:
    """Draw where the answers for the locations of each country lie, as percent of its row.

    Args:
        names: (K,) countries.
        counts: (K, K + 1) locations: row of the country of the truth, column of that of the answer, the last column all
            other countries.
    """
    n = np.asarray(counts, dtype=np.int64)
    totals = n.sum(axis=1)
    share = n / np.maximum(totals, 1)[:, None]
    with own_style():
        from matplotlib.patches import Rectangle

        k = len(names)
        side = float(np.clip(0.30 * (k + 1), 2.2, 6.6))
        longest = 0.066 * max(map(len, names), default=0)  # inches of the longest name at 8 points
        figure, axes = new_chart(side + 0.6 + longest, side + 1.2 + longest)
        axes.grid(False)
        for row, column in zip(*np.nonzero(n), strict=True):
            value = float(share[row, column])
            step = min(len(HEAT) - 1, int(len(HEAT) * value))
            x, y = int(column) + 0.25 * (column == k), int(row)
            axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=HEAT[step], edgecolor="none"))
            on = ON_DARK if step > len(HEAT) // 2 else ON_LIGHT
            axes.text(x, y, f"{100 * value:.0f}", ha="center", va="center", fontsize=7, color=on)
        for i in range(k):
            axes.add_patch(Rectangle((i - 0.5, i - 0.5), 1, 1, facecolor="none", edgecolor=SOFT, linewidth=0.8))
        axes.set(xlim=(-0.5, k + 0.75), ylim=(k - 0.5, -0.5))
        axes.set_xticks([*range(k), k + 0.25], [*names, "elsewhere"], rotation=90)
        axes.set_yticks(range(k), [f"{name} ({total:,})" for name, total in zip(names, totals.tolist(), strict=True)])
        axes.tick_params(length=0, labelcolor=INK, labelsize=8)
        axes.set(xlabel="country of the answer", ylabel="country of the truth (locations)")
        for spine in axes.spines.values():
            spine.set_color(GRID)
        figure.tight_layout(pad=0.6)
    return figure


def country_map(values: Mapping[str, float], box: Box, label: str) -> Figure:
    """Draw a share in each country as a map.

    Args:
        values: alpha-2 code -> fraction; other countries are left without a colour.
        box: south, west, north, east in degrees.
        label: of the scale of colours.
    """
    import shapely

    from geocell.geo.countries import country_outlines

    south, west, north, east = require_box(box)
    frame = country_outlines()
    shapes = shapes_in(shapely.make_valid(frame.geometry.to_numpy()), box)
    with own_style():
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import LinearSegmentedColormap, Normalize, to_hex

        colours = LinearSegmentedColormap.from_list("shares", COLOURS)
        height = float(np.clip(_WIDTH * height_per_width(box), 2.0, 9.0))
        total = height + _BELOW
        figure = new_figure(_WIDTH + 0.3, total + 0.1)
        axes = figure.add_axes((0.15 / (_WIDTH + 0.3), _BELOW / (total + 0.1), _WIDTH / (_WIDTH + 0.3), height / total))
        axes.set(xticks=[], yticks=[], facecolor=SEA)
        for code, shape in zip(frame["iso_a2"].tolist(), shapes.tolist(), strict=True):
            if shape.is_empty:
                continue
            colour = colours(values[code]) if code in values else LAND
            axes.add_artist(shapes_patch([shape], facecolor=to_hex(colour), edgecolor=COUNTRY_LINE, linewidth=0.4))
        axes.set(xlim=(west, east), ylim=(south, north))
        bar = figure.add_axes((0.03, 0.42 / total, 0.35, 0.12 / total))
        scale = figure.colorbar(ScalarMappable(Normalize(0, 100), colours), cax=bar, orientation="horizontal")
        scale.ax.tick_params(labelsize=8, colors=SOFT, length=2.5, pad=2)
        figure.text(0.4, 0.44 / total, label, fontsize=8.5, color=INK)
    return figure
