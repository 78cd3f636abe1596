"""Benchmarks are pinned by their number of rows."""

from typing import get_args

from geocell.evaluation.benchmarks import BENCHMARK_ROWS, Benchmark
from geocell.views.presets import PRESETS


def test_every_benchmark_has_its_rows_and_a_preset() -> None:
    assert set(BENCHMARK_ROWS) == set(get_args(Benchmark)) <= set(PRESETS)
    assert (BENCHMARK_ROWS["im2gps3k"], BENCHMARK_ROWS["yfcc4k"]) == (2997, 4536)
