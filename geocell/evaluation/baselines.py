"""What a head has to beat: one answer for every location, the nearest training location by features, zero-shot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from geocell.display import share_text
from geocell.evaluation.answered import answered
from geocell.evaluation.comparison import Comparison, comparison_of, without_cells
from geocell.evaluation.countries import ACCURACY, same_country
from geocell.evaluation.named_baselines import MAJORITY_LABEL, NEAREST_LABEL, ZERO_SHOT_LABEL
from geocell.evaluation.score import outcomes, scores_of_head, warn_of_training
from geocell.features.locations import Locations
from geocell.features.nearest import nearest_training
from geocell.geo.geodesy import Floats
from geocell.heads.protocol import default_decoder
from geocell.heads.trained_on import count_trained_on
from geocell.metrics.clusters import Clusters
from geocell.metrics.intervals import Interval
from geocell.metrics.outcomes import RADII_KM, Outcomes, outcomes_of
from geocell.metrics.scores import Scores

if TYPE_CHECKING:
    from geocell.decoders.table import AnyDecoder
    from geocell.heads.protocol import HeadLike
    from geocell.heads.zero_shot import ZeroShot
    from geocell.partitioners.base import Partition


@dataclass(frozen=True)
class Baseline:
    """The scores of answers that no head made, on the same locations as a head's.

    Attributes:
        name: the label `majority cell`, `1-NN` or `zero-shot`.
        n_locations: P.
        n_train: training locations that were searched; None for the majority cell, which needs their counts alone, and
            for zero-shot.
        values: score -> value: fractions, and km where the name says so.
        intervals: score -> 95 % interval.
        outcome: that the scores are of.
        comparison: the head less the baseline, paired; None where there is no head.
        n_candidates: cities that zero-shot chose from; None for the others.
    """

    name: str
    n_locations: int
    n_train: int | None
    values: Mapping[str, float]
    intervals: Mapping[str, Interval]
    outcome: Outcomes = field(repr=False, compare=False)
    comparison: Comparison | None = None
    n_candidates: int | None = None

    def __repr__(self) -> str:
        """Return its name and balscore."""
        balscore = share_text(self.values["balscore"], self.intervals.get("balscore"))
        return f"<Baseline {self.name}, {self.n_locations:,} locations: balscore {balscore}>"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, with the scores as `Scores.to_dict` has them."""
        value: dict[str, Any] = {
            "n_locations": self.n_locations,
            **({} if self.n_train is None else {"n_train": self.n_train}),
            **({} if self.n_candidates is None else {"n_candidates": self.n_candidates}),
            **{name: self.values[name] for name in ("balscore", "median_km", "mean_km", "geoscore")},
            "within": {str(radius): self.values[f"within_{radius}"] for radius in RADII_KM},
            "intervals": {name: list(ends) for name, ends in self.intervals.items()},
        }
        if self.comparison is None:
            return value
        differences, ends = self.comparison.differences, self.comparison.intervals
        names = [name for name in differences if name in ends and name in self.values]
        return {**value, "head_less_baseline": {name: [differences[name], *ends[name]] for name in names}}

    def sentence(self) -> str:
        """Return in one sentence whether the head is better by balscore, "" without one."""
        return "" if self.comparison is None else self.comparison.sentence("the head", self.name)


def majority_points(partition: Partition, n: int) -> Floats:
    """Return the (n, 2) degrees of n answers that are all the centroid of the cell with most training locations.

    Raises:
        ValueError: when the partition does not know how many there are in any cell.
    """
    if not partition.counts.any():
        raise ValueError("a majority cell needs the training locations of each cell, and the partition has none.")
    return np.repeat(partition.centroids[[int(partition.counts.argmax())]], n, axis=0)


def nearest_points(train: Locations, locations: Locations, *, centred: bool = True) -> Floats:
    """Return the (P, 2) degrees of the training location with the most similar features; see `nearest_training`."""
    return train.latlon[nearest_training(train, locations, centred=centred)]


