"""Scores of a head on locations."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geocell.decoders.base import PreparedDecoder
from geocell.decoders.table import AnyDecoder
from geocell.evaluation.answered import Answered, Watch, answered
from geocell.evaluation.clusters import clusters_of
from geocell.evaluation.countries import ACCURACY, with_countries
from geocell.features.locations import Locations, require_locations
from geocell.heads.trained_on import count_trained_on
from geocell.metrics.clusters import LOCATION, Clusters
from geocell.metrics.geoscore import geoscore
from geocell.metrics.outcomes import RADII_KM, Bools, Outcomes, outcomes_of, require_scored
from geocell.metrics.quantiles import distance_quantiles
from geocell.metrics.scores import Scores
from geocell.partitioners.base import Partition
from geocell.splits.grouping import COUNTRY

_LEVEL = "level_"

if TYPE_CHECKING:
    from geocell.heads.protocol import HeadLike


def outcomes(
    head: HeadLike,
    locations: Locations,
    decode: AnyDecoder = "centroid",
    split: str = "",
    device: str = "auto",
    *,
    cluster: str | Clusters | None = None,
) -> Outcomes:
    """Return the outcomes of a head on locations, in chunks, without holding the whole posterior.

    Args:
        head: the head, or an ensemble of them.
        locations: P locations with features of the head's encoder.
        decode: the decoder: a name such as `within:200`, or an object.
        split: name of the split that the locations are, for messages.
        device: where the head computes: cpu, cuda, mps, or auto for the fastest there is.
        cluster: which locations were drawn together; see `clusters_of`.

    Raises:
        ValueError: for an unknown decoder, no location, features of another encoder, or an unknown column.
        TypeError: for something else than locations.
    """
    require_locations(locations, "what a head is scored on")
    prepared = head.prepare(decode)
    clusters = clusters_of(locations, cluster)
    require_scored(len(locations), split)
    return _outcomes(head.partition, locations, answered(head, locations, prepared, device), split, clusters)


def _outcomes(partition: Partition, locations: Locations, found: Answered, split: str, clusters: Clusters) -> Outcomes:
    """Return the outcomes of answers on the P locations that they are for."""
    further = {ACCURACY: found.right_country}
    if found.cells is None or found.best is None:
        outcome = outcomes_of(found.points, locations.latlon, split=split, clusters=clusters)
        return replace(outcome, further=further)
    n_outside = int((found.cells < 0).sum())
    outcome = outcomes_of(found.points, locations.latlon, found.hits, n_outside, split, clusters)
    return replace(outcome, further={**further, **_level_hits(partition, found.best, found.cells)})


def _level_hits(partition: Partition, best: NDArray[np.int64], cells: NDArray[np.int64]) -> dict[str, Bools]:
    """Return for every level of a partition whether the most probable cell is in the group of the true one."""
    inside = cells >= 0
    true = np.where(inside, cells, 0)
    return {f"{_LEVEL}{name}": inside & (groups[best] == groups[true]) for name, groups in partition.ancestors.items()}


def scores_of(outcome: Outcomes, partition: Partition, decoder: str, split: str = "") -> Scores:
    """Return the scores of outcomes.

    Args:
        outcome: the outcome of each location.
        partition: the cells that were answered with.
        decoder: name of the decoder that made the points.
        split: name of the split.
    """
    values = outcome.values()
    return Scores(
        decoder=decoder,
        split=split,
        n_locations=len(outcome.distances_km),
        n_cells=len(partition),
        n_outside=outcome.n_outside,
        top1=values.get("top1"),
        top5=values.get("top5"),
        median_km=values["median_km"],
        mean_km=values["mean_km"],
        within={radius: values[f"within_{radius}"] for radius in RADII_KM},
        balscore=values["balscore"],
        intervals=outcome.intervals(),
        partition_sha256=partition.sha256,
        geoscore=geoscore(outcome.distances_km),
        geoscore_rounded=geoscore(outcome.distances_km, rounded=True),
        quantiles_km=distance_quantiles(outcome.distances_km),
        levels={
            name: {"n_groups": len(partition.ancestor_names[name]), "accuracy": values[f"{_LEVEL}{name}"]}
            for name in partition.ancestors
            if f"{_LEVEL}{name}" in values
        }
        or None,
        clustered_by=LOCATION if outcome.clusters is None else outcome.clusters.by,
        n_clusters=outcome.n_clusters,
    )


def score(
    head: HeadLike,
    locations: Locations,
    decode: AnyDecoder = "centroid",
    split: str = "",
    device: str = "auto",
    *,
    allow_training: bool = False,
    cluster: str | Clusters | None = None,
    abstain_below: float | None = None,
) -> Scores:
    """Return the scores of a head on locations; see `outcomes`.

    Warns when some of the locations are known to be training locations of the head, unless that is allowed: such scores
    say nothing about other locations. `Scores.n_trained_on` has their number.

    Args:
        head: the head, or an ensemble of them.
        locations: P locations with features of the head's encoder.
        decode: the decoder: a name such as `within:200`, or an object.
        split: name of the split that the locations are, for the record.
        device: where the head computes; see `outcomes`.
        allow_training: whether locations that the head was trained on are meant.
        cluster: what was drawn together, for the intervals; see `clusters_of`.
        abstain_below: the confidence below which answers are withheld, of `Scores.trust`; that of the calibration when
            left out. All other scores are of all locations.

    Raises:
        ValueError: for an unknown decoder, no location, features of another encoder, or an unknown column.
    """
    prepared = head.prepare(decode)
    scores, _ = scores_of_head(head, locations, prepared, split, device, cluster=cluster, abstain_below=abstain_below)
    if not allow_training:
        warn_of_training([scores.n_trained_on], locations)
    return scores


def scores_of_head(
    head: HeadLike,
    locations: Locations,
    prepared: PreparedDecoder,
    split: str = "",
    device: str = "auto",
    *,
    cluster: str | Clusters | None = None,
    abstain_below: float | None = None,
    watch: Watch | None = None,
) -> tuple[Scores, Outcomes]:
    """Return the scores of a head, and the outcomes that they are of; see `score`, which warns where this does not.

    `watch` is given the rows, the posterior and the points of every piece.
    """
    require_locations(locations, "what a head is scored on")
    clusters = clusters_of(locations, cluster)
    require_scored(len(locations), split)
    found = answered(head, locations, prepared, device, trust=True, watch=watch)
    outcome = _outcomes(head.partition, locations, found, split, clusters)
    scores = scores_of(outcome, head.partition, prepared.decoder.spec, split)
    countries = locations.columns.get(COUNTRY)
    scores = with_countries(scores, outcome, locations.latlon, countries)
    trust = None if found.trust is None else found.trust.to_dict(head, outcome, countries, abstain_below)
    return replace(
        scores,
        head_sha256=head.sha256,
        n_trained_on=count_trained_on(head.trained_on, locations),
        outside_region=None if found.n_flagged is None else found.n_flagged / len(locations),
        trust=trust,
    ), outcome


def warn_of_training(counts: Sequence[int | None], locations: Locations) -> None:
    """Warn of locations that heads are known to be trained on, where the function is called that calls this one.

    Args:
        counts: of each head, see `count_trained_on`.
        locations: what they are scored on.
    """
    for n in sorted({n for n in counts if n}):
        sentence = trained_on_sentence(n, len(locations))
        warnings.warn(f"{sentence}: score other locations, or pass allow_training=True.", stacklevel=3)


def require_unseen(heads: Sequence[HeadLike], locations: Locations, allow_training: bool = False) -> None:
    """Refuse locations that heads are known to be trained on.

    Raises:
        ValueError: with how many, unless `allow_training`.
    """
    for head in heads:
        sentence = trained_on_sentence(count_trained_on(head.trained_on, locations), len(locations))
        if sentence and not allow_training:
            raise ValueError(
                f"{sentence}: pass --splits FILE and a split that it was not trained on, or --allow-training to score "
                "them all the same."
            )


def trained_on_sentence(n_trained_on: int | None, n_locations: int) -> str:
    """Return the clause that says how many locations are training locations; "" when none are known to be."""
    if not n_trained_on:
        return ""
    return f"{n_trained_on:,} of the {n_locations:,} locations are training locations of the head"
