"""The record of what a head reaches, and its JSON form; `geocell.metrics.outcomes` computes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from types import MappingProxyType
from typing import Any

from geocell.display import Display, TextTable, km_text, share_text
from geocell.files import FORMAT, one_sentence, reading, require_types
from geocell.metrics.clusters import clusters_text
from geocell.metrics.outcomes import RADII_KM

SCORE_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "balscore": "balscore",
        "top1": "top-1",
        "top5": "top-5",
        **{f"within_{radius}": f"within {radius} km" for radius in RADII_KM},
        "median_km": "median",
        "mean_km": "mean",
    }
)
"""Name of a score in files -> what it is called for people, in the order in which scores are shown."""

BALSCORE_TEXT = (
    "balscore = (within 25 km × within 200 km × within 750 km)^(1/3): the geometric mean of three shares, high only "
    "when city, region and country are right together"
)
"""The definition of balscore for readers of tables and cards."""

_MAYBE = (float, type(None))
_TYPES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("decoder", "split", "partition_sha256"), str),
    **dict.fromkeys(("n_locations", "n_cells"), int),
    **dict.fromkeys(("median_km", "mean_km", "balscore"), float),
    **dict.fromkeys(("top1", "top5"), _MAYBE),
    **dict.fromkeys(("within", "intervals", "countries"), dict),
    **{"n_outside": (int, type(None)), "head_sha256": (str, type(None))},
}
_LATER_TYPES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("n_trained_on", "n_at_training_coordinates", "n_missing"), (int, type(None))),
    **dict.fromkeys(("geoscore", "geoscore_rounded", "outside_region", "country_accuracy"), _MAYBE),
    **dict.fromkeys(
        ("quantiles_km", "radii", "confidence", "macro", "levels", "baselines", "trust", "id_columns"),
        (dict, type(None)),
    ),
    **dict.fromkeys(("predictions_sha256", "truth_file_sha256", "truth_sha256"), (str, type(None))),
    "clustered_by": (str, type(None)),
    "n_clusters": (int, type(None)),
}
"""Keys that the first files of format 1 lack."""


@dataclass(frozen=True, repr=False)
class Scores:
    """What a head reaches on some locations, by one decoder. Shares are fractions; distances are km.

    Attributes:
        decoder: which decoder turned the posterior into points.
        split: name of the split.
        n_locations: P; locations are counted, never views.
        n_cells: C.
        n_outside: locations that lie in no cell of the partition, which count as misses in top1 and top5; None when
            the partition cannot assign.
        top1: share whose true cell is the most probable one; None when the partition cannot assign.
        top5: share whose true cell is among the five most probable ones; None likewise.
        median_km: median distance to the true point.
        mean_km: mean distance.
        within: radius in km -> share at most that far.
        balscore: see `geocell.metrics.outcomes.balscore`.
        intervals: `balscore`, `within_25` …, `top1`, `top5`, `median_km`, `mean_km` -> 95 % interval over clusters; see
            `geocell.metrics.intervals`. One cluster has none of its mean.
        partition_sha256: which partition.
        head_sha256: which head; None for points that no head made.
        countries: country -> `n_locations`, `balscore`, `within_25` …, `median_km` and `country_accuracy` there, by the
            column `country` of the locations, else by outlines; empty in files of earlier versions without the column.
        n_trained_on: how many of the locations the head was trained on, at least; None when it is not known.
        n_at_training_coordinates: how many of the locations have the coordinates of a training location of their
            splits; None when it is not known.
        geoscore: mean of 5000·exp(−d / 1492.7 km), see `geocell.metrics.geoscore`; None in files of earlier versions.
        geoscore_rounded: the same with each answer's points rounded to a whole number; None likewise.
        n_missing: locations of a file of predictions without an answer; None for a head, which always answers.
        outside_region: share that the head flags as outside its region; None where it did not learn that.
        quantiles_km: share -> the distance that this share of the locations keeps within; None likewise.
        radii: percent -> `n_locations`, `coverage`, `interval` and `median_km` of the radius that a file of predictions
            gives to that percent, see `geocell.evaluation.reliability`; None without one.
        confidence: how right a file's probabilities of being within 200 km are, see there; None without them.
        predictions_sha256: hash of the bytes of a file of predictions; None for a head.
        truth_file_sha256: hash of the bytes of the file of its truth; None likewise.
        truth_sha256: hash of the true points, the same for every file of them; None likewise.
        id_columns: the columns whose ids were compared, of the `predictions` and of the `truth`; None likewise.
        country_accuracy: share of locations whose answer lies in the country of the truth, both by outlines; None in
            files of earlier versions.
        macro: `n_countries`, and the means over them in which every country weighs the same: `country_accuracy`,
            `within_25` …, `balscore`; None likewise. Their intervals are `macro_country_accuracy` ….
        levels: level of the partition -> `n_groups` and `accuracy`, the share of locations whose most probable cell is
            in the group of the true one; None likewise, and where the partition has none.
        baselines: name -> what it reaches on the same locations, see `geocell.evaluation.baselines`; None without them.
        clustered_by: what the locations of a cluster share, see `geocell.metrics.clusters`; None in files of earlier
            versions, whose intervals are over locations.
        n_clusters: how many clusters the intervals are taken over; None likewise.
        trust: risk of the answers that are kept, coverage of radii and sets, areas; see `geocell.evaluation.trust`.
            None likewise, and for points that no head made.
    """

    decoder: str
    split: str
    n_locations: int
    n_cells: int
    n_outside: int | None
    top1: float | None
    top5: float | None
    median_km: float
    mean_km: float
    within: dict[int, float]
    balscore: float
    intervals: dict[str, tuple[float, float]]
    partition_sha256: str
    head_sha256: str | None = None
    countries: dict[str, dict[str, float]] = field(default_factory=dict)
    n_trained_on: int | None = None
    n_at_training_coordinates: int | None = None
    geoscore: float | None = None
    geoscore_rounded: float | None = None
    n_missing: int | None = None
    quantiles_km: dict[float, float] | None = None
    radii: dict[str, dict[str, Any]] | None = None
    confidence: dict[str, Any] | None = None
    predictions_sha256: str | None = None
    truth_file_sha256: str | None = None
    truth_sha256: str | None = None
    country_accuracy: float | None = None
    macro: dict[str, float] | None = None
    levels: dict[str, dict[str, Any]] | None = None
    baselines: dict[str, dict[str, Any]] | None = None
    clustered_by: str | None = None
    n_clusters: int | None = None
    outside_region: float | None = None
    trust: dict[str, Any] | None = None
    id_columns: dict[str, str] | None = None

    def __repr__(self) -> str:
        """Return the balscore and some more, and what they are of."""
        within = ", ".join(f"{radius} km {share_text(share)}" for radius, share in self.within.items() if radius > 1)
        return (
            f"<Scores{f' of split {self.split}' if self.split else ''}, {self.n_locations:,} locations, decoder "
            f"{self.decoder}: balscore {share_text(self.balscore, self.intervals.get('balscore'))}, median "
            f"{km_text(self.median_km)}, within {within}>"
        )

    def _repr_html_(self) -> str:
        rows = [
            (score_label(name), score_text(name, value), interval_text(name, self.intervals.get(name)))
            for name, value in self.flat().items()
            if value is not None
        ]
        others = [
            (name, share_text(row["balscore"]), km_text(row["median_km"]))
            for name, row in (self.baselines or {}).items()
        ]
        facts = [
            ("split", self.split),
            ("decoder", self.decoder),
            ("locations", f"{self.n_locations:,}"),
            ("cells", f"{self.n_cells:,}"),
            ("outside every cell", f"{self.n_outside:,}" if self.n_outside else ""),
            ("intervals over", clusters_text(self.clustered_by, self.n_clusters)),
        ]
        tables = [
            TextTable(("score", "", "95 % interval"), rows),
            TextTable(("baseline", "balscore", "median"), others),
        ]
        said = shared_coordinates_text(asdict(self))
        return Display("Scores", facts, tables, notes=[said] if said else []).html()

    def flat(self) -> dict[str, float | None]:
        """Return name of `SCORE_LABELS` -> value; see `flat_scores`."""
        return flat_scores(asdict(self))

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; radii become strings. What came after the first files is left out where not known."""
        value = {"format": FORMAT, **asdict(self)}
        value = {key: v for key, v in value.items() if v is not None or key not in _LATER_TYPES}
        value["within"] = {str(radius): share for radius, share in self.within.items()}
        if self.quantiles_km is not None:
            value["quantiles_km"] = {str(share): km for share, km in self.quantiles_km.items()}
        value["intervals"] = {name: list(interval) for name, interval in self.intervals.items()}
        return value

    @classmethod
    @one_sentence()
    def from_dict(cls, value: Mapping[str, Any], where: str = "scores") -> Scores:
        """Read the JSON form; `where` names it in error messages.

        Raises:
            ValueError: for another format, missing or unknown keys, or a value of another type.
        """
        if value.get("format") != FORMAT:
            raise ValueError(
                f"{where} must be of format {FORMAT}, got {value.get('format')!r}: "
                "use the geocell version that wrote it, or score again."
            )
        names = {field.name for field in fields(cls)}
        if set(value) | set(_LATER_TYPES) != names | {"format"}:
            raise ValueError(
                f"{where} must have the keys {sorted(names)}, got {sorted(set(value) - {'format'})}: score again."
            )
        require_types(value, {**_TYPES, **{key: t for key, t in _LATER_TYPES.items() if key in value}}, where)
        known = {name: value[name] for name in names if name in value}
        with reading(where, "scores"):
            known["within"] = {int(radius): float(share) for radius, share in value["within"].items()}
            known["intervals"] = {name: (float(low), float(high)) for name, (low, high) in value["intervals"].items()}
            if known.get("quantiles_km") is not None:
                known["quantiles_km"] = {float(share): float(km) for share, km in value["quantiles_km"].items()}
            _require_further(value, where)
            columns: Mapping[str, float] = next(iter(value["countries"].values()), {})
            for country in value["countries"].values():
                require_types(country, dict.fromkeys(columns, _MAYBE), where)
        return cls(**known)


