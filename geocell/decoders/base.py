"""What every decoder is: a name and parameters, prepared once for a partition, then called with posteriors.

A score depends on the decoder as much as on the head, so every score says which one it used. `geocell.decoders.table`
lists the decoders of this package.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.geo.geodesy import Floats

if TYPE_CHECKING:
    from geocell.features.locations import Locations
    from geocell.features.neighbours import NeighbourIndex
    from geocell.features.training_places import TrainingPlaces

Need = Literal["offsets", "features", "neighbours", "shares", "train", "places"]
NEEDS: Mapping[Need, str] = {
    "offsets": "offsets above 0: fit a head with offsets 1, say",
    "features": "the features of the locations: decode with a head",
    "shares": "the shares that a head reaches: calibrate it with `geocell calibrate`, or write balscore:W25,W200,W750",
    "neighbours": "an index of training features: `geocell calibrate … --knn` writes one beside a head",
    "places": "training places: `geocell calibrate … --places` writes them beside a head",
    "train": "training locations: prepare it with them in Python",
}
"""What a decoder may need beside the centroids -> how to get it."""

LocationFunction = Callable[[NDArray[np.float32], "LocationData"], Floats]
"""From (P, C) probabilities, and what else is known of the P locations, to (P, 2) degrees."""


def decoder_label(spec: str) -> str:
    """Return a decoder as a reader wants it: parameters that were fitted have more digits than anybody reads."""
    return re.sub(r"\d+\.\d+", lambda number: f"{float(number[0]):.3g}", spec)


@dataclass(frozen=True, eq=False)
class PartitionData:
    """What a decoder is prepared with.

    Attributes:
        centroids: (C, 2) degrees.
        train: the training locations with their features, for decoders that need them.
        shares: radius in km -> share of validation locations that the head answers within it, of a calibrated head.
        neighbours: the index of training features, likewise.
        places: training places of every cell, likewise; those of the index where there are none.
    """

    centroids: Floats
    train: Locations | None = None
    shares: Mapping[int, float] | None = None
    neighbours: NeighbourIndex | None = None
    places: TrainingPlaces | None = None

    @property
    def provided(self) -> frozenset[Need]:
        """What a decoder may need that is here."""
        given: dict[Need, object] = {
            "train": self.train,
            "neighbours": self.neighbours,
            "shares": self.shares,
            "places": self.places if self.places is not None else self.neighbours,
        }
        return frozenset(need for need, value in given.items() if value is not None)

    def training_places(self) -> TrainingPlaces:
        """Return the training places.

        Raises:
            ValueError: when there are none, nor an index that has them.
        """
        if self.places is not None:
            return self.places
        if self.neighbours is None:
            raise ValueError(f"training places as candidates need {NEEDS['places']}.")
        return self.neighbours.places


@dataclass(frozen=True, eq=False)
class LocationData:
    """What is known of P locations beside their posterior; computed only where a decoder asks for it.

    Attributes:
        offsets_km: returns for one cell per location, (P,), the (P, 2) offset from its centroid, km east and north.
        features: returns the (P, D) features.
    """

    offsets_km: Callable[[NDArray[np.int64]], Floats] | None = None
    features: Callable[[], NDArray[np.float32]] | None = None


@dataclass(frozen=True)
class Decoder(ABC):
    """A rule that makes one point of a posterior. A subclass is a frozen dataclass whose fields are its parameters.

    Attributes:
        name: what flags, recipes and scores call it.
        summary: one line of help.
        needs: what it needs beside the centroids.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    needs: ClassVar[frozenset[Need]] = frozenset()

    @abstractmethod
    def points(self, data: PartitionData) -> LocationFunction:
        """Return the function from posteriors to points, after all work that is the same for every location."""

    @property
    def needed(self) -> frozenset[Need]:
        """What it needs with these parameters."""
        return self.needs

    @property
    def spec(self) -> str:
        """Name and parameters, as `parse` reads them: `within:200,places=8`; those that have their defaults left out.

        Positional parameters are written all or, where all have their defaults, not at all.
        """
        positional, named = _parameters(type(self))
        texts = [_exact(getattr(self, parameter.name)) for parameter in positional]
        if all(getattr(self, parameter.name) == parameter.default for parameter in positional):
            texts = []
        changed = [p.name for p in named.values() if getattr(self, p.name) != p.default]
        texts += [f"{name}={_exact(getattr(self, name))}" for name in changed]
        return f"{self.name}:{','.join(texts)}" if texts else self.name

    @classmethod
    def usage(cls) -> str:
        """Return how it is written: `within:RADIUS_KM,[places=N]`, with parameters that have a default in brackets."""
        positional, named = _parameters(cls)
        words = [p.name.upper() if p.default is MISSING else f"[{p.name.upper()}]" for p in positional]
        words += [f"[{name}={'N' if _is_whole(parameter) else 'X'}]" for name, parameter in named.items()]
        return f"{cls.name}:{','.join(words)}" if words else cls.name

    @classmethod
    def parse(cls, parameters: str) -> Self:
        """Return the decoder with comma-separated parameters, "" for none; keyword-only fields are written `name=3`.

        Raises:
            ValueError: for a parameter that is missing, too many, twice, not a number, or out of range.
        """
        texts = parameters.split(",") if parameters else []
        positional, named = _parameters(cls)
        given = [text.partition("=") for text in texts]
        plain = [text for text, equals, _ in given if not equals]
        names = [name for name, equals, _ in given if equals]
        required = [p for p in positional if p.default is MISSING]
        in_order = not any(equals for _, equals, _ in given[: len(plain)])
        if not (len(required) <= len(plain) <= len(positional) and in_order):
            raise ValueError(f"decode {cls.name} must be written {cls.usage()}, got {len(plain)} parameters.")
        if not set(names) <= named.keys() or len(set(names)) < len(names):
            raise ValueError(f"decode {cls.name} must be written {cls.usage()}, got {','.join(names)}=.")
        pairs = [*zip(positional, plain, strict=False)]  # those left out have a default
        pairs += [(named[name], text) for name, equals, text in given if equals]
        return cls(**{parameter.name: cls._number(parameter, text) for parameter, text in pairs})

    @classmethod
    def _number(cls, parameter: Field[Any], text: str) -> float:
        try:
            return (int if _is_whole(parameter) else float)(text)
        except ValueError:
            raise ValueError(
                f"decode {cls.name} must be written {cls.usage()} with numbers, got {text!r} as {parameter.name}."
            ) from None

    def require(self, provided: frozenset[Need]) -> None:
        """Raise ValueError, with the next step, unless everything that the decoder needs is provided."""
        for need in sorted(self.needed - provided):
            raise ValueError(f"decode {self.spec} needs {NEEDS[need]}; or decode by centroid.")

    def prepare(self, data: PartitionData) -> PreparedDecoder:
        """Do all work that is the same for every location.

        Raises:
            ValueError: when it needs training locations, their index, their places or shares, and there are none.
        """
        self.require(data.provided | {"offsets", "features"})
        centroids = np.asarray(data.centroids, dtype=np.float64)
        if centroids.ndim != 2 or centroids.shape[1] != 2 or len(centroids) == 0:
            raise ValueError(f"decode needs centroids (C, 2) of at least one cell, got {centroids.shape}.")
        function = self.points(replace(data, centroids=centroids))
        return PreparedDecoder(self, centroids, function)


