"""Baselines beside a head: their rows in a table of scores, and what the difference says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from geocell.evaluation.named_baselines import MAJORITY_LABEL, NEAREST_LABEL, ZERO_SHOT_LABEL

if TYPE_CHECKING:
    from geocell.evaluation.baselines import Baseline

_OF_THE_TABLE = ("decoder", "split", "n_locations", "clustered_by", "n_clusters")


def baseline_rows(found: Mapping[str, Baseline], row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of baselines for `score_table`.

    Args:
        found: name -> baseline.
        row: that of the head, from which they have what the table says of all rows, and the number of cells.
    """
    rows = []
    for name, baseline in found.items():
        cells = {"n_cells": row.get("n_cells"), "partition": row.get("partition")} if name == MAJORITY_LABEL else {}
        shared = {key: row[key] for key in _OF_THE_TABLE if key in row}
        rows.append({"head": name, **cells, **shared, **baseline.to_dict()})
    return rows


def baselines_text(found: Mapping[str, Baseline]) -> str:
    """Return what the baselines are, and whether the head is ahead of the hardest of them; "" without any.

    Of zero-shot, which is there where it was asked for, it is said too.
    """
    nearest, zero_shot = found.get(NEAREST_LABEL), found.get(ZERO_SHOT_LABEL)
    lines = []
    if MAJORITY_LABEL in found:
        lines.append(f"{MAJORITY_LABEL}: the centroid of the cell with most training locations, for every location.")
    if nearest is not None:
        lines.append(
            f"{NEAREST_LABEL}: the nearest of {nearest.n_train:,} training locations by features, centred on their "
            "mean."
        )
    if zero_shot is not None:
        lines.append(
            f"{ZERO_SHOT_LABEL}: by the texts of {zero_shot.n_candidates:,} cities, without any training location."
        )
    for asked in (nearest or found.get(MAJORITY_LABEL), zero_shot):
        if asked is not None and (sentence := asked.sentence()):
            lines.append(sentence[0].upper() + sentence[1:])
    return "\n".join(lines)
