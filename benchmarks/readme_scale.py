"""The generated parts of docs/scale.md about growth: seconds and memory of every stage, the plan for 100 million."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.common import read_results
from benchmarks.scale import DIM, MEASURED, Growth, growths
from geocell.reports.tables import markdown

PLANNED = 100_000_000
_LINEAR = 1.05  # exponents up to here need no reason
_SORTED = "ids are found by their hashes, which are sorted, n log n"
_REASONS = {
    "score beside 1-NN": "every test location is compared with every training location: leave it out by "
    "`--no-baselines`",
    "kmeans": "more locations take more rounds until no centre moves",
    "split": "the distances to the nearest training location are found in a tree, n log n",
    "kdtree": "every level of the tree is a selection, n log n",
    **dict.fromkeys(("import", "h3", "s2", "labels", "head", "head --stream", "score", "audit", "decode"), _SORTED),
}
"""Stage -> why its exponent is above 1, where it is."""


def _rows() -> tuple[list[dict[str, str]], list[int]]:
    rows = [row for row in read_results("scale") if int(row["dim"]) == DIM]
    return rows, sorted({int(row["locations"]) for row in rows})


def stages() -> str:
    """Return the table: seconds of CPU and peak memory of every stage, and exponents."""
    rows, sizes = _rows()
    found = growths(rows)
    by_key = {(row["stage"], int(row["locations"])): row for row in rows}
    header = ["stage", *(f"{n:,}" for n in sizes), "exponent", *(f"MB at {n:,}" for n in sizes[-2:])]
    lines = []
    for name in MEASURED:
        if name in found:
            seconds = [_cell(by_key.get((name, n)), "cpu_s") for n in sizes]
            memory = [_cell(by_key.get((name, n)), "peak_mb") for n in sizes[-2:]]
            exponent = found[name].exponent
            lines.append([f"`{name}`", *seconds, "–" if exponent is None else f"{exponent:.2f}", *memory])
    above = [name for name, growth in found.items() if growth.exponent is not None and growth.exponent > _LINEAR]
    reasons_of: dict[str, list[str]] = {}
    for name in above:
        reasons_of.setdefault(_REASONS.get(name, "by no more than runs on a busy machine differ"), []).append(
            f"`{name}`"
        )
    why = "".join(f" {', '.join(names)}: {reason}." for reason, names in reasons_of.items())
    first = rows[0]
    note = (
        f"Seconds of CPU of whole commands, start-up included, and their peak memory: {DIM} features, one view per "
        "location, a k-d tree of 512 cells for everything after the partitions. Exponents from 100,000 locations on, "
        f"without start-up. One of {first['cores']} cores of an {first['cpu']} beside other work, Python "
        f"{first['python']}, numpy {first['numpy']}, torch {first['torch']}, pyarrow {first['pyarrow']}."
    )
    reasons = f"\n\nAbove {_LINEAR}:{why}" if above else ""
    return f"{markdown(header, lines)}\n\n{note}{reasons}"


def _cell(row: Mapping[str, str] | None, key: str) -> str:
    return "–" if row is None else f"{float(row[key]):,.3g}" if key == "cpu_s" else f"{float(row[key]):,.0f}"


def plan() -> str:
    """Return the table: what every stage takes for 100 million locations, by the fits."""
    rows, sizes = _rows()
    found = growths(rows)
    header = ["stage", "CPU hours", "GB", "measured up to"]
    lines = [
        [
            f"`{name}`",
            f"{growth.seconds(PLANNED) / 3600:,.2g}",
            f"{growth.megabytes(PLANNED) / 1000:,.0f}",
            f"{growth.largest:,}",
        ]
        for name, growth in found.items()
        if growth.exponent is not None and growth.exponent < 1.5 and growth.largest >= sizes[-1] // 10
    ]
    note = f"{PLANNED:,} locations with {DIM} features, extrapolated from the table above on one core."
    return f"{markdown(header, lines)}\n\n{note}{_rehearsed(found)}"


def _rehearsed(found: Mapping[str, Growth]) -> str:
    """Return what was run at 100 million, beside what the fits say."""
    rehearsal = [row for row in read_results("scale") if int(row["dim"]) != DIM and int(row["locations"]) == PLANNED]
    if not rehearsal:
        need = found["import"].megabytes(PLANNED) / 1000 if "import" in found else 0.0
        return f"\n\nNothing was rehearsed at {PLANNED:,}: by its fit, `cache import` alone takes {need:,.0f} GB."
    header = ["stage, features", "CPU hours", "GB"]
    lines = [_rehearsal(row) for row in rehearsal]
    return f"\n\nRehearsed at {PLANNED:,}:\n\n{markdown(header, lines)}"


def _rehearsal(row: Mapping[str, str]) -> Sequence[str]:
    hours, gigabytes = float(row["cpu_s"]) / 3600, float(row["peak_mb"]) / 1000
    return [f"`{row['stage']}`, {row['dim']}", f"{hours:,.2g}", f"{gigabytes:,.1f}"]
