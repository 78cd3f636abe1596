"""Charts of trust: what is drawn are the numbers that were given, in percent."""

import numpy as np
import pytest

from geocell.plots.trust_charts import coverage_chart, reliability_chart, risk_chart

pytest.importorskip("matplotlib")


def test_reliability_has_a_curve_for_before_and_after_over_the_diagonal() -> None:
    before, after = np.array([[0.2, 0.1, 0.5], [0.8, 0.4, 0.5]]), np.array([[0.1, 0.1, 0.5], [0.5, 0.4, 0.5]])
    axes = reliability_chart({"before": before, "after": after}).axes[0]
    diagonal, first, second = axes.lines
    assert diagonal.get_xydata().tolist() == [[0, 0], [100, 100]]
    assert np.allclose(first.get_xydata(), 100 * before[:, :2])
    assert np.allclose(second.get_xydata(), 100 * after[:, :2])
    assert first.get_color() != second.get_color()
    assert first.get_marker() != second.get_marker()
    alone = reliability_chart({"not calibrated": before}).axes[0]
    assert alone.lines[1].get_color() == second.get_color()


def test_risk_has_the_curve_the_error_of_all_and_the_threshold() -> None:
    curve = np.array([[0.5, 0.1], [1.0, 0.3]])
    axes = risk_chart(curve, "AURC", 200.0, (0.5, 0.1), 0.62).axes[0]
    assert np.allclose(axes.lines[0].get_xydata(), 100 * curve)
    assert axes.lines[1].get_ydata()[0] == pytest.approx(30.0)
    assert axes.lines[2].get_xydata().tolist() == [[50.0, 10.0]]
    assert axes.lines[2].get_label() == "confidence of at least 62 %"
    assert axes.get_ylabel() == "wrong by more than 200 km, %"
    assert len(risk_chart(curve, "AURC", 200.0).axes[0].lines) == 2


def test_coverage_stands_beside_what_was_asked_for() -> None:
    shares = np.array([[0.4, 0.8], [0.5, 0.95]])
    axes = coverage_chart(["radius", "sets"], [50, 90], shares, shares - 0.1, shares + 0.04).axes[0]
    asked, held, more, held_more = axes.lines
    assert (asked.get_xdata()[0], more.get_xdata()[0]) == (50, 90)
    assert held.get_xdata().tolist() == [40.0, 50.0]
    assert held_more.get_xdata().tolist() == [80.0, 95.0]
    assert held.get_ydata()[0] > held.get_ydata()[1]  # the first name stands above
    ends = np.array([segment[:, 0] for segment in axes.collections[0].get_segments()])
    assert np.allclose(ends, [[30, 44], [40, 54]])
    assert [text.get_text() for text in axes.get_yticklabels()] == ["radius", "sets"]