def _parameters(kind: type[Decoder]) -> tuple[list[Field[Any]], dict[str, Field[Any]]]:
    """Return the positional parameters of a decoder, in order, and those that are written with their names."""
    return [p for p in fields(kind) if not p.kw_only], {p.name: p for p in fields(kind) if p.kw_only}


def _is_whole(parameter: Field[Any]) -> bool:
    return parameter.type in {"int", int}


def _exact(value: object) -> str:
    """Return a number as `parse` reads it back: 200.0 as 200, others with all their digits."""
    return repr(float(value)).removesuffix(".0") if isinstance(value, float) else str(value)


@dataclass(frozen=True, eq=False)
class PreparedDecoder:
    """A decoder for one partition.

    Attributes:
        decoder: its name and parameters.
        centroids: (C, 2) degrees of the cells that it was prepared for.
    """

    decoder: Decoder
    centroids: Floats = field(repr=False)
    _function: LocationFunction = field(repr=False)

    @property
    def n_cells(self) -> int:
        """C."""
        return len(self.centroids)

    def require_cells(self, centroids: Floats) -> None:
        """Raise ValueError unless it was prepared for cells with these (C, 2) centroids."""
        if self.n_cells != len(centroids):
            raise ValueError(
                f"decode {self.decoder.spec} was prepared for {self.n_cells:,} cells, got {len(centroids):,}: prepare "
                "it for the cells of the head."
            )
        if self.centroids is not centroids and not np.array_equal(self.centroids, centroids):
            raise ValueError(
                f"decode {self.decoder.spec} was prepared for other cells, of which there are {self.n_cells:,} too: "
                "prepare it for the cells of the head."
            )

    def __call__(self, posterior: ArrayLike, locations: LocationData = LocationData()) -> Floats:
        """Return one point per location.

        Args:
            posterior: (P, C) probabilities.
            locations: what else is known of the P locations.

        Returns:
            (P, 2) float64 degrees.

        Raises:
            ValueError: for a posterior of another shape, or one that is not finite, or when `locations` lacks what
                the decoder needs.
        """
        p = np.asarray(posterior)
        if p.ndim != 2 or p.shape[1] != self.n_cells:
            raise ValueError(
                f"decode needs a posterior (P, C) and centroids (C, 2) of one partition, got {p.shape} and "
                f"{(self.n_cells, 2)}."
            )
        broken = ~np.isfinite(p).all(axis=1)
        if broken.any():
            raise ValueError(
                f"decode needs finite probabilities, got NaN or infinity for {int(broken.sum())} of {len(p)} "
                "locations: the features of these, or the weights of the head, are too large for float32."
            )
        known: dict[Need, object] = {"offsets": locations.offsets_km, "features": locations.features}
        lacking = {need for need, value in known.items() if value is None}
        self.decoder.require(frozenset(NEEDS) - lacking)
        return self._function(p, locations)
