"""The charts of a report, each with what it says and how it is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geocell.files import counted
from geocell.metrics.trust import METHOD_WORDS
from geocell.plots.calibration_chart import areas_text
from geocell.plots.country_charts import confusion_chart
from geocell.plots.error_charts import counts_chart, distance_chart, error_cdf
from geocell.plots.trust_charts import coverage_chart, reliability_chart, risk_chart
from geocell.splits.leaks import bin_names

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from geocell.reporting.measured import Measured

_COVERAGES = (50, 90)


@dataclass(frozen=True, eq=False)
class Chart:
    """A figure for the page and for a thesis.

    Attributes:
        figure: of matplotlib.
        title: what stands above.
        reading: how it is read, in a sentence or two.
    """

    figure: Figure
    title: str
    reading: str


def charts(measured: Measured) -> dict[str, Chart]:
    """Return name -> chart, of everything that was measured; what is not known has none.

    Raises:
        ImportError: when matplotlib is not installed.
    """
    value = measured.value
    drawers = (_errors, _by_distance, _reliability, _risk, _coverage, _confusion)
    found = {name: chart for draw in drawers for name, chart in draw(value).items()}
    if measured.partition.counts.any():
        found["cell-counts"] = Chart(
            counts_chart(measured.partition.counts),
            "Training locations per cell",
            "A cell with few training locations is learned from few; one with very many hides where in it a photograph "
            "was taken.",
        )
    return found


def _errors(value: Mapping[str, Any]) -> dict[str, Chart]:
    reading = (
        "How many locations are answered within a distance: a curve further to the left is better. The oracle knows "
        "the true cell and answers its centroid; no head on these cells can be left of it by that decoder."
    )
    return {"error-cdf": Chart(error_cdf(value["error_cdf"]), "Distribution of errors", reading)}


def _by_distance(value: Mapping[str, Any]) -> dict[str, Chart]:
    found = value["by_distance"]
    if not found:
        return {}
    names = bin_names()
    n = [found[name]["n_locations"] if name in found else 0 for name in names]
    columns = [
        [found[name][key] if name in found else np.nan for name in names]
        for key in ("balscore", "balscore_low", "balscore_high")
    ]
    reading = (
        "A head that does well only beside training locations has learned places, and not what places look like. "
        "Intervals are wide where few locations are."
    )
    figure = distance_chart(names, n, *columns)
    return {"by-distance": Chart(figure, "Score by distance to the nearest training location", reading)}


def _reliability(value: Mapping[str, Any]) -> dict[str, Chart]:
    found = value["reliability"]
    if not found:
        return {}
    calibrated = "after" in found
    names = {"before": "before calibration" if calibrated else "not calibrated", "after": "after calibration"}
    curves = {f"{names[when]}: ECE {100 * of['ece']:.1f} %": of["reliability"] for when, of in found.items()}
    reading = (
        "Points on the dashed line are right as often as they say; below it the head is too sure. ECE is the mean gap. "
        "Bins hold equally many locations."
    )
    return {"reliability": Chart(reliability_chart(curves), "Reliability of probabilities", reading)}


def _risk(value: Mapping[str, Any]) -> dict[str, Chart]:
    trust = value["scores"].get("trust")
    if not trust:
        return {}
    kept = trust.get("abstention") or {}
    at = (kept["coverage"], kept["error"]) if "error" in kept else None
    figure = risk_chart(
        trust["confidence"]["curve"], areas_text(trust["confidence"]), trust["risk_km"], at, kept.get("below", 0.0)
    )
    reading = (
        "If only the most confident answers are given, how many of them are wrong. A curve that rises from the left "
        "says that confidence tells right from wrong; a flat one, that it does not. AURC is the area below."
    )
    return {"risk-coverage": Chart(figure, "Risk against coverage", reading)}


def _coverage(value: Mapping[str, Any]) -> dict[str, Chart]:
    trust = value["scores"].get("trust") or {}
    held, ends = trust.get("coverage") or {}, trust.get("coverage_intervals") or {}
    names = [name for name in METHOD_WORDS if name in held and name in ends]
    if not names:
        return {}
    shares = [[held[name][str(c)] for c in _COVERAGES] for name in names]
    low, high = ([[ends[name][str(c)][end] for c in _COVERAGES] for name in names] for end in (0, 1))
    figure = coverage_chart([METHOD_WORDS[name] for name in names], _COVERAGES, shares, low, high)
    reading = (
        "Radii and sets of cells were sized on validation locations to hold 50 and 90 % of the true positions. An "
        "interval that misses its dashed line says that these locations are unlike those."
    )
    return {"coverage": Chart(figure, "Coverage of radii and sets", reading)}


def _confusion(value: Mapping[str, Any]) -> dict[str, Chart]:
    found = value["confusion"]
    if len(found["names"]) < 2:
        return {}
    n = value["scores"]["n_locations"] - int(np.sum(found["counts"]))
    rest = f" Further countries: {counted(n, 'location')}." if n else ""
    reading = f"Percent of the row: where the answers lie for photographs of each country, by outlines.{rest}"
    figure = confusion_chart(found["names"], found["counts"])
    return {"confusion": Chart(figure, "Which country is taken for which", reading)}
