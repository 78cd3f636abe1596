"""The scores of a head beside those of others on the same locations, each with its paired difference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from geocell.evaluation.comparison import Comparison, comparison_of, without_cells
from geocell.evaluation.score import outcomes
from geocell.heads.protocol import default_decoder

if TYPE_CHECKING:
    from geocell.decoders.table import AnyDecoder
    from geocell.evaluation.baselines import Baseline
    from geocell.features.locations import Locations
    from geocell.heads.protocol import HeadLike
    from geocell.metrics.clusters import Clusters
    from geocell.metrics.outcomes import Outcomes

SHOWN = ("balscore", "within_1", "within_25", "within_200", "within_750", "within_2500", "median_km", "mean_km")
"""Scores of the table, in its order; GeoScore and the share in the right country follow."""

_ALL = (*SHOWN, "geoscore", "country_accuracy")


def score_row(name: str, what: str, decoder: str, outcome: Outcomes, compared: Comparison | None) -> dict[str, Any]:
    """Return the scores of one outcome as JSON: `values`, `intervals` and `difference` of each score.

    Args:
        name: of what answered.
        what: what it is, in some words.
        decoder: how it decodes, "" for a baseline.
        outcome: on the P locations.
        compared: the head less this; None for the head itself.
    """
    values, intervals = outcome.values(), outcome.intervals()
    row: dict[str, Any] = {
        "name": name,
        "what": what,
        "decoder": decoder,
        "values": {key: values[key] for key in _ALL if key in values},
        "intervals": {key: list(intervals[key]) for key in _ALL if key in intervals},
    }
    if compared is None:
        return row
    known = [key for key in _ALL if key in compared.differences and key in compared.intervals]
    row["difference"] = {key: [compared.differences[key], *compared.intervals[key]] for key in known}
    row["sentence"] = compared.sentence("the head", name)
    return row


def baseline_row(baseline: Baseline) -> dict[str, Any]:
    """Return the row of a baseline that was compared with the head."""
    n = baseline.n_train
    what = "the same answer for all" if n is None else f"of {n:,} training locations"
    return score_row(baseline.name, what, "", baseline.outcome, baseline.comparison)


def rows_beside(
    head: HeadLike,
    outcome: Outcomes,
    others: Mapping[str, HeadLike],
    locations: Locations,
    decode: AnyDecoder | None,
    split: str,
    device: str,
    clusters: Clusters,
) -> tuple[list[dict[str, Any]], dict[str, Outcomes]]:
    """Return a row for each of the heads that one is compared with, and their outcomes by name.

    Args:
        head: that one.
        outcome: its own, on these locations.
        others: name -> what answers like a head, of the same encoder.
        locations: P locations.
        decode: decoder of the others; the default of each when None.
        split: name of the split.
        device: where they compute.
        clusters: what was drawn together.
    """
    rows, found = [], {}
    for name, other in others.items():
        prepared = other.prepare(default_decoder(other) if decode is None else decode)
        reached = outcomes(other, locations, prepared, split, device, cluster=clusters)
        pair = (outcome, reached)
        if other.partition.sha256 != head.partition.sha256:
            pair = (without_cells(outcome), without_cells(reached))
        compared = comparison_of(*pair, prepared.decoder.spec, split)
        rows.append(score_row(name, f"{len(other.partition):,} cells", prepared.decoder.spec, reached, compared))
        found[name] = reached
    return rows, found
