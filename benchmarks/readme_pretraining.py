"""The generated parts of docs/pretraining.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.common import read_results
from geocell.evaluation.comparison import signed
from geocell.reports.tables import markdown

DOCS = Path(__file__).resolve().parents[1] / "docs"


def streetclip_text() -> str:
    """Return what the quickstart prints of the small CLIP."""
    return "```\n" + (DOCS / "streetclip.txt").read_text(encoding="utf-8").strip() + "\n```"


def streetclip() -> str:
    """Return the two losses by zero-shot and by a head, and their paired difference."""
    rows = read_results("streetclip")
    names = {"true": "`--positives true`", "own": "`--positives own`", "true less own": "difference, paired"}
    header = ["loss", "answer", "validation images", "test locations", "95 % over places", "95 % over towns"]
    lines = [
        [
            names[row["loss"]],
            row["answer"],
            _percent(row, "val_images_country") if row["answer"] == "zero-shot" else "–",
            *(_percent(row, "country"), _ends(row, "place"), _ends(row, "town")),
            *(_percent(row, name) for name in ("within_750", "balscore")),
        ]
        for row in rows
    ]
    first = rows[0]
    times = [
        f"{float(row['country']) / float(first['chance']):.1f}"
        for row in rows
        if row["answer"] == "zero-shot" and row["loss"] in ("true", "own")
    ]
    note = (
        f"Right country in %, mean over {first['seeds']} seeds with the same {first['epochs']} epochs on "
        f"{int(first['n_images']):,} images; {first['n_locations']} test locations in {first['n_town']} towns. Chance "
        f"among {first['n_countries']} countries is {100 * float(first['chance']):.1f} %, and the largest "
        f"({first['largest_country']}) has {100 * float(first['largest']):.1f} % of the test locations: zero-shot "
        f"reaches {' and '.join(times)} times chance. {_verdict(rows)}"
    )
    return f"{markdown([*header, '≤750 km', 'balscore'], lines, left=2)}\n\n{note}"


def _verdict(rows: Sequence[Mapping[str, str]]) -> str:
    """Return whether the locations tell the losses apart by zero-shot."""
    row = next(row for row in rows if "less" in row["loss"] and row["answer"] == "zero-shot")
    if float(row["place_low"]) <= 0 <= float(row["place_high"]):
        return "So few locations do not tell the two losses apart."
    return f"The {'multi-positive loss' if float(row['country']) > 0 else 'loss of CLIP'} is ahead."


def _percent(row: Mapping[str, str], name: str) -> str:
    value = 100 * float(row[name])
    return signed(value) if "less" in row["loss"] else f"{value:.1f}"


def _ends(row: Mapping[str, str], by: str) -> str:
    return f"[{_percent(row, f'{by}_low')}, {_percent(row, f'{by}_high')}]"


def pretrain_speed() -> str:
    """Return how fast and in how much memory a step is, beside the plain loop."""
    rows = read_results("pretrain_speed")
    header = ["device", "method", "images in memory", "images/s", "times the loop", "peak MB", "of the loop's", "loss"]
    lines = [
        [
            row["device"],
            row["method"],
            row["piece"],
            row["images_per_s"],
            row["times_the_loop"],
            f"{int(row['peak_mb']):,}",
            f"{100 * float(row['share_of_its_memory']):.0f} %",
            f"{float(row['loss']):.4f}",
        ]
        for row in rows
    ]
    first = rows[0]
    note = (
        f"Contrastive batches of {first['batch']}, {first['threads']} thread of an {first['cpu']} beside other work, "
        f"medians of {first['steps']} steps in turn, torch {first['torch']}, transformers {first['transformers']}; "
        "seconds are of the processor on a CPU. Losses are those of the first step."
    )
    gpu = "" if any(row["device"] != "cpu" for row in rows) else " No GPU was measured: there was none."
    return f"{markdown(header, lines, left=2)}\n\n{note}{gpu}"
