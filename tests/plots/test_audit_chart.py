"""The ticks of the audit's picture: enough of them, whole numbers of cells, and none that repeats."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from geocell.plots.audit_chart import cell_ticks, widened


@given(st.floats(0.5, 1e7), st.floats(1.2, 1e6))
@example(5000001.0, 3.5)
def test_ticks_are_distinct_whole_numbers_inside_the_axis(low: float, factor: float) -> None:
    ticks = cell_ticks(low, low * factor)
    assert ticks == sorted(set(ticks))
    assert all(low <= tick <= low * factor and tick >= 1 for tick in ticks)
    if low * (factor - 1) >= 6:
        assert 3 <= len(ticks) <= 8


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (59.0, 139.0, [60, 80, 100, 120]),
        (8.0, 1.2e5, [10, 100, 1000, 10000, 100000]),
        (90.0, 1100.0, [100, 200, 500, 1000]),
        (2.0, 3.0, [2, 3]),
    ],
)
def test_ticks_of_narrow_and_wide_axes(low: float, high: float, ticks: list[int]) -> None:
    assert cell_ticks(low, high) == ticks


def test_nearly_equal_scores_are_not_drawn_far_apart() -> None:
    assert widened(30.0, 30.01) == pytest.approx((29.005, 31.005))
    assert widened(20.0, 60.0) == (20.0, 60.0)
