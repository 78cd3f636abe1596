"""Published scores, to stand below what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from geocell.evaluation.published import PublishedScore
from geocell.metrics.outcomes import RADII_KM
from geocell.reports.tables import ABSENT, percent, text_table


def published_text(rows: Sequence[PublishedScore]) -> str:
    """Return a table of published shares, in percent."""
    header = ["published, not measured here", *(f"≤{radius}" for radius in RADII_KM), "source"]
    lines = [
        [
            row.model,
            *(percent(row.within[radius]) if radius in row.within else ABSENT for radius in RADII_KM),
            row.source,
        ]
        for row in rows
    ]
    return text_table(header, lines, [True, *(False for _ in RADII_KM), True])


def published_json(rows: Sequence[PublishedScore]) -> list[dict[str, Any]]:
    """Return published shares as JSON: fractions by radius in km."""
    return [
        {"model": row.model, "source": row.source, "within": {str(radius): s for radius, s in row.within.items()}}
        for row in rows
    ]
