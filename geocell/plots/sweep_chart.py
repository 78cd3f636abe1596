"""The picture of a sweep: the balscore of every row, with its intervals, beside the published one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from geocell.plots.style import new_figure, own_style, require_picture_name, save_figure

_OURS, _PUBLISHED = "#0072b2", "#d55e00"


def draw_sweep(
    out: Path, summary: Sequence[Mapping[str, Any]], results: Sequence[Mapping[str, Any]], caption: str = ""
) -> Path:
    """Draw the balscore of the rows of a sweep, best above.

    A dot is the mean over seeds, the line through it its 95 % interval, a small circle one seed, and a
    diamond the published number. Rows without a finished fit are left out.

    Args:
        out: the picture to write, PNG or SVG by its suffix; an existing file is replaced.
        summary: `SweepResult.summary()`.
        results: `SweepResult.results()`.
        caption: what a reader must know about the numbers, below.

    Returns:
        `out`.

    Raises:
        ImportError: when matplotlib is not installed.
        ValueError: for another suffix, or when no fit is finished.
    """
    require_picture_name(out)
    lines = sorted((line for line in summary if line["seeds"]), key=lambda line: line["balscore"])
    if not lines:
        raise ValueError("a picture of a sweep needs at least one finished fit, got none: run the sweep first.")
    places = {line["head"]: place for place, line in enumerate(lines)}
    means = [100 * line["balscore"] for line in lines]
    with own_style():
        figure = new_figure(8.0, 1.2 + 0.28 * len(lines))
        axes = figure.add_subplot()
        ends = [(100 * line["balscore_low"], 100 * line["balscore_high"]) for line in lines]
        lows, highs = zip(*ends, strict=True)
        axes.hlines(range(len(lines)), lows, highs, color=_OURS, linewidth=1.2, alpha=0.6)
        seeds = [(100 * fit["balscore"], places[fit["head"]]) for fit in results]
        xs, ys = zip(*seeds, strict=True)
        axes.scatter(xs, ys, s=14, facecolors="none", edgecolors=_OURS, linewidths=0.7, label="seed")
        axes.scatter(means, range(len(lines)), s=26, color=_OURS, zorder=3, label="mean, 95 % interval")
        known = [
            (100 * line["published_balscore"], places[line["head"]]) for line in lines if line["published_balscore"]
        ]
        if known:
            xs, ys = zip(*known, strict=True)
            style: dict[str, Any] = {"marker": "D", "facecolors": "none", "edgecolors": _PUBLISHED}
            axes.scatter(xs, ys, s=30, label="published", **style)
        axes.set_yticks(range(len(lines)), [f"{line['head']}  ({line['n_cells']:,})" for line in lines])
        axes.set(ylim=(-0.7, len(lines) - 0.3))
        axes.grid(True, axis="x", color="#e6e6e6", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, borderaxespad=0.0)
        axes.set_xlabel(f"balscore, %\n{caption}" if caption else "balscore, %")
        figure.tight_layout()
        return save_figure(figure, out)