def baselines(  # noqa: PLR0913 - keywords with defaults
    head: HeadLike,
    locations: Locations,
    train: Locations | None = None,
    decode: AnyDecoder = "centroid",
    *,
    split: str = "",
    device: str = "auto",
    allow_training: bool = False,
    cluster: str | Clusters | None = None,
    zero_shot: ZeroShot | None = None,
) -> dict[str, Baseline]:
    """Return what baselines reach on the locations that a head is scored on, and how far the head is ahead of each.

    The majority cell is answered for every location where the head's partition has cells and knows their counts. `1-NN`
    answers the training location whose mean feature, less the mean over training locations, has the highest cosine.
    Zero-shot answers by its own decoder, the one it was calibrated for or `centroid`. Warns when some of the locations
    are known to be training locations of the head, as `score` does.

    Args:
        head: the head, or an ensemble.
        locations: P >= 1 locations with features of its encoder.
        train: the locations that the head was trained on; without them there is no nearest neighbour.
        decode: decoder of the head.
        split: name of the split that the locations are, for the record.
        device: where the head computes.
        allow_training: whether locations that the head was trained on are meant.
        cluster: what was drawn together, for the intervals; see `geocell.evaluation.clusters.clusters_of`.
        zero_shot: a classifier on the same features, which is a baseline too.

    Returns:
        Label -> baseline: `majority cell`, `1-NN` and `zero-shot`, as tables and scores.json have them.

    Raises:
        ValueError: for an unknown decoder, no location, or features of another encoder.
    """
    prepared = head.prepare(decode)
    if not allow_training:
        warn_of_training([count_trained_on(head.trained_on, locations)], locations)
    outcome = outcomes(head, locations, prepared, split, device, cluster=cluster)
    return baselines_of(head.partition, locations, train, outcome, prepared.decoder.spec, split, zero_shot)


def score_beside_baselines(  # noqa: PLR0913 - keywords with defaults
    head: HeadLike,
    locations: Locations,
    train: Locations | None = None,
    decode: AnyDecoder = "centroid",
    split: str = "",
    device: str = "auto",
    *,
    cluster: str | Clusters | None = None,
    abstain_below: float | None = None,
    zero_shot: ZeroShot | None = None,
) -> tuple[Scores, dict[str, Baseline]]:
    """Return the scores of a head with its baselines in them, and these; see `baselines` and `score`.

    Training locations of the head are not warned of.
    """
    prepared = head.prepare(decode)
    scores, outcome = scores_of_head(
        head, locations, prepared, split, device, cluster=cluster, abstain_below=abstain_below
    )
    found = baselines_of(head.partition, locations, train, outcome, prepared.decoder.spec, split, zero_shot)
    told = {name: baseline.to_dict() for name, baseline in found.items()}
    return replace(scores, baselines=told or None), found


def baselines_of(
    partition: Partition,
    locations: Locations,
    train: Locations | None,
    outcome: Outcomes | None = None,
    decoder: str = "",
    split: str = "",
    zero_shot: ZeroShot | None = None,
    *,
    clusters: Clusters | None = None,
) -> dict[str, Baseline]:
    """Return what baselines reach on locations; see `baselines`.

    Args:
        partition: whose fullest cell is answered, where it knows its counts.
        locations: P >= 1 locations.
        train: training locations; without them there is no nearest neighbour.
        outcome: what a head reaches on the locations, which is compared with; none when omitted.
        decoder: its decoder, for the record.
        split: name of the split, for the record.
        zero_shot: a classifier on the same features.
        clusters: which of the locations were drawn together, where there is no outcome that knows; places when omitted.
    """
    together = clusters if outcome is None else outcome.clusters
    points: dict[str, tuple[Floats, int | None]] = {}
    if partition.can_assign and partition.counts.any():
        points[MAJORITY_LABEL] = majority_points(partition, len(locations)), None
    if train is not None and len(train):
        points[NEAREST_LABEL] = nearest_points(train, locations), len(train)
    if zero_shot is not None:
        points[ZERO_SHOT_LABEL] = _answers(zero_shot, locations), None
    found = {}
    for name, (answers, n_train) in points.items():
        reached = outcomes_of(answers, locations.latlon, clusters=together)
        reached = replace(reached, further={ACCURACY: same_country(answers, locations.latlon)})
        found[name] = Baseline(
            name=name,
            n_locations=len(locations),
            n_train=n_train,
            values=reached.values(),
            intervals=reached.intervals(),
            comparison=None if outcome is None else comparison_of(without_cells(outcome), reached, decoder, split),
            outcome=reached,
            n_candidates=len(zero_shot.candidates) if zero_shot is not None and name == ZERO_SHOT_LABEL else None,
        )
    return found


def _answers(head: HeadLike, locations: Locations) -> Floats:
    """Return the (P, 2) points of what answers like a head, by its own decoder."""
    return answered(head, locations, head.prepare(default_decoder(head))).points
