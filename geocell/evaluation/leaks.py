"""What a split leaks: shared coordinates and images, near neighbours, near-duplicate features, scores by distance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.decoders.table import AnyDecoder
from geocell.evaluation.clusters import clusters_of
from geocell.evaluation.score import outcomes
from geocell.features import FeatureCache
from geocell.features.locations import Locations
from geocell.files import FORMAT
from geocell.geo.geodesy import Floats
from geocell.heads.trained_on import count_trained_on
from geocell.metrics.outcomes import Outcomes
from geocell.splits.leaks import QUANTILES, at_training_coordinates, bin_names, distance_bins, length_text, nearest_km
from geocell.splits.near_duplicates import NEAR_DUPLICATE, largest_cosines
from geocell.splits.splits import Splits

if TYPE_CHECKING:
    from geocell.heads.protocol import HeadLike

_IN_MEMORY = 4 << 30  # bytes of a cache; a larger one stays on the disk, and its views are read block by block
_SHOWN = ("within_25", "within_200", "within_750", "median_km")


@dataclass(frozen=True)
class SplitLeaks:
    """What one split shares with the training locations. Counts are of locations.

    Attributes:
        n_locations: of the split, in the cache.
        n_shared_coordinates: with the coordinates of a training location, to 1e-6 degrees.
        n_shared: column -> with a value in it that a training location has too; the column `image` always.
        n_near_duplicates: with a view whose features have a cosine of at least the threshold with a training view.
        quantiles_km: share such as "0.5" -> distance from the nearest training location that so many are within.
        counts: bin of that distance in km, "<0.1" to "≥100" -> locations in it.
        n_trained_on: of the training locations of the head, at least; None without a head, or where it does not say.
        scores: bin -> `n_locations`, `balscore`, its interval `balscore_low` and `balscore_high`, shares and the median
            of a head there; empty without a head. Bins without locations are left out.
    """

    n_locations: int
    n_shared_coordinates: int
    n_shared: Mapping[str, int]
    n_near_duplicates: int
    quantiles_km: Mapping[str, float]
    counts: Mapping[str, int]
    n_trained_on: int | None = None
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Leaks:
    """What the splits of a cache leak.

    Attributes:
        protocol: how the splits were drawn.
        n_train: training locations in the cache.
        cosine: threshold of near-duplicates.
        decoder: of the scores by distance, "" without a head.
        splits: name -> what it shares with training.
    """

    protocol: str
    n_train: int
    cosine: float
    decoder: str
    splits: Mapping[str, SplitLeaks]

    @property
    def verdict(self) -> str:
        """The worst of what was found, in one sentence."""
        images = {name: s.n_shared.get("image", 0) for name, s in self.splits.items()}
        columns = {key for s in self.splits.values() for key in s.n_shared if key != "image"}
        found = (
            ({name: s.n_shared_coordinates for name, s in self.splits.items()}, "share coordinates with training"),
            (images, "share an image with training"),
            (
                {name: s.n_near_duplicates for name, s in self.splits.items()},
                f"have a view that is nearly one of training (cosine of features at least {self.cosine:g})",
            ),
            *(
                ({name: s.n_shared[key] for name, s in self.splits.items()}, f"share a {key} with training")
                for key in sorted(columns)
            ),
        )
        for counts, what in found:
            shares = [
                f"{_percent(counts[name] / s.n_locations)} of the {name} locations"
                for name, s in self.splits.items()
                if counts[name]
            ]
            if shares:
                return f"leaks: {' and '.join(shares)} {what}"
        nearest = [
            f"half of the {name} locations have a training location within {length_text(s.quantiles_km['0.5'])}"
            for name, s in self.splits.items()
        ]
        return f"no shared coordinate, image or near-duplicate was found; {' and '.join(nearest)}"

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {"format": FORMAT, "verdict": self.verdict, **asdict(self)}


def require_cosine(cosine: float) -> None:
    """Raise ValueError unless a threshold of near-duplicates is a cosine above 0."""
    if not 0 < cosine <= 1:
        raise ValueError(f"cosine must be above 0 and at most 1, got {cosine}.")


def leaks(
    source: FeatureCache | Path | str,
    splits: Splits | Path | str,
    head: HeadLike | None = None,
    decode: AnyDecoder = "centroid",
    *,
    cosine: float = NEAR_DUPLICATE,
    columns: Sequence[str] = (),
    device: str = "auto",
) -> Leaks:
    """Return what each of the other splits shares with the training locations.

    Args:
        source: a feature cache, or the path of its folder.
        splits: the splits, or their file.
        head: a head, whose scores are given by the distance from the nearest training location.
        decode: its decoder.
        cosine: from which on two views are near-duplicates.
        columns: columns of the views whose values should not be shared, a user's or a sequence's.
        device: where the head computes.

    Raises:
        FileNotFoundError: when there is no such cache or file.
        ValueError: for a threshold that is no cosine above 0, a column that is not there, splits without training
            locations or without others, or a head of another encoder.
    """
    require_cosine(cosine)
    cache = source if isinstance(source, FeatureCache) else FeatureCache.open(source)
    members = splits if isinstance(splits, Splits) else Splits.load(splits)
    if lacking := [name for name in columns if name not in cache.views]:
        known = ", ".join(map(str, cache.views.columns))
        raise ValueError(f"the views must have the column {lacking[0]!r}, got {known}: name one of these.")
    others = [name for name, ids in members.ids.items() if ids and name != "train"]
    if not members.ids.get("train") or not others:
        raise ValueError(
            f"leaks are between training locations and others, got the splits {', '.join(members.ids) or 'none'} with "
            f"{len(members.ids.get('train', ()))} training locations: name a file that has both."
        )
    locations = cache.locations(in_memory=cache.n_bytes <= _IN_MEMORY)
    if head is not None:
        head.encoder.require_same(locations.encoder, "the head", "the locations")
    train = members.select(locations, "train")
    prepared = None if head is None else head.prepare(decode)
    found, names = {}, bin_names()
    for name in others:
        part = members.select(locations, name)
        km = nearest_km(part.latlon, train.latlon)
        scores = (
            {}
            if head is None
            else scores_by_distance(
                outcomes(head, part, prepared or decode, name, device, cluster=clusters_of(part, None, members)), km
            )
        )
        found[name] = SplitLeaks(
            n_locations=len(part),
            n_shared_coordinates=int(at_training_coordinates(part.latlon, train.latlon).sum()),
            n_shared={key: _count_shared(cache, part, train, key) for key in dict.fromkeys(("image", *columns))},
            # the cosine of a view with itself is 1 to the rounding of float32
            n_near_duplicates=int((largest_cosines(part, train) >= min(cosine, 1 - 1e-6)).sum()),
            quantiles_km={f"{q:g}": float(np.quantile(km, q)) for q in (0.0, *QUANTILES, 1.0)},
            counts=dict(zip(names, np.bincount(distance_bins(km), minlength=len(names)).tolist(), strict=True)),
            n_trained_on=None if head is None else count_trained_on(head.trained_on, part),
            scores=scores,
        )
    return Leaks(members.protocol, len(train), cosine, "" if prepared is None else prepared.decoder.spec, found)


def scores_by_distance(outcome: Outcomes, km: Floats) -> dict[str, dict[str, float]]:
    """Return the scores of locations in every bin of their distance from the nearest training location.

    Args:
        outcome: of P locations.
        km: (P,) distances.

    Returns:
        Name of the bin -> `n_locations`, `balscore`, `balscore_low` and `balscore_high` (95 % interval over their
        clusters), `within_25`, `within_200`, `within_750` and `median_km`; bins without locations are left out.
    """
    bins = distance_bins(km)
    found = {}
    for number in np.unique(bins).tolist():
        there = bins == number
        clusters = None if outcome.clusters is None else outcome.clusters.take(there)
        here = Outcomes(outcome.distances_km[there], clusters=clusters)
        values = here.values()
        low, high = here.intervals()["balscore"]
        found[bin_names()[number]] = {
            "n_locations": len(here.distances_km),
            "balscore": values["balscore"],
            "balscore_low": low,
            "balscore_high": high,
            **{name: values[name] for name in _SHOWN},
        }
    return found


def _count_shared(cache: FeatureCache, part: Locations, train: Locations, column: str) -> int:
    """Return how many locations have a value in a column of the views that a training location has; blanks are none."""
    values = cache.views[column]
    texts: NDArray[Any] = values.where(values.notna(), "").astype(str).to_numpy(object)
    known = set(texts[train.rows].tolist()) - {""}
    shared = np.fromiter((text in known for text in texts[part.rows].tolist()), dtype=bool, count=part.n_views)
    return int(np.logical_or.reduceat(shared, part.offsets[:-1]).sum())


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else f"{100 * share:.2g} %"
