"""The picture of a calibration: how often answers are right by how sure they are, and what keeping the surest gains."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geocell.plots.style import new_figure, own_style, require_picture_name, save_figure
from geocell.plots.trust_charts import plot_reliability, plot_risk

_RISK_KM = 200.0  # that of records of calibrations
_COLOURS = {"before": "#d55e00", "after": "#0072b2"}


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
        curves = {f"{when}: ECE {100 * record[when]['ece']:.1f} %": record[when]["reliability"] for when in _COLOURS}
        plot_reliability(left, curves, tuple(_COLOURS.values()))
        kept = record.get("abstention")
        at = (kept["coverage"], kept["error"]) if kept else None
        plot_risk(
            right, record["risk"]["curve"], areas_text(record["risk"]), _RISK_KM, at, kept["below"] if kept else 0
        )
        for axes, where in ((left, "upper left"), (right, "lower right")):
            axes.spines[["top", "right"]].set_visible(False)
            axes.legend(frameon=False, loc=where)
        figure.tight_layout()
        return save_figure(figure, out)


def areas_text(risk: Mapping[str, Any]) -> str:
    """Return both areas under the risk–coverage curve with their intervals, for a legend."""
    return "\n".join(_area(risk, name) for name in ("aurc", "augrc"))


def _area(risk: Mapping[str, Any], name: str) -> str:
    """Return an area in percent, with its interval if the record has it."""
    ends = risk.get(f"{name}_interval")
    interval = "" if ends is None else " [{:.1f}, {:.1f}]".format(*(100 * end for end in ends))
    return f"{name.upper()} {100 * risk[name]:.1f} %{interval}"
