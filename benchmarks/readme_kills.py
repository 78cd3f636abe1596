"""The generated part of the READMEs about commands that are killed."""

from __future__ import annotations

from benchmarks.common import read_results
from geocell.reports.tables import markdown

_WRONG = {
    "old_result": "results neither old nor new, or unreadable",
    "next_run": "next runs refused",
    "locks": "stuck locks",
    "leftovers": "leftovers",
    "same_bytes": "other bytes",
    "processes": "processes that outlived their command",
    "sentence": "failures that are not one sentence",
}


def kills() -> str:
    """Return the table: how often each command was ended in each way, and what was found."""
    rows = read_results("kills")
    scenarios = list(dict.fromkeys(row["scenario"] for row in rows))
    lines = []
    for command in dict.fromkeys(row["command"] for row in rows):
        own = {row["scenario"]: row for row in rows if row["command"] == command}
        runs = [own[name]["runs"] if name in own else "–" for name in scenarios]
        lines.append([f"`{command}`", *runs, str(sum(int(row["findings"]) for row in own.values()))])
    wrong = {text: sum(int(row[key]) for row in rows) for key, text in _WRONG.items()}
    total = sum(int(row["runs"]) for row in rows)
    found = ", ".join(f"{n} {text}" for text, n in wrong.items() if n)
    said = found or f"no {', no '.join(_WRONG.values())}"
    return f"{markdown(['command', *scenarios, 'findings'], lines)}\n\nRuns of each command. In {total:,} runs: {said}."
