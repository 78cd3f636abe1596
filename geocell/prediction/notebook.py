"""What a notebook shows of predictions: a line each, and a map of answers and truths."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from geocell.display import Display, TextTable, km_text, share_text
from geocell.display.html import MOST_ROWS
from geocell.files import counted
from geocell.prediction.answer_map import answers_map
from geocell.prediction.records import Prediction, places_of


def summary_text(items: Sequence[Prediction]) -> str:
    """Return how many locations there are, how many were answered, and how far off where that is known."""
    answered = [item for item in items if item.answered]
    parts = [counted(len(items), "location")]
    if len(answered) < len(items):
        parts.append(f"{len(answered):,} answered")
    for n, what in ((sum(bool(i.doubt) for i in answered), "doubtful"), (sum(i.abstained for i in items), "withheld")):
        parts += [f"{n:,} {what}"] if n else []
    away = [km for item in answered if (km := item.distance_km) is not None]
    if away:
        parts.append(f"median {km_text(median(away))} from the truth, known of {len(away):,}")
    return ", ".join(parts)


def predictions_display(items: Sequence[Prediction], n_cells: int) -> Display:
    """Return a line per answer and a map."""
    shown = items[:MOST_ROWS]
    placed, known = any(item.place for item in shown), any(item.truth is not None for item in shown)
    header = ["location", *["place"] * placed, "lat", "lon", "90 % within", "≤ 200 km", *["off by"] * known, "remark"]
    rows = [_row(item, placed, known) for item in shown]
    table = TextTable(header, rows, n_left=1 + placed, total=len(items))
    decoders = ", ".join(dict.fromkeys(item.decoder for item in items))
    facts = [("locations", summary_text(items)), ("decoder", decoders), ("cells", f"{n_cells:,}")]
    return Display("Predictions", facts, [table], answers_map(*places_of(items)), [_meaning(items)] if items else [])


def _meaning(items: Sequence[Prediction]) -> str:
    calibrated = any(item.calibrated for item in items)
    return f"≤ 200 km: probability of being that near; {'calibrated' if calibrated else 'not calibrated'}."


def _row(item: Prediction, placed: bool, known: bool) -> list[str]:
    if not item.answered:
        empty = ["–"] * (4 + placed + known)
        return [item.location, *empty, item.problem]
    remark = "; ".join(
        text for text in ("withheld" * item.abstained, "doubtful" * bool(item.doubt), item.problem) if text
    )
    return [
        item.location,
        *[item.place] * placed,
        f"{item.lat:.4f}",
        f"{item.lon:.4f}",
        km_text(item.radius_90_km),
        share_text(item.confidence),
        *[km_text(item.distance_km)] * known,
        remark,
    ]
