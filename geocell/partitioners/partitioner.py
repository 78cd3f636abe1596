"""What all partitioners share: validation, merging of small cells, centroids, and the record of the training data.

A kind adds two small classes in one file: its parameters (a `Partitioner`), and the `Rule` that they lead to.
"""

# No postponed annotations here: the command line resolves a kind's annotations in the module of the kind, which does
# not have the names of this one.

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from geocell.files import sentence
from geocell.geo.geodesy import Floats, as_latlon, unit_vectors
from geocell.partitioners.base import Partition
from geocell.partitioners.centroids import CENTROID_RULES, CentroidRule, means_of, medoids_of, radius_of
from geocell.partitioners.merging import Ints, merge_small_cells
from geocell.partitioners.rule import OUTSIDE, RawAssignment, Rule, canonical_latlon, locate_all

SmallRule = Literal["merge", "drop"]
SMALL_RULES: tuple[str, ...] = get_args(SmallRule)


@dataclass(frozen=True)
class Partitioner(ABC):
    """The parameters of one kind of partition. A kind subclasses this with its own fields and `make_rule`.

    Attributes:
        min_count: cells with fewer training locations are small.
        small: "merge" merges a small cell into its nearest neighbour, within the same larger region where the kind has
            those; "drop" removes it, and its locations are treated like those in no known cell.
        centroid: the point that a cell predicts: "mean" is the spherical mean of its training locations, "medoid" the
            one with the least sum of distances to the others, "cell" the middle of the cell, for kinds that have one.
    """

    kind: ClassVar[str]
    rule_type: ClassVar[type[Rule]]
    former_names: ClassVar[Mapping[str, str]] = {}
    """Name of a parameter in earlier files -> its name now."""

    min_count: int = field(default=1, kw_only=True)
    small: SmallRule = field(default="merge", kw_only=True)
    centroid: CentroidRule = field(default="mean", kw_only=True)

    def __init_subclass__(cls) -> None:
        """Let a kind that has a `make_rule` of its own be fitted with it, whatever it inherits."""
        if "make_rule" in vars(cls) and "make_assigned" not in vars(cls):
            setattr(cls, "make_assigned", Partitioner.make_assigned)  # noqa: B010 - mypy knows no assigned methods

    def __post_init__(self) -> None:
        """Check the parameters."""
        self._require_int("min_count", 1)
        self._require_one_of("small", SMALL_RULES)
        self._require_one_of("centroid", [r for r in CENTROID_RULES if r != "cell" or self.rule_type.has_centres])

    @abstractmethod
    def make_rule(self, latlon: Floats) -> Rule:
        """Return the rule for (P, 2) training locations, P >= 1, sorted by latitude, then longitude."""

    def make_assigned(self, latlon: Floats) -> tuple[Rule, RawAssignment]:
        """Return the rule for (P, 2) sorted training locations, and the raw cells it gives these.

        A kind whose `make_rule` finds the cells of the locations overrides this, to find them once.
        """
        rule = self.make_rule(latlon)
        return rule, locate_all(rule, latlon)

    def notes(self, n_locations: int) -> dict[str, Any]:  # noqa: ARG002 - used by some kinds
        """Return additional entries of `fitted_on` for this kind, as JSON."""
        return {}

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters as JSON, the ones of the kind first."""
        common = [item.name for item in fields(Partitioner)]
        names = [*(item.name for item in fields(self) if item.name not in common), *common]
        values = {name: getattr(self, name) for name in names}
        # A path has no meaning on another machine, and would make equal partitions differ.
        return {name: value.name if isinstance(value, Path) else value for name, value in values.items()}

    def is_of(self, stored: object) -> bool:
        """Return whether the `parameters` in a partition.json are these, under the names that they had then."""
        names = self.former_names
        now = {names.get(key, key): value for key, value in stored.items()} if isinstance(stored, Mapping) else stored
        return now == self.parameters

    def fit(self, latlon: ArrayLike, source: str = "") -> Partition:
        """Fit the partition to training locations. The result does not depend on the order of the rows.

        Args:
            latlon: (P, 2) degrees, one row per location.
            source: where the locations come from, for `fitted_on`.

        Raises:
            ValueError: for bad coordinates, no location in any cell, or parameters that the locations cannot satisfy.
        """
        places = sorted_places(canonical_latlon(as_latlon(latlon, "locations")))
        if len(places) == 0:
            raise self._error("fitting needs at least one location, got none.")
        rule, raw = self.make_assigned(places)
        inside = raw.cells != OUTSIDE
        if not inside.any():
            raise self._error(
                f"at least one location must be in a cell, got {len(places)}, all outside. {rule.outside_rule}"
            )
        if inside.sum() < self.min_count:
            raise self._error(
                f"min_count must be at most the number of locations, {inside.sum()}, got {self.min_count}."
            )
        fitted_on = {
            "n_locations": len(places),
            "n_fallback": int(raw.fallback.sum()),
            "n_outside": int((~inside).sum()),
            "n_dropped": 0,
            "source": source,
            "sha256": _sorted_sha256(places),
            **self.notes(len(places)),
        }
        if not inside.all():
            places, raw = places[inside], RawAssignment(raw.cells[inside], raw.fallback[inside])
        return self._partition(rule, places, raw, fitted_on)

    def _partition(self, rule: Rule, places: Floats, raw: RawAssignment, fitted_on: dict[str, Any]) -> Partition:
        n_raw = len(rule.names)
        counts = np.bincount(raw.cells, minlength=n_raw)
        if self.small == "drop":
            if counts.max() < self.min_count:
                raise self._error(
                    f"min_count must leave at least one cell, and the fullest of {n_raw} has {counts.max()} locations, "
                    f"got {self.min_count}."
                )
            counts[counts < self.min_count] = 0
        kept = counts[raw.cells] > 0
        into = np.arange(n_raw)
        if counts.min() < self.min_count:
            positions = means_of(places, raw.cells, n_raw, rule.anchors)
            into = merge_small_cells(counts, unit_vectors(positions), rule.families, self.min_count)
        remaining, class_of_raw = np.unique(into, return_inverse=True)
        seen, raw_cells = (places, raw.cells) if kept.all() else (places[kept], raw.cells[kept])
        classes = class_of_raw[raw_cells]
        centroids, radius_km = self._centroids(rule, remaining, seen, classes)
        fitted_on["n_fallback"] = int((raw.fallback | ~kept).sum())
        fitted_on["n_dropped"] = int((~kept).sum())
        return Partition(
            kind=self.kind,
            names=tuple(rule.names[i] for i in remaining),
            labels=tuple(rule.labels[i] for i in remaining),
            centroids=centroids,
            counts=np.bincount(classes, minlength=len(remaining)),
            radius_km=radius_km,
            parameters=self.parameters,
            fitted_on=fitted_on,
            rule=rule,
            class_of_raw=class_of_raw,
            unseen_raw=counts == 0,
            made_by=type(self),
        )

    def _centroids(self, rule: Rule, remaining: Ints, places: Floats, classes: Ints) -> tuple[Floats, Floats]:
        """Return the (C, 2) centroids by the chosen rule, and the (C,) km to the farthest location."""
        vectors = unit_vectors(places)
        if self.centroid == "mean":
            centroids = means_of(places, classes, len(remaining), vectors=vectors)
        elif self.centroid == "medoid":
            centroids = medoids_of(places, classes, len(remaining))
        else:
            centroids = np.asarray(rule.centres)[remaining]
        return centroids, radius_of(places, classes, centroids, vectors)

    def _error(self, text: str) -> ValueError:
        return ValueError(sentence(f"{type(self).__name__}: {text}"))

    def _require_int(self, name: str, low: int, high: int | None = None) -> None:
        value = getattr(self, name)
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if not whole or value < low or (high is not None and value > high):
            allowed = f"an integer of at least {low}" if high is None else f"an integer in [{low}, {high}]"
            raise self._error(f"{name} must be {allowed}, got {value!r}.")
        object.__setattr__(self, name, int(value))

    def _require_one_of(self, name: str, allowed: Sequence[str]) -> None:
        value = getattr(self, name)
        if value not in allowed:
            raise self._error(f"{name} must be one of {', '.join(allowed)}, got {value!r}.")


def sorted_places(latlon: Floats) -> Floats:
    """Return (P, 2) degrees sorted by latitude, then longitude, which is the order of complex numbers."""
    return np.sort(np.ascontiguousarray(latlon).view(np.complex128), axis=0).view(np.float64)


def places_sha256(latlon: Floats) -> str:
    """Return the hash of (P, 2) validated degrees that `fitted_on` records; it does not depend on their order."""
    return _sorted_sha256(sorted_places(canonical_latlon(latlon)))


def _sorted_sha256(places: Floats) -> str:
    """Return the hash of (P, 2) canonical degrees that are sorted."""
    return hashlib.sha256(places.astype("<f8", copy=False).data).hexdigest()
