"""Charts of errors: what is drawn are the numbers that were given."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.plots.error_charts import LEAST_KM, cdf_points, counts_chart, distance_chart, error_cdf

pytest.importorskip("matplotlib")


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 25.0, 25.5, 300.0, 9000.0]), min_size=1, max_size=40))
def test_points_are_the_empirical_distribution(km: list[float]) -> None:
    points = cdf_points(km)
    assert points[:, 0].tolist() == sorted(set(km))
    for value, share in points:
        assert share == pytest.approx(sum(d <= value for d in km) / len(km))


@given(st.integers(2, 2000), st.integers(2, 50))
def test_of_many_locations_few_points_are_kept_and_both_ends(n: int, most: int) -> None:
    km = np.random.default_rng(n).uniform(0, 1e4, n)
    points = cdf_points(km, most)
    assert len(points) <= most
    assert points[0, 0] == km.min()
    assert points[-1].tolist() == [km.max(), 1.0]
    assert (np.diff(points, axis=0) > 0).all()
    for value, share in points:
        assert share == pytest.approx((km <= value).mean())


def test_curves_are_in_percent_and_end_at_the_axis() -> None:
    axes = error_cdf({"head": np.array([[10.0, 0.25], [300.0, 1.0]]), "b" * 50: np.array([[0.0, 1.0]])}).axes[0]
    assert axes.get_xscale() == "log"
    head, other = axes.lines[0], axes.lines[1]
    assert head.get_xydata()[:3].tolist() == [[LEAST_KM, 0.0], [10.0, 25.0], [300.0, 100.0]]
    assert other.get_xydata()[1].tolist() == [LEAST_KM, 100.0]
    assert len(str(other.get_label())) == 30
    assert "km" in axes.get_xlabel()
    assert "%" in axes.get_ylabel()


def test_every_curve_is_in_the_legend_whatever_its_name() -> None:
    points = np.array([[10.0, 1.0]])
    (legend,) = error_cdf({"head": points, "_old": points}).legends
    assert [text.get_text().strip() for text in legend.get_texts()] == ["head", "_old"]


def test_scores_by_distance_leave_empty_bins_out() -> None:
    figure = distance_chart(
        ["<1", "1–5", "≥5"], [4, 0, 12], [0.5, np.nan, 0.25], [0.4, np.nan, 0.2], [0.7, np.nan, 0.3]
    )
    axes = figure.axes[0]
    assert axes.lines[0].get_xydata().tolist() == [[0.0, 50.0], [2.0, 25.0]]
    segments = [segment.tolist() for segment in axes.collections[0].get_segments()]
    assert np.allclose(segments, [[[0, 40], [0, 70]], [[2, 20], [2, 30]]])
    assert [text.get_text() for text in axes.get_xticklabels()] == ["<1\n(n = 4)", "1–5\n(n = 0)", "≥5\n(n = 12)"]


@pytest.mark.parametrize(("counts", "scale"), [([3, 9, 5], "linear"), ([1, 1, 1, 400], "log")])
def test_cells_are_ranked_by_their_locations(counts: list[int], scale: str) -> None:
    axes = counts_chart(counts).axes[0]
    assert axes.lines[0].get_ydata().tolist() == sorted(counts, reverse=True)
    assert axes.lines[0].get_xdata().tolist() == list(range(1, len(counts) + 1))
    assert axes.get_yscale() == scale
    assert axes.lines[1].get_ydata()[0] == np.median(counts)
