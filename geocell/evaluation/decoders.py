"""Every decoder of a head on the same locations, beside the centroid of the most probable cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from geocell.decoders.base import PreparedDecoder
from geocell.decoders.table import AnyDecoder
from geocell.decoders.together import prepared_together
from geocell.evaluation.clusters import clusters_of
from geocell.evaluation.comparison import paired_intervals
from geocell.evaluation.score import warn_of_training
from geocell.geo.geodesy import Floats, distance_km
from geocell.heads.head import Head
from geocell.heads.protocol import default_decoder
from geocell.heads.trained_on import count_trained_on
from geocell.metrics.clusters import Clusters, clusters_text
from geocell.metrics.intervals import Interval
from geocell.metrics.outcomes import Outcomes

if TYPE_CHECKING:
    from geocell.features.locations import Locations
    from geocell.heads.protocol import HeadLike

BASELINE = "centroid"
CANDIDATES = (
    "centroid", "mean", "medoid", "geoscore", "balscore", "within:25", "within:200", "within:750", "offset",
    "geoscore:places=8", "balscore:places=8", "within:25,places=8",
)  # fmt: skip
METRICS = ("balscore", "within_25", "within_200", "within_750", "geoscore", "median_km", "mean_km")


@dataclass(frozen=True)
class DecoderComparison:
    """The scores of one head by several decoders, on the same locations.

    Attributes:
        split: name of the split that the locations are.
        n_locations: how many.
        values: decoder -> score name -> value, shares as fractions, distances in km.
        intervals: decoder -> score name -> 95 % interval of its difference to `centroid`.
        left_out: decoder -> why the head cannot use it.
        calibrated: whether the posterior is.
        clustered_by: what the locations of a cluster share; see `geocell.metrics.clusters`.
        n_clusters: how many clusters the intervals are taken over.
    """

    split: str
    n_locations: int
    values: Mapping[str, Mapping[str, float]]
    intervals: Mapping[str, Mapping[str, Interval]]
    left_out: Mapping[str, str]
    calibrated: bool
    clustered_by: str | None = None
    n_clusters: int | None = None

    @property
    def drawn_text(self) -> str:
        """Over what the intervals are taken, in words."""
        return clusters_text(self.clustered_by, self.n_clusters)

    def best(self, metric: str) -> str:
        """Return the decoder with the best value of a score; `centroid` among equals, then the first."""
        sign = -1.0 if metric.endswith("_km") else 1.0
        return max(self.values, key=lambda name: (sign * self.values[name][metric], name == BASELINE))

    def told_apart(self, name: str, metric: str) -> bool:
        """Return whether the interval of a decoder's difference to `centroid` leaves out 0."""
        low, high = self.intervals[name][metric]
        return low > 0 or high < 0

    def sentences(self) -> list[str]:
        """Return what to use for which score, and a warning where the posterior is not calibrated."""
        sentences = []
        for metric in METRICS:
            name = self.best(metric)
            words = metric.replace("within_", "within ").replace("_km", " distance")
            if name == BASELINE:
                sentences.append(f"{words}: no decoder is better than centroid here.")
            elif self.told_apart(name, metric):
                sentences.append(f"{words}: use {name}.")
            else:
                sentences.append(f"{words}: {name} is ahead of centroid, but these locations cannot tell them apart.")
        if not self.calibrated:
            sentences.append(
                "the posterior is not calibrated, and every decoder but centroid depends on how sure it is: run "
                "`geocell calibrate` first."
            )
        return sentences

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "split": self.split,
            "n_locations": self.n_locations,
            "calibrated": self.calibrated,
            "clustered_by": self.clustered_by,
            "n_clusters": self.n_clusters,
            "decoders": {name: dict(values) for name, values in self.values.items()},
            "intervals": {
                name: {metric: list(ends) for metric, ends in found.items()} for name, found in self.intervals.items()
            },
            "left_out": dict(self.left_out),
            "best": {metric: self.best(metric) for metric in METRICS},
            "sentences": self.sentences(),
        }


def compare_decoders(
    head: HeadLike,
    locations: Locations,
    decoders: Sequence[AnyDecoder] | None = None,
    split: str = "",
    device: str = "auto",
    *,
    allow_training: bool = False,
    cluster: str | Clusters | None = None,
) -> DecoderComparison:
    """Return the scores of a head by several decoders, each paired with `centroid` on the same locations.

    The head answers once, in pieces, and every decoder decodes each piece.

    Which decoder is best is a choice, like that of an epoch: make it on validation locations, and report others. Warns
    when some of the locations are known to be training locations of the head, as `score` does.

    Args:
        head: a head, or whatever answers like one.
        locations: P >= 1 locations with features of the head's encoder.
        decoders: decoders, those that the head cannot use are left out; `centroid` and that of its calibration are
            always among them. All of `CANDIDATES` when omitted, but for those at training places where it is no single
            head, which alone can have some.
        split: name of the split that the locations are, for the record.
        device: where the head computes.
        allow_training: whether locations that the head was trained on are meant.
        cluster: what was drawn together, for the intervals; see `geocell.evaluation.clusters.clusters_of`.

    Raises:
        ValueError: when there is no location, or features are of another encoder.
    """
    if len(locations) == 0:
        raise ValueError("decoders are compared on at least one location, got none.")
    if decoders is None:
        decoders = [name for name in CANDIDATES if isinstance(head, Head) or "places" not in name]
    clusters = clusters_of(locations, cluster)
    if not allow_training:
        warn_of_training([count_trained_on(head.trained_on, locations)], locations)
    ready: dict[str, PreparedDecoder] = {}
    left_out: dict[str, str] = {}
    for decoder in (BASELINE, *decoders, default_decoder(head)):
        try:
            prepared = head.prepare(decoder)
        except ValueError as error:
            left_out[str(decoder)] = str(error)
            continue
        ready[prepared.decoder.spec] = prepared
    answers = decoded_points(head, locations, list(ready.values()), device)
    outcomes = {
        name: Outcomes(distance_km(points, locations.latlon), clusters=clusters)
        for name, points in zip(ready, answers, strict=True)
    }
    base = outcomes[BASELINE]
    return DecoderComparison(
        split=split,
        n_locations=len(locations),
        values={name: outcome.values() for name, outcome in outcomes.items()},
        intervals={name: paired_intervals(outcome, base) for name, outcome in outcomes.items() if name != BASELINE},
        left_out=left_out,
        calibrated=head.calibration is not None,
        clustered_by=clusters.by,
        n_clusters=len(clusters),
    )


def decoded_points(
    head: HeadLike, locations: Locations, decoders: Sequence[PreparedDecoder], device: str = "auto"
) -> list[Floats]:
    """Return the (P, 2) points of every decoder, from posteriors that are computed once, in pieces."""
    taken: list[Sequence[Floats]] = []
    for _ in head.answer_chunks(locations, prepared_together(decoders, taken), device):
        pass
    return [np.concatenate(pieces) for pieces in zip(*taken, strict=True)]
