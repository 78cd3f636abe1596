"""The picture of a fit: its loss, its learning rate and its validation scores, epoch by epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from geocell.plots.style import new_figure, own_style, require_picture_name, save_figure

FIT_PANELS = {
    "training loss": "train_loss",
    "validation balscore, %": "val_balscore",
    "median distance, km": "val_median_km",
    "learning rate": "lr",
}
PRETRAINING_PANELS = {
    "training loss": "train_loss",
    "validation images, right country, %": "val_country",
    "learning rate": "lr",
    "validation images, right city, %": "val_city",
}
"""Panels of a picture: what stands above -> column of the history."""
_COLOUR, _BEST = "#0072b2", "#d55e00"


def draw_history(
    out: Path,
    history: Sequence[Mapping[str, float]],
    best_epoch: int,
    title: str,
    panels: Mapping[str, str] = FIT_PANELS,
) -> Path:
    """Draw the history of a fit.

    Args:
        out: the picture to write, PNG or SVG by its suffix; an existing file is replaced.
        history: one row per epoch, at least one: `Head.history`.
        best_epoch: the epoch that was kept, which is marked.
        title: what stands above.
        panels: what stands above each panel, with "%" in it for a share -> its column; without validation, scores are
            not drawn.

    Returns:
        `out`.

    Raises:
        ImportError: when matplotlib is not installed.
        ValueError: for another suffix, no rows, or a column that is not there.
    """
    require_picture_name(out)
    if not history:
        raise ValueError("a picture of a fit needs its history, and this head has none: fit it here.")
    if panels is not FIT_PANELS:
        panels = {label: name for label, name in panels.items() if not name.startswith("val_") or name in history[0]}
    lacking = sorted({"epoch", *panels.values()} - set(history[0]))
    if lacking:
        raise ValueError(
            f"the history of a fit must have the columns {', '.join(lacking)}, and lacks them: fit it again."
        )
    with own_style():
        figure = new_figure(8.0, 5.0)
        for place, (label, name) in enumerate(panels.items(), start=1):
            points = [(row["epoch"], (100 if "%" in label else 1) * row[name]) for row in history]
            known = [(epoch, value) for epoch, value in points if math.isfinite(value)]
            axes = figure.add_subplot(2, 2, place)
            axes.set_title(label, loc="left", fontsize=9)
            axes.grid(True, color="#e6e6e6", linewidth=0.6)
            axes.spines[["top", "right"]].set_visible(False)
            if place > 2:
                axes.set_xlabel("epoch")
            if known:
                axes.plot(
                    *zip(*known, strict=True), color=_COLOUR, linewidth=1.2, marker="." if len(known) < 30 else ""
                )
            axes.axvline(best_epoch, color=_BEST, linewidth=0.8, linestyle="--")
        figure.suptitle(title, x=0.02, ha="left", fontsize=11, fontweight="bold")
        figure.text(0.98, 0.955, f"kept: epoch {best_epoch}", ha="right", fontsize=8, color=_BEST)
        figure.tight_layout(rect=(0, 0, 1, 0.97))
        return save_figure(figure, out)
