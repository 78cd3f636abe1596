"""Benchmarks are pinned by their number of rows."""

from typing import get_args

from geocell.evaluation.benchmarks import BENCHMARK_ROWS, BENCHMARK_TRUTHS, Benchmark, not_pinned_remark
from geocell.views.presets import PRESETS


def test_every_benchmark_has_its_rows_and_a_preset() -> None:
    assert set(BENCHMARK_ROWS) == set(get_args(Benchmark)) <= set(PRESETS)
    assert set(BENCHMARK_TRUTHS) == set(BENCHMARK_ROWS)
    assert all(found is None or len(found) == 64 for found in BENCHMARK_TRUTHS.values())
    assert (BENCHMARK_ROWS["im2gps3k"], BENCHMARK_ROWS["yfcc4k"]) == (2997, 4536)


def test_points_that_no_hash_is_known_of_are_said_to_be_not_pinned() -> None:
    remark = not_pinned_remark("yfcc4k", None, "ab" * 32)
    assert "the points of yfcc4k are not pinned" in remark
    assert "ab" * 32 in remark
    assert "--truth-sha256" in remark
    assert not_pinned_remark("yfcc4k", "ab" * 6, "ab" * 32) == ""
    assert not_pinned_remark("im2gps3k", None, "ab" * 32) == ""
    assert not_pinned_remark(None, None, "ab" * 32) == ""
