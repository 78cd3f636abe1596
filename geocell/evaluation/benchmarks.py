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

BENCHMARK_TRUTHS: Mapping[str, str | None] = MappingProxyType(
    {
        "im2gps": "7b6c2a5ba793a41482a363a40641e58aadf1e08f09395251e1cf769be6768bf7",
        "im2gps3k": "5668fbfd4fda4870b8e7b2b041d2d3ffde3529a296e361c2399b8abc6b8d7930",
        **dict.fromkeys(("yfcc4k", "yfcc26k", "osv5m")),
    }
)
"""Preset -> hash of its points (`geocell.evaluation.point_tables.points_sha256`), None where they are not checked.

Those of the tables named above, from meta/ of the repository's commit 6562eb9.
"""


def not_pinned_remark(preset: Benchmark | None, given: str | None, found: str | None) -> str:
    """Return that nothing says whether points are those of a benchmark, "" where they were compared with a hash.

    Args:
        preset: the benchmark that they are said to be.
        given: the hash that they had to have.
        found: the hash that they have.
    """
    if preset is None or given is not None or found is None or BENCHMARK_TRUTHS[preset] is not None:
        return ""
    return (
        f"the points of {preset} are not pinned: geocell knows no hash of them, and these have {found}; "
        "--truth-sha256 with the hash beside somebody else's scores refuses other points."
    )
