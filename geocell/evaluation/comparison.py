"""Two heads on the same locations: the difference of every score, with its interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from geocell.display import Display, TextTable
from geocell.evaluation.clusters import clusters_of
from geocell.evaluation.countries import ACCURACY
from geocell.evaluation.score import outcomes, warn_of_training
from geocell.files import FORMAT
from geocell.heads.trained_on import count_trained_on
from geocell.metrics.clusters import LOCATION, Clusters, clusters_text
from geocell.metrics.intervals import Interval, mean_interval, percentile_interval, share_draws
from geocell.metrics.outcomes import Outcomes
from geocell.metrics.scores import SCORE_LABELS, score_label, score_text, score_unit

if TYPE_CHECKING:
    from geocell.decoders.table import AnyDecoder
    from geocell.features.locations import Locations
    from geocell.heads.protocol import HeadLike


@dataclass(frozen=True, repr=False)
class Comparison:
    """Scores of two heads on the same locations by one decoder, and how far apart they are.

    Attributes:
        decoder: which decoder turned both posteriors into points, or that of the first.
        split: name of the split.
        n_locations: P, the same for both.
        a: score -> value of the first head: fractions, and km where the name says so.
        b: score -> value of the second head. `top1` and `top5` are there when both heads have the same cells, since
            hits among other cells are another thing.
        differences: score -> `a` minus `b`.
        intervals: score -> 95 % interval of the difference, from clusters drawn for both heads together.
        n_same: locations for which both heads answer at the same distance from the truth.
        clustered_by: what the locations of a cluster share; see `geocell.metrics.clusters`.
        n_clusters: how many clusters the intervals are taken over.
        decoder_b: the decoder of the second, None where it is the same.
    """

    decoder: str
    split: str
    n_locations: int
    a: Mapping[str, float]
    b: Mapping[str, float]
    differences: Mapping[str, float]
    intervals: Mapping[str, Interval]
    n_same: int
    clustered_by: str | None = None
    n_clusters: int | None = None
    decoder_b: str | None = None

    def __repr__(self) -> str:
        """Return which of the two is better, if these locations can tell."""
        return f"<Comparison, decoder {self.decoder}: {self.sentence()}>"

    def _repr_html_(self) -> str:
        rows = [
            (
                score_label(name),
                score_text(name, self.a[name]),
                score_text(name, self.b[name]),
                _difference_text(name, difference),
                " to ".join(_difference_text(name, end) for end in self.intervals.get(name, ())),
            )
            for name in SCORE_LABELS
            if (difference := self.differences.get(name)) is not None
        ]
        facts = [
            ("split", self.split),
            ("decoder", self.decoder),
            ("locations", f"{self.n_locations:,}, the same distance at {self.n_same:,}"),
            ("intervals over", self.drawn_text),
        ]
        table = TextTable(("score", "A", "B", "A − B", "95 % interval"), rows)
        return Display("Comparison of two heads", facts, [table], notes=[self.sentence()]).html()

    @property
    def drawn_text(self) -> str:
        """Over what the intervals are taken, in words."""
        return clusters_text(self.clustered_by, self.n_clusters)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        value = {"format": FORMAT, **asdict(self)}
        if self.decoder_b is None:
            del value["decoder_b"]
        return {**value, "intervals": {name: list(interval) for name, interval in self.intervals.items()}}

    def sentence(self, a: str = "A", b: str = "B") -> str:
        """Return in one sentence which head is better by balscore, if these locations can tell.

        Args:
            a: what to call the first head.
            b: what to call the second.
        """
        where = f"{self.n_locations:,} locations" + (f" of split {self.split}" if self.split else "")
        if self.n_same == self.n_locations:
            return f"{a} and {b} answer equally well at every one of {where}."
        difference, (low, high) = self.differences["balscore"], self.intervals["balscore"]
        points = f"{signed(100 * difference)} points, 95 % interval {signed(100 * low)} to {signed(100 * high)}"
        if low <= 0 <= high:
            return f"{where} cannot tell whether {a} or {b} has the higher balscore (difference {points})."
        better, worse = (a, b) if difference > 0 else (b, a)
        return f"{better} has a higher balscore than {worse} on {where} (difference {a} − {b} {points})."


def signed(value: float) -> str:
    """Return a difference with its sign, one decimal; a dash for none."""
    return "–" if np.isnan(value) else f"{value:+,.1f}".replace("-", "−")


def _difference_text(name: str, value: float) -> str:
    """Return the difference of a score with its sign: points of percent, or its unit."""
    return f"{signed(value if score_unit(name) != '%' else 100 * value)}{' km' * (score_unit(name) == 'km')}"


def compare(  # noqa: PLR0913 - keywords with defaults
    head_a: HeadLike,
    head_b: HeadLike,
    locations: Locations,
    decode: AnyDecoder = "centroid",
    split: str = "",
    device: str = "auto",
    *,
    allow_training: bool = False,
    cluster: str | Clusters | None = None,
    decode_b: AnyDecoder | None = None,
    seed: int = 0,
) -> Comparison:
    """Return the paired difference of two heads' scores on the same locations.

    Both see every location, so what makes a location hard for both cancels, and the interval of the difference is much
    narrower than those of the two scores. The heads may have different partitions and fusions; their encoder is that
    of the locations.

    Warns when some of the locations are known to be training locations of one of them, as `score` does.

    Args:
        head_a: the first head, or an ensemble of them.
        head_b: the second.
        locations: P locations with features of the heads' encoder.
        decode: name of the decoder, for both.
        split: name of the split that the locations are, for the record.
        device: where the heads compute; see `geocell.evaluation.score.outcomes`.
        allow_training: whether locations that a head was trained on are meant.
        cluster: what was drawn together; see `geocell.evaluation.clusters.clusters_of`.
        decode_b: another decoder for the second, a baseline with one of its own say.
        seed: of the resampling.

    Raises:
        TypeError: for the name of a head in its place.
        ValueError: for an unknown decoder, no location, features of another encoder, or an unknown column.
    """
    given: tuple[object, object] = (head_a, head_b)
    for one in given:
        if isinstance(one, str):
            raise TypeError(
                f"expected a head, got the text {one!r}: load it with load_head, or make a baseline with "
                "named_baseline('1-nn', locations.encoder, train=lambda: train)."
            )
    decoders = (decode, decode if decode_b is None else decode_b)
    prepared = [head.prepare(one) for head, one in zip((head_a, head_b), decoders, strict=True)]  # before any answer
    clusters = clusters_of(locations, cluster)
    if not allow_training:
        warn_of_training([count_trained_on(head.trained_on, locations) for head in (head_a, head_b)], locations)
    pairs = zip((head_a, head_b), prepared, strict=True)
    a, b = (outcomes(head, locations, ready, split, device, cluster=clusters) for head, ready in pairs)
    if head_a.partition.sha256 != head_b.partition.sha256:
        a, b = (without_cells(one) for one in (a, b))
    spec_a, spec_b = (ready.decoder.spec for ready in prepared)
    found = comparison_of(a, b, spec_a, split, seed)
    return found if spec_a == spec_b else replace(found, decoder_b=spec_b)


def comparison_of(a: Outcomes, b: Outcomes, decoder: str, split: str = "", seed: int = 0) -> Comparison:
    """Return the paired difference of two outcomes of the same locations, with the same scores.

    Args:
        a: outcomes of the first.
        b: outcomes of the second.
        decoder: what made the points, for the record.
        split: name of the split, for the record.
        seed: of the resampling.
    """
    values_a, values_b = a.values(), b.values()
    return Comparison(
        decoder=decoder,
        split=split,
        n_locations=len(a.distances_km),
        a=values_a,
        b=values_b,
        differences={name: values_a[name] - values_b[name] for name in values_a if name in values_b},
        intervals=paired_intervals(a, b, seed),
        n_same=int((a.distances_km == b.distances_km).sum()),
        clustered_by=LOCATION if a.clusters is None else a.clusters.by,
        n_clusters=a.n_clusters,
    )


def without_cells(outcome: Outcomes) -> Outcomes:
    """Return an outcome without hits of cells and their groups, which are other things on other cells."""
    further = {ACCURACY: outcome.further[ACCURACY]} if ACCURACY in outcome.further else {}
    return Outcomes(outcome.distances_km, clusters=outcome.clusters, further=further)


def _only(outcome: Outcomes, names: list[str]) -> Outcomes:
    return replace(outcome, further={name: hit for name, hit in outcome.further.items() if name in names})


def _widened(interval: Interval, difference: float) -> Interval:
    """Return an interval that has the observed difference in it: near ±1 the added locations hold every draw back."""
    return min(interval[0], difference), max(interval[1], difference)


def paired_intervals(a: Outcomes, b: Outcomes, seed: int = 0) -> dict[str, Interval]:
    """Return the 95 % interval of every score of `a` minus that of `b`, which are of the same locations.

    Args:
        a: outcomes of the first head, whose clusters are drawn.
        b: outcomes of the second, with the same scores.
        seed: of the resampling.
    """
    hits = np.stack([*a.hits().values(), *b.hits().values()], axis=1)
    shares = share_draws(hits, seed, clusters=a.drawn, paired=True)
    half = hits.shape[1] // 2
    draws_a, draws_b = a.draws(shares[:, :half]), b.draws(shares[:, half:])
    values_a, values_b = a.values(), b.values()
    intervals = {
        name: _widened(percentile_interval(draws_a[name] - draws_b[name]), values_a[name] - values_b[name])
        for name in draws_a
    }
    further_a, further_b = a.further_hits(), b.further_hits()
    shared = [name for name in further_a if name in further_b]
    hits = np.stack([found[name] for found in (further_a, further_b) for name in shared], axis=1)
    shares = share_draws(hits, seed, clusters=a.drawn, paired=True)
    parts = zip((a, b), np.hsplit(shares, 2), strict=True)
    of_a, of_b = (_only(one, shared).further_draws(part) for one, part in parts)
    for name in shared:
        draws = of_a[name] - of_b[name]
        intervals[name] = _widened(percentile_interval(draws), values_a[name] - values_b[name])
    if a.n_clusters > 1:
        intervals["geoscore"] = mean_interval(a.points - b.points, clusters=a.drawn, paired=True)
        intervals["mean_km"] = mean_interval(a.distances_km - b.distances_km, clusters=a.drawn, paired=True)
    return intervals
