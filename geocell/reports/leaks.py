"""What splits leak, as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geocell.files import counted
from geocell.reports.tables import ABSENT, folded, percent, text_table
from geocell.splits.leaks import bin_names, length_text


def leaks_text(leaks: Mapping[str, Any]) -> str:
    """Return what splits leak for the terminal: the verdict, what is shared, distances, scores by distance.

    Args:
        leaks: `Leaks.to_dict()`.
    """
    splits: Mapping[str, Mapping[str, Any]] = leaks["splits"]
    blocks = [
        f"{leaks['verdict']}\nsplits: {leaks['protocol']}; {counted(leaks['n_train'], 'training location')}",
        _shared(splits, leaks["cosine"]),
        _distances(splits),
    ]
    if any(split["scores"] for split in splits.values()):
        blocks.append(_scores(splits, leaks["decoder"]))
    return "\n\n".join(blocks)


def _shared(splits: Mapping[str, Mapping[str, Any]], cosine: float) -> str:
    columns = list(next(iter(splits.values()))["n_shared"])
    head = any(split["n_trained_on"] is not None for split in splits.values())
    header = ["split", "locations", "coordinates", *columns, "near-duplicates", *["trained on"] * head]
    rows = []
    for name, split in splits.items():
        counts = [split["n_locations"], split["n_shared_coordinates"], *split["n_shared"].values()]
        counts += [split["n_near_duplicates"], *[split["n_trained_on"]] * head]
        rows.append([name, *(ABSENT if n is None else f"{n:,}" for n in counts)])
    note = f"locations that share it with training; near-duplicates: features of a view with a cosine ≥ {cosine:g}"
    return f"{text_table(header, rows, [i == 0 for i in range(len(header))])}\n{folded(note)}"


def _distances(splits: Mapping[str, Mapping[str, Any]]) -> str:
    names = bin_names()
    quantiles = list(next(iter(splits.values()))["quantiles_km"])
    header = ["split", *(f"{name} km" for name in names), *(f"q{100 * float(q):g}" for q in quantiles)]
    rows = [
        [
            name,
            *(f"{split['counts'][n]:,}" for n in names),
            *(length_text(split["quantiles_km"][q]) for q in quantiles),
        ]
        for name, split in splits.items()
    ]
    note = "locations by the distance to their nearest training location, and quantiles of that distance"
    return f"{text_table(header, rows, [i == 0 for i in range(len(header))])}\n{folded(note)}"


def _scores(splits: Mapping[str, Mapping[str, Any]], decoder: str) -> str:
    header = ["split", "km to training", "locations", "≤25", "≤200", "≤750", "median km", "balscore"]
    rows = []
    for name, split in splits.items():
        for reach, values in split["scores"].items():
            low, high = percent(values["balscore_low"]), percent(values["balscore_high"])
            rows.append(
                [
                    name,
                    reach,
                    f"{values['n_locations']:,}",
                    *(percent(values[f"within_{km}"]) for km in (25, 200, 750)),
                    f"{values['median_km']:,.1f}",
                    f"{percent(values['balscore'])} [{low}, {high}]",
                ]
            )
    note = f"scores of the head by that distance, decoder {decoder}, in % · [95 % interval]"
    return f"{text_table(header, rows, [i < 2 for i in range(len(header))])}\n{folded(note)}"
