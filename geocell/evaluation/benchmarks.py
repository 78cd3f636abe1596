"""Published benchmarks: how many photographs each has, so that a score says which it is of."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

Benchmark = Literal["im2gps", "im2gps3k", "yfcc4k", "yfcc26k", "osv5m"]
Missing = Literal["error", "worst", "drop"]

BENCHMARK_ROWS: Mapping[str, int] = MappingProxyType(
    {
        "im2gps": 237,  # Hays and Efros, CVPR 2008
        "im2gps3k": 2997,  # Vo, Jacobs and Hays, ICCV 2017: the rows of im2gps3k_places365.csv
        "yfcc4k": 4536,  # the same, of yfcc4k_places365.csv
        "yfcc26k": 25600,  # Theiner, Müller-Budack and Ewerth, WACV 2022: yfcc25600_places365.csv
        "osv5m": 210122,  # Astruc et al., CVPR 2024: test.csv
    }
)
"""Preset -> rows of its truth."""
