"""Benchmarks are pinned by their number of rows."""

from typing import get_args

from geocell.evaluation.benchmarks import BENCHMARK_ROWS, BENCHMARK_TRUTHS, Benchmark
from geocell.views.presets import PRESETS


def test_every_benchmark_has_its_rows_and_a_preset() -> None:
    assert set(BENCHMARK_ROWS) == set(get_args(Benchmark)) <= set(PRESETS)
    assert set(BENCHMARK_TRUTHS) == set(BENCHMARK_ROWS)
    assert all(found is None or len(found) == 64 for found in BENCHMARK_TRUTHS.values())
    assert (BENCHMARK_ROWS["im2gps3k"], BENCHMARK_ROWS["yfcc4k"]) == (2997, 4536)
