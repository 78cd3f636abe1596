"""The picture of `shots.py`: balscore against the photographs of a cell, and what words add to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geocell.plots.style import new_figure, own_style, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OUT = Path(__file__).resolve().parents[1] / "docs" / "images" / "shots.png"

SHOTS = ("0", "1", "2", "4", "8", "all")
LINES = {
    "1-NN, centred": ("1-NN, centred", "#999999", "^"),
    "from zeros": ("fit from zeros", "#000000", "s"),
    "from words": ("fit from words", "#d55e00", "v"),
    "from words, scaled": ("fit from words, scaled", "#0072b2", "o"),
    "words alone": ("words alone", "#009e73", "D"),
    "majority cell": ("majority cell", "#cc79a7", "x"),
}
"""Case -> label, colour and marker."""
ADDED = ("from words", "from words, scaled")


def draw_shots(rows: Sequence[Mapping[str, Any]], out: Path = OUT) -> Path:
    """Draw a column for folds by location and one by place: balscores above, differences to a fit from zeros below.

    Args:
        rows: of `shots.csv`.
        out: the picture to write.
    """
    with own_style():
        figure = new_figure(8.0, 5.2)
        axes = figure.subplots(2, 2, sharex=True, sharey="row", height_ratios=(1.5, 1))
        for column, folds in enumerate(("location", "place")):
            found = {(row["case"], row["shots"]): row for row in rows if row["folds"] == folds}
            for case in LINES:
                _band(axes[0, column], found, case, "balscore")
            axes[0, column].set_title(f"folds by {folds}", loc="left", fontsize=10)
            axes[1, column].axhline(0, color="#000000", linewidth=0.8)
            for case in ADDED:
                _band(axes[1, column], found, case, "difference")
            axes[1, column].set_xlabel("photographed locations per cell, at most")
        for panel in axes.flat:
            panel.set_xticks(range(len(SHOTS)), SHOTS)
            panel.grid(True, axis="y", color="#e6e6e6", linewidth=0.6)
            panel.set_axisbelow(True)
            panel.spines[["top", "right"]].set_visible(False)
        axes[0, 0].set_ylabel("balscore, %")
        axes[1, 0].set_ylabel("less that from zeros")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), frameon=False, loc="upper center", ncols=3)
        figure.tight_layout(rect=(0, 0, 1, 0.9))
        return save_figure(figure, out)


def _band(panel: Axes, found: Mapping[tuple[str, str], Mapping[str, Any]], case: str, name: str) -> None:
    """Draw one line with the band of its intervals, at the shots that the case has."""
    label, colour, marker = LINES[case]
    at = [i for i, shots in enumerate(SHOTS) if (case, shots) in found]
    values = [[float(found[case, SHOTS[i]][f"{name}{end}"]) for i in at] for end in ("", "_low", "_high")]
    panel.plot(at, values[0], color=colour, marker=marker, markersize=4.5, linewidth=1.3, label=label)
    if len(at) > 1:
        panel.fill_between(at, values[1], values[2], color=colour, alpha=0.13, linewidth=0)
    else:
        panel.vlines(at, values[1], values[2], color=colour, linewidth=1.3)