def _require_further(value: Mapping[str, Any], where: str) -> None:
    """Refuse levels, means over countries and baselines in which something else stands than their numbers."""
    if value.get("macro") is not None:
        require_types(value["macro"], dict.fromkeys({"n_countries", *value["macro"]}, float), f"{where} macro")
    for name, level in (value.get("levels") or {}).items():
        require_types(level, {"n_groups": int, "accuracy": float}, f"{where} levels {name}")
    for name, found in (value.get("baselines") or {}).items():
        of = f"{where} baselines {name}"
        numbers = dict.fromkeys(("balscore", "median_km", "mean_km", "geoscore"), float)
        require_types(found, {**numbers, "n_locations": int, "within": dict, "intervals": dict}, of)
        require_types(found["within"], dict.fromkeys({*map(str, RADII_KM), *found["within"]}, float), f"{of} within")
        require_types(found["intervals"], dict.fromkeys({"balscore", *found["intervals"]}, list), f"{of} intervals")
        for low, high in found["intervals"].values():
            require_types({"low": low, "high": high}, {"low": float, "high": float}, f"{of} intervals")


def flat_scores(scores: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the scores among the keys of a mapping, `within` as one entry per radius.

    Args:
        scores: the JSON form of `Scores`, or a part of it, numbers that others published, say.

    Returns:
        `balscore`, `top1`, `top5`, `within_25` …, `median_km`, `mean_km` -> value, those that are there.
    """
    within = {f"within_{radius}": share for radius, share in scores.get("within", {}).items()}
    before, after = ("balscore", "top1", "top5"), ("median_km", "mean_km")
    return {
        **{name: scores[name] for name in before if name in scores},
        **within,
        **{name: scores[name] for name in after if name in scores},
    }


def score_label(name: str) -> str:
    """Return what a score is called for people, at any radius, quantile or level.

    >>> score_label("within_10"), score_label("quantile_90_km"), score_label("macro_country_accuracy")
    ('within 10 km', '90 % within', 'macro country accuracy')
    """
    if name in SCORE_LABELS:
        return SCORE_LABELS[name]
    if name.startswith("within_"):
        return f"within {name.removeprefix('within_')} km"
    if name.startswith("quantile_"):
        return f"{name.removeprefix('quantile_').removesuffix('_km')} % within"
    if name.startswith("macro_"):
        return f"macro {score_label(name.removeprefix('macro_'))}"
    return "GeoScore" if name == "geoscore" else name.replace("_", " ")


def score_unit(name: str) -> str:
    """Return the unit in which people read a score: km, points, or % of what files have as a fraction."""
    return "km" if name.endswith("_km") else "points" if name == "geoscore" else "%"


def score_text(name: str, value: float | None) -> str:
    """Return a score with its unit, as people read it: percent, km or points.

    >>> score_text("balscore", 0.5), score_text("mean_km", 12.34), score_text("geoscore", 4321.0)
    ('50.0 %', '12.3 km', '4,321')
    """
    unit = score_unit(name)
    if unit == "points":
        return "–" if value is None else f"{value:,.0f}"
    return km_text(value) if unit == "km" else share_text(value)


def interval_text(name: str, interval: Sequence[float] | None) -> str:
    """Return the ends of the interval of a score in its unit, "" without one.

    >>> interval_text("top1", (0.25, 0.5))
    '25.0 % to 50.0 %'
    """
    return "" if interval is None else " to ".join(score_text(name, end) for end in interval)


def shared_coordinates_text(scores: Mapping[str, Any]) -> str:
    """Return the sentence about scored locations at coordinates of training locations, "" where there are none.

    Args:
        scores: `Scores.to_dict()`.
    """
    n, of = scores.get("n_at_training_coordinates"), scores.get("n_locations")
    if not n or not of or scores.get("split") == "train":
        return ""
    have = "has" if n == 1 else "have"
    return (
        f"{n:,} of the {of:,} scored locations ({100 * n / of:.0f} %) {have} the coordinates of a training location: "
        "these scores say little about new places"
    )
