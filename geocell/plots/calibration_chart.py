"""The picture of a calibration: how often answers are right by how sure they are, and what keeping the surest gains."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from geocell.plots.style import new_figure, own_style, require_picture_name, save_figure

_BEFORE, _AFTER = "#d55e00", "#0072b2"


def draw_calibration(out: Path, record: Mapping[str, Any]) -> Path:
    """Draw the reliability of the most probable cell before and after, and the risk–coverage curve beside it.

    Args:
        out: the picture to write, PNG or SVG by its suffix; an existing file is replaced.
        record: `Calibration.record`: `before` and `after` with `ece` and `reliability` (rows of mean probability,
            accuracy and share of the locations), `risk` with `aurc`, `augrc`, their `…_interval` and `curve` (rows of
            coverage and risk), and where a threshold was learned `abstention`.

    Returns:
        `out`.

    Raises:
        ImportError: when matplotlib is not installed.
        ValueError: for another suffix, or a record without curves.
    """
    require_picture_name(out)
    if not {"before", "after", "risk"} <= set(record):
        raise ValueError(
            "a picture of a calibration needs curves, and this one has none: its locations are at too few places to be "
            "halved; calibrate on more."
        )
    with own_style():
        figure = new_figure(8.0, 3.9)
        left, right = figure.subplots(1, 2)
        left.plot([0, 100], [0, 100], color="#999999", linewidth=0.8, linestyle=(0, (4, 3)))
        for when, colour, marker in (("before", _BEFORE, "o"), ("after", _AFTER, "s")):
            mean, accuracy, _ = 100 * np.array(record[when]["reliability"]).T
            label = f"{when}: ECE {100 * record[when]['ece']:.1f} %"
            look: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 4, "linewidth": 1.2}
            left.plot(mean, accuracy, **look, label=label, clip_on=False, zorder=3)  # whole at 0 and 100 % too
        left.set(xlim=(0, 100), ylim=(0, 100), xlabel="probability of the most probable cell, %", ylabel="right, %")
        left.set_aspect("equal")
        coverage, risk = 100 * np.array(record["risk"]["curve"]).T
        right.plot(coverage, risk, color=_AFTER, linewidth=1.4, label=_areas(record["risk"]))
        right.axhline(risk[-1], color="#999999", linewidth=0.8, linestyle=(0, (4, 3)), label="all answers")
        if kept := record.get("abstention"):
            label = f"confidence of at least {100 * kept['below']:.0f} %"
            look = {"color": _BEFORE, "markersize": 6, "clip_on": False, "zorder": 3}
            right.plot(100 * kept["coverage"], 100 * kept["error"], "D", label=label, **look)
        top = min(100.0, 10.0 * np.ceil(float(risk.max()) / 10.0 + 0.3))
        right.set(xlim=(0, 100), ylim=(0, top), xlabel="answers kept, the most confident first, %")
        right.set_ylabel("wrong by more than 200 km, %")
        for axes, where in ((left, "upper left"), (right, "lower right")):
            axes.spines[["top", "right"]].set_visible(False)
            axes.legend(frameon=False, loc=where)
        figure.tight_layout()
        return save_figure(figure, out)


def _areas(risk: Mapping[str, Any]) -> str:
    return "\n".join(_area(risk, name) for name in ("aurc", "augrc"))


def _area(risk: Mapping[str, Any], name: str) -> str:
    """Return an area in percent, with its interval if the record has it."""
    ends = risk.get(f"{name}_interval")
    interval = "" if ends is None else " [{:.1f}, {:.1f}]".format(*(100 * end for end in ends))
    return f"{name.upper()} {100 * risk[name]:.1f} %{interval}"
