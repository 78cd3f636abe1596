"""Published benchmarks: how many photographs each has, so that a score says which it is of."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

Benchmark = Literal["im2gps", "im2gps3k", "yfcc4k", "yfcc26k", "osv5m"]
Missing = Literal["error", "worst", "drop"]

BENCHMARK_ROWS: Mapping[str, int | None] = MappingProxyType(
    {
        "im2gps": 237,  # im2gps_places365.csv of TIBHannover/GeoEstimation, the set of Hays and Efros, CVPR 2008
        "im2gps3k": 2997,  # im2gps3k_places365.csv there, the set of Vo, Jacobs and Hays, ICCV 2017
        "yfcc4k": 4536,  # yfcc4k_places365.csv, likewise
        "yfcc26k": 25600,  # yfcc25600_places365.csv, the set of Theiner, Müller-Budack and Ewerth, WACV 2022
        "osv5m": None,  # test.csv of Astruc et al., CVPR 2024, which was not counted
    }
)
"""Preset -> rows of its truth, None where they are not checked."""
