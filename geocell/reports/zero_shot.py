"""What zero-shot reaches, and the labels of images, as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geocell.files import counted
from geocell.prediction.classify import Classification
from geocell.reports.tables import ABSENT, percent, text_table
from geocell.reports.text import score_table

_NAMES = {
    "continent": "continent",
    "country": "country",
    "city": "city, country right too",
    "city_given_country": "city, given the right country",
}


def zero_shot_text(name: str, value: Mapping[str, Any]) -> str:
    """Return country and city accuracy, then the table of distances.

    Args:
        name: what to call the classifier.
        value: `ZeroShotScores.to_dict()`.
    """
    scores = score_table([{"head": name, "partition": "candidates", **value}])
    return f"{accuracy_text(value['zero_shot'], value['n_locations'], 'location')}\n\n{scores}"


def accuracy_text(value: Mapping[str, Any], total: int, noun: str) -> str:
    """Return the table of country and city accuracy, and over what it is taken.

    Args:
        value: `PlaceAccuracy.to_dict()`.
        total: how many there are, those without a known country included.
        noun: what they are.
    """
    rows = []
    for key, label in _NAMES.items():
        share, ends = value["accuracies"][key], value["intervals"].get(key)
        if share is None:
            rows.append([label, ABSENT, ""])
        else:
            rows.append([label, percent(share), f"[{percent(ends[0])}, {percent(ends[1])}]"])
    known = value["n_known"]
    remark = f"of {counted(known, noun)}; {value['truth']}"
    if known < total:
        remark += f"; {total - known:,} more have no known country"
    if value["n_candidate_country"] < known:
        remark += (
            f"; {known - value['n_candidate_country']:,} lie in countries without a candidate, and count as misses"
        )
    return f"{text_table(['right', '%', '95 % interval'], rows, 1)}\n{remark}"


def classification_text(found: Classification, top_k: int = 5) -> str:
    """Return the most probable labels of every image."""
    rows = []
    for item in found.items:
        if item.problem:
            rows.append([item.image, ABSENT, item.problem])
        for rank, (label, probability) in enumerate(item.best(found.labels, top_k)):
            rows.append(["" if rank else item.image, percent(probability), label])
    text = text_table(["image", "%", "label"], rows, [True, False, True])
    return f"{text}\n\nevery label on its own: they do not add up to 100 %" if found.independent else text
