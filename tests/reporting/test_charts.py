"""The charts of a report are of its numbers."""

from dataclasses import replace

import numpy as np
import pytest

from geocell.reporting.charts import charts
from geocell.reporting.measured import Measured

pytest.importorskip("matplotlib")


def test_every_chart_is_of_what_was_measured(made: Measured) -> None:
    found = charts(made)
    assert list(found) == [
        "error-cdf", "by-distance", "reliability", "risk-coverage", "coverage", "confusion", "cell-counts",
    ]  # fmt: skip
    value = made.value
    labels = [line.get_label() for line in found["error-cdf"].figure.axes[0].lines[: len(value["error_cdf"])]]
    assert labels == list(value["error_cdf"])
    after = found["reliability"].figure.axes[0].lines[2]
    assert np.allclose(after.get_xydata(), 100 * np.array(value["reliability"]["after"]["reliability"])[:, :2])
    curve = found["risk-coverage"].figure.axes[0].lines[0]
    assert np.allclose(curve.get_xydata(), 100 * np.array(value["scores"]["trust"]["confidence"]["curve"]))
    held = found["coverage"].figure.axes[0].lines[1].get_xdata()
    assert held[0] == pytest.approx(100 * value["scores"]["trust"]["coverage"]["hpd"]["50"])
    assert found["cell-counts"].figure.axes[0].lines[0].get_ydata().sum() == 75


def test_what_is_not_known_has_no_chart(made: Measured) -> None:
    value = {
        **made.value,
        "by_distance": None,
        "reliability": {},
        "confusion": {"names": ["France"], "counts": [[1, 0]]},
    }
    value["scores"] = {**value["scores"], "trust": None}
    counts = np.zeros(len(made.partition), dtype=np.int64)
    bare = replace(made, value=value, partition=replace(made.partition, counts=counts))
    assert list(charts(bare)) == ["error-cdf"]
