"""Charts of trust: reliability of probabilities, risk against coverage, and the coverage of radii and sets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from geocell.plots.chart import INK, SERIES, SOFT, new_chart, show_legend
from geocell.plots.style import own_style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS = "os^D"
_BLUE, _ORANGE = SERIES[0], SERIES[1]
_WHOLE: dict[str, Any] = {"clip_on": False, "zorder": 3}  # marks are whole at 0 and 100 % too


def reliability_chart(curves: Mapping[str, ArrayLike]) -> Figure:
    """Draw how often the most probable cell is the true one against its probability.

    Args:
        curves: name -> (B, 3) as of `geocell.uncertainty.errors.reliability`: mean probability, accuracy and share of
            the locations of each bin. Of two, the first is what was before.
    """
    with own_style():
        figure, axes = new_chart(3.6)
        plot_reliability(axes, curves, [_ORANGE, _BLUE] if len(curves) > 1 else [_BLUE])
        show_legend(axes, "upper left")
        figure.tight_layout(pad=0.6)
    return figure


def plot_reliability(axes: Axes, curves: Mapping[str, ArrayLike], colours: Sequence[str]) -> None:
    """Plot reliability curves, see `reliability_chart`, over the diagonal of a calibrated head."""
    axes.plot([0, 100], [0, 100], color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)))
    for (name, curve), colour, marker in zip(curves.items(), colours, _MARKERS, strict=False):
        mean, accuracy, _ = 100.0 * np.asarray(curve, dtype=np.float64).T
        look: dict[str, Any] = {"color": colour, "marker": marker, "markersize": 4, "linewidth": 1.2, **_WHOLE}
        axes.plot(mean, accuracy, **look, label=name)
    axes.set(xlim=(0, 100), ylim=(0, 100), xlabel="probability of the most probable cell, %", ylabel="right, %")
    axes.set_aspect("equal")


def risk_chart(
    curve: ArrayLike, label: str, risk_km: float, kept: tuple[float, float] | None = None, below: float = 0.0
) -> Figure:
    """Draw the share of wrong answers among those kept, the most confident first.

    Args:
        curve: (n, 2) of coverage and risk, fractions, ascending in coverage; see
            `geocell.uncertainty.selective.risk_coverage`.
        label: of the curve.
        risk_km: beyond which an answer is wrong.
        kept: coverage and risk of the answers that a threshold keeps; none when omitted.
        below: that threshold.
    """
    with own_style():
        figure, axes = new_chart()
        plot_risk(axes, curve, label, risk_km, kept, below)
        show_legend(axes, "lower right")
        figure.tight_layout(pad=0.6)
    return figure


def plot_risk(
    axes: Axes, curve: ArrayLike, label: str, risk_km: float, kept: tuple[float, float] | None, below: float
) -> None:
    """Plot a risk–coverage curve; see `risk_chart`."""
    coverage, risk = 100.0 * np.asarray(curve, dtype=np.float64).T
    axes.plot(coverage, risk, color=_BLUE, linewidth=1.6, label=label)
    axes.axhline(risk[-1], color=SOFT, linewidth=0.8, linestyle=(0, (4, 3)), label="all answers")
    if kept is not None:
        text = f"confidence of at least {100 * below:.0f} %"
        axes.plot(100 * kept[0], 100 * kept[1], "D", color=_ORANGE, markersize=6, label=text, **_WHOLE)
    top = min(100.0, 10.0 * np.ceil(float(risk.max()) / 10.0 + 0.3))
    axes.set(xlim=(0, 100), ylim=(0, top), xlabel="answers kept, the most confident first, %")
    axes.set_ylabel(f"wrong by more than {risk_km:g} km, %")


def coverage_chart(
    names: Sequence[str], targets: Sequence[int], shares: ArrayLike, low: ArrayLike, high: ArrayLike
) -> Figure:
    """Draw how often radii and sets hold the truth, beside how often they should.

    Args:
        names: (M,) of what holds it.
        targets: (T,) percent that they were calibrated to.
        shares: (M, T) fractions of the locations that are held.
        low: (M, T) lower ends of their intervals.
        high: (M, T) upper ends.
    """
    held, ends = 100.0 * np.asarray(shares, dtype=np.float64), 100.0 * np.asarray([low, high], dtype=np.float64)
    with own_style():
        figure, axes = new_chart(2.9)
        y = np.arange(len(names), dtype=np.float64)[::-1]
        for t, (target, colour) in enumerate(zip(targets, SERIES, strict=False)):
            at = y + 0.12 * (1 - 2 * t)
            axes.axvline(target, color=colour, linewidth=0.9, linestyle=(0, (4, 3)))
            axes.hlines(at, *ends[:, :, t], color=colour, linewidth=1.6)
            axes.plot(held[:, t], at, _MARKERS[t], color=colour, markersize=6, label=f"should hold {target} %")
        axes.set_yticks(y, names)
        axes.tick_params(axis="y", labelcolor=INK)
        axes.set(xlim=(0, 100), ylim=(-0.6, len(names) - 0.4), xlabel="true positions held, % (95 % interval)")
        axes.grid(False, axis="y")
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=2, fontsize=8.5, labelcolor=INK)
        figure.tight_layout(pad=0.6)
    return figure
