"""The picture of what splits leak: distances from the nearest training location, and the scores of a head by them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geocell.plots.style import legend_name, new_figure, own_style, require_picture_name, save_figure

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7")


def draw_leaks(out: Path, splits: Mapping[str, Mapping[str, Any]], decoder: str = "") -> Path:
    """Draw the share of locations in every bin of distance, and below it the balscore there.

    Args:
        out: the picture to write, PNG or SVG by its suffix; an existing file is replaced.
        splits: name -> `n_locations`, `counts` (bin -> locations) and `scores` (bin -> `balscore`, `balscore_low`,
            `balscore_high`; empty without a head).
        decoder: of the scores.

    Returns:
        `out`.

    Raises:
        ImportError: when matplotlib is not installed.
        ValueError: for another suffix.
    """
    require_picture_name(out)
    scored = any(split["scores"] for split in splits.values())
    bins = list(next(iter(splits.values()))["counts"])
    width = 0.8 / len(splits)
    with own_style():
        figure = new_figure(7.0, 5.6 if scored else 3.2)
        shares = figure.add_subplot(1 + scored, 1, 1)
        scores = figure.add_subplot(2, 1, 2) if scored else None
        for rank, (name, split) in enumerate(splits.items()):
            colour = _COLOURS[rank % len(_COLOURS)]
            places = [i + (rank - (len(splits) - 1) / 2) * width for i in range(len(bins))]
            heights = [100 * split["counts"][n] / split["n_locations"] for n in bins]
            shares.bar(places, heights, width, color=colour, label=legend_name(name))
            known = [(x, split["scores"][n]) for x, n in zip(places, bins, strict=True) if n in split["scores"]]
            if scores is not None and known:
                middle = [100 * values["balscore"] for _, values in known]
                ends = [(100 * values["balscore_low"], 100 * values["balscore_high"]) for _, values in known]
                scores.vlines([x for x, _ in known], *zip(*ends, strict=True), color=colour, linewidth=1.2)
                scores.plot([x for x, _ in known], middle, "o", color=colour, markersize=4)
        shares.set_ylabel("locations, %")
        shares.legend(frameon=False)
        for axes in (shares, *([scores] if scores is not None else [])):
            axes.set_xticks(range(len(bins)), bins)
            axes.spines[["top", "right"]].set_visible(False)
        if scores is not None:
            scores.set_ylabel(f"balscore, %\n({decoder}, 95 % interval)")
        (scores or shares).set_xlabel("km to the nearest training location")
        figure.tight_layout()
        return save_figure(figure, out)
