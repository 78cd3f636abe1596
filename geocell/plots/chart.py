"""What the charts of a report share: one panel, colours by their role, and the chart as SVG inside a page."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

from geocell.plots.style import new_figure, own_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, SOFT, GRID = "#1c2127", "#59616b", "#dfdcd5"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#b5538c", "#7a6a00", "#3c8dbc")
"""Okabe and Ito's colours, two of them darker so that thin lines are seen on white; the first is the head's."""
DASHES = ((), (5, 2), (1.5, 1.5), (7, 2, 1.5, 2), (3, 1), (9, 3))
"""A dash of each, so that lines are told apart without colour too."""

HEAT = ("#fdf3c0", "#e4ecb6", "#c6dfad", "#9bcda8", "#6bb9ab", "#4a9fae", "#3a83a9", "#2d629a", "#27418a", "#231d5c")
"""Ten steps of the colours of maps, of shares from 0 to 1."""
ON_LIGHT, ON_DARK = "#101214", "#fdfdfc"
"""Text on the first and on the last steps of `HEAT`."""

_WIDTH = 4.3  # inches: its text keeps its size on a phone, where a chart is as wide as the page
_ROLES = {
    **{INK: "ink", SOFT: "soft", GRID: "line", ON_LIGHT: "on-few", ON_DARK: "on-many"},
    **{colour: f"series-{i}" for i, colour in enumerate(SERIES)},
    **{colour: f"heat-{i}" for i, colour in enumerate(HEAT)},
}


def new_chart(height: float = 3.3, width: float = _WIDTH) -> tuple[Figure, Axes]:
    """Return an empty figure and its axes; call it inside `own_style`."""
    figure = new_figure(width, height)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    for spine in axes.spines.values():
        spine.set_color(SOFT)
    axes.tick_params(colors=SOFT, labelsize=9, length=3)
    for axis in (axes.xaxis, axes.yaxis):
        axis.label.set(color=INK, size=9.5)
    axes.grid(True, color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def show_legend(axes: Axes, where: Any) -> None:  # noqa: ANN401 - one of matplotlib's words
    """Add a legend without a frame, in the colour of the text."""
    axes.legend(frameon=False, loc=where, fontsize=8.5, labelcolor=INK, handlelength=2.2)


def inline_svg(figure: Figure, name: str, label: str) -> str:
    """Return a chart as SVG for an HTML page: text stays text, and colours follow the page's theme.

    Colours with a role become the CSS variables `--ink`, `--soft`, `--line`, `--series-0` …, `--heat-0` …, and the
    white ground disappears. Ids are prefixed by the name, so that several charts fit into one page.

    Args:
        figure: the chart.
        name: of letters and hyphens, different for each chart of a page.
        label: what a reader hears who does not see it.
    """
    import matplotlib as mpl

    buffer = io.StringIO()
    with own_style(), mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "geocell"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text, flags=re.DOTALL)  # a style is the page's
    text = re.sub(r" font-family: [^;]*;", "", text)
    head, body = text.split(">", 1)
    box = re.search(r'viewBox="([\d. -]+)"', head)
    assert box is not None  # noqa: S101 - matplotlib always writes it
    ids = re.compile(r'((?:\bid="|href="#|url\(#))([\w.-]+)')
    body = ids.sub(lambda found: f"{found[1]}{name}-{found[2]}", body).replace("xlink:href", "href")
    for colour, role in _ROLES.items():
        body = body.replace(f": {colour}", f": var(--{role})")
    body = re.sub(r"\n\s*", "\n", body)
    return f'<svg class="chart" viewBox="{box[1]}" role="img" aria-label="{_attribute(label)}">{body.strip()}'


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
