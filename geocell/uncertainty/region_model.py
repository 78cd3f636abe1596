"""The region of a head: how unlike its photographs a location is, and from where on that is said."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.encoders.info import EncoderInfo
from geocell.features.locations import Locations, require_locations
from geocell.files import FORMAT, canonical_json, missing, parse_json, reading, require_types, write_bytes
from geocell.uncertainty.moments import streamed_moments
from geocell.uncertainty.out_of_region import Singles, angle_to_subspace, principal_components

REGION_FILE = "region.safetensors"
VARIANCE = 0.9
"""Share of the variance of training features that the principal subspace holds; 0.8 to 0.95 do alike."""

FALSE_ALARMS = 0.05
"""Share of locations of the region that may be flagged."""

LEAST_TRAINING = 20
"""Fewest training locations of a principal subspace."""

_MOST_KNOWN = 4096  # scores that are kept, evenly spaced among the sorted ones of more validation locations
_CHUNK = 2048  # locations whose features are in memory at once
_MAX_TEXT = 1 << 16
_ORTHONORMAL = 1e-3
_ALIKE = 1e-6
_TENSORS = ("mean", "components", "standard", "known")
_FACTS: dict[str, type | tuple[type, ...]] = {"false_alarms": float, "variance": float, "n_train": int, "n_val": int}
_TYPES: dict[str, type | tuple[type, ...]] = {"format": int, "encoder": dict, **_FACTS}


@dataclass(frozen=True, eq=False, repr=False)
class RegionModel:
    """Which locations are like those of a head's region.

    The score of a location is the sum of two numbers, each less its mean and over its standard deviation on validation
    locations: the sine of the angle between its feature, the mean over its views less the mean of the training
    features, and their principal subspace; and the entropy of its posterior before any temperature. (ViM, Wang et al.
    2022, joins a residual and logits, too.) Scores of validation locations say how often one of the region is as
    unlike. It holds no coordinates. `geocell.heads.region` makes it for a head.

    Attributes:
        mean: (D,) float32 mean training feature.
        components: (K, D) float32 orthonormal rows, K < D.
        standard: (2, 2) float32 mean and standard deviation of the angle, and those of the entropy.
        known: (n,) float32 scores of validation locations, ascending.
        false_alarms: share of locations like those of the validation that is flagged.
        encoder: whose features they are.
        variance: share of the variance that the components hold, as asked for.
        n_train: number of training locations.
        n_val: number of validation locations.
    """

    mean: Singles
    components: Singles
    standard: Singles
    known: Singles
    false_alarms: float
    encoder: EncoderInfo
    variance: float
    n_train: int
    n_val: int

    def __post_init__(self) -> None:
        """Check that the parts belong together."""
        dim = self.encoder.dim
        k = len(self.components)
        shapes = (self.mean.shape, self.components.shape, self.standard.shape, self.known.shape)
        if shapes != ((dim,), (k, dim), (2, 2), (len(self.known),)) or not 0 < k < dim or len(self.known) == 0:
            raise ValueError(
                f"a region needs a mean ({dim},), components (K, {dim}) with 0 < K < {dim}, (2, 2) means and "
                f"deviations and scores (n,), got {', '.join(map(str, shapes))}."
            )
        if not all(np.isfinite(part).all() for part in (self.mean, self.components, self.standard, self.known)):
            raise ValueError("a region needs finite numbers, got NaN or infinity.")
        if np.abs(self.components @ self.components.T - np.eye(k)).max() > _ORTHONORMAL:
            raise ValueError("the components of a region must be orthonormal.")
        if (np.diff(self.known) < 0).any() or (self.standard[:, 1] < 0).any():
            raise ValueError("the scores of a region must rise, and its deviations be from 0 on.")
        require_false_alarms(self.false_alarms, len(self.known))
        if not 0 < self.variance < 1 or self.n_train < 1 or self.n_val < len(self.known):
            raise ValueError(
                "a region needs a share of the variance between 0 and 1 and the numbers of its locations, got "
                f"{self.variance:g}, {self.n_train} and {self.n_val}."
            )

    def __repr__(self) -> str:
        """Return its size and its rate of false alarms."""
        return (
            f"<RegionModel: {len(self.components)} of {len(self.mean)} dimensions, {self.n_train:,} locations, "
            f"{100 * self.false_alarms:g} % false alarms>"
        )

    @classmethod
    def from_locations(
        cls,
        train: Locations,
        val: Locations,
        entropies: ArrayLike,
        *,
        false_alarms: float = FALSE_ALARMS,
        variance: float = VARIANCE,
    ) -> RegionModel:
        """Return the region of training locations, with its threshold by validation locations.

        Training features are read in pieces: memory is one (D, D) matrix and a piece, however many there are.

        Args:
            train: training locations of a head.
            val: locations that it was not trained on, like those of its region that it will be asked about.
            entropies: (n,) entropy in nats of the head's posterior of each of `val`, before any temperature.
            false_alarms: share of these that may be flagged, between 0 and 1.
            variance: share of the variance of training features that the subspace holds.

        Raises:
            ValueError: for too few locations, features of different encoders, not finite or all alike, or shares that
                are none.
        """
        require_locations(train, "the training locations of a region")
        require_locations(val, "the validation locations of a region")
        train.encoder.require_same(val.encoder, "the training locations", "the validation locations")
        if len(train) < LEAST_TRAINING or train.dim < 2:
            raise ValueError(
                f"a region needs at least {LEAST_TRAINING} training locations with features of at least 2 dimensions, "
                f"got {len(train)} with {train.dim}: name a split with more."
            )
        require_false_alarms(false_alarms, len(val))
        moments = streamed_moments(_features(train))
        components, mean = principal_components(moments, variance), moments.mean.astype(np.float32)
        angles = np.concatenate([angle_to_subspace(piece, mean, components) for piece in _features(val)])
        both = np.stack((angles, np.asarray(entropies, dtype=np.float64)))
        if not np.isfinite(both).all():
            raise ValueError("a region needs finite features: leave out the locations whose features are NaN.")
        means, deviations = both.mean(axis=1), both.std(axis=1)
        deviations[deviations < _ALIKE * np.abs(means)] = 0.0  # the last digits of numbers that are all alike
        standard = np.stack((means, deviations), axis=1).astype(np.float32)
        known = np.sort(_joined(both, standard))
        if len(known) > _MOST_KNOWN:
            known = known[((np.arange(_MOST_KNOWN) + 0.5) * len(known) / _MOST_KNOWN).astype(np.int64)]
        return cls(mean, components, standard, known, false_alarms, train.encoder, variance, len(train), len(val))

    @property
    def facts(self) -> dict[str, float]:
        """Its numbers: `false_alarms`, `variance`, `n_train`, `n_val`."""
        return {name: getattr(self, name) for name in _FACTS}

    @property
    def threshold(self) -> float:
        """Score above which a location is flagged: the ⌈(n + 1)(1 − false_alarms)⌉-th of the validation scores.

        So a new location like those of the validation is flagged with about that probability (split-conformal; Bates
        et al. 2023, "Testing for outliers with conformal p-values"): "at most" but for the two standard deviations,
        which are of the same locations and raise it by some tenths of a percent where these are 20.
        """
        return float(self.known[_rank(self.false_alarms, len(self.known)) - 1])

    def scores(self, features: ArrayLike, entropies: ArrayLike) -> Singles:
        """Return the (P,) float32 scores of locations: 0 on average in the region, large for those that are unlike it.

        Args:
            features: (P, D) means over the views of each location.
            entropies: (P,) entropy in nats of the head's posterior, before any temperature.

        Raises:
            ValueError: for features of another width or that are not finite.
        """
        asked, spread = np.asarray(features), np.asarray(entropies, dtype=np.float64)
        if asked.ndim != 2 or asked.shape[1] != len(self.mean) or spread.shape != (len(asked),):
            raise ValueError(
                f"a region needs features (P, {len(self.mean)}) and entropies (P,), got {asked.shape} and "
                f"{spread.shape}."
            )
        if not np.isfinite(asked).all() or not np.isfinite(spread).all():
            raise ValueError("a region needs finite features, got NaN or infinity.")
        return _joined(np.stack((angle_to_subspace(asked, self.mean, self.components), spread)), self.standard)

    def flagged(self, scores: ArrayLike) -> NDArray[np.bool_]:
        """Return which of (P,) scores are above the threshold."""
        return np.asarray(np.asarray(scores, dtype=np.float32) > np.float32(self.threshold))

    def share_as_unlike(self, scores: ArrayLike) -> NDArray[np.float64]:
        """Return for (P,) scores how many of the region have at least that: a conformal p-value, above 0."""
        lower = np.searchsorted(self.known, np.asarray(scores, dtype=np.float32), side="left")
        return np.asarray((len(self.known) - lower + 1) / (len(self.known) + 1))

    @cached_property
    def sha256(self) -> str:
        """Hash of everything that flags depend on."""
        digest = hashlib.sha256(f"{self.false_alarms!r}".encode())
        for part in (self.mean, self.components, self.standard, self.known):
            digest.update(f"{part.dtype} {part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()

    def save_into(self, folder: Path) -> None:
        """Write `region.safetensors` into an existing folder."""
        from safetensors.numpy import save

        tensors = {name: np.ascontiguousarray(getattr(self, name)) for name in _TENSORS}
        facts = {"format": FORMAT, "encoder": self.encoder.to_dict(), **self.facts}
        write_bytes(folder / REGION_FILE, [save(tensors, {"region": canonical_json(facts)})])


def read_region(folder: Path, encoder: EncoderInfo | None = None) -> RegionModel:
    """Read `region.safetensors` strictly: names, types and shapes are checked before any tensor is read.

    Args:
        folder: of a head.
        encoder: that of the head, which must be that of the region; not checked when omitted.

    Raises:
        FileNotFoundError: when there is none.
        ValueError: when it is damaged, or of another encoder.
    """
    from safetensors import safe_open

    path = folder / REGION_FILE
    if not path.is_file():
        raise missing(path, "the region of a head")
    with reading(path, "the region of a head"), safe_open(path, framework="numpy") as file:
        facts = _facts((file.metadata() or {}).get("region", ""), path)
        own = EncoderInfo.from_dict(facts["encoder"], f"{path} encoder")
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        _require_layout({name: (tuple(s.get_shape()), s.get_dtype()) for name, s in slices.items()}, own.dim)
    if encoder is not None:
        encoder.require_same(own, "the head", str(path))
    numbers = {name: facts[name] for name in _FACTS}
    with reading(path, "the region of a head"), safe_open(path, framework="numpy") as file:
        return RegionModel(encoder=own, **numbers, **{name: file.get_tensor(name) for name in slices})


def _facts(text: str, path: Path) -> dict[str, Any]:
    """Return the numbers of a region and its encoder, of the text in its file."""
    if len(text) > _MAX_TEXT:
        raise ValueError(f"its description has {len(text):,} characters")
    facts: dict[str, Any] = parse_json(text)
    require_types(facts, _TYPES, str(path))
    if facts["format"] != FORMAT:
        raise ValueError(f"it is of format {facts['format']}, and this version reads format {FORMAT}")
    return facts


def _require_layout(shapes: dict[str, tuple[tuple[int, ...], str]], dim: int) -> None:
    """Raise ValueError unless the tensors of a file are those of a region of D dimensions."""
    k, n = ((*shapes.get(name, ((0,), ""))[0], 0)[0] for name in ("components", "known"))
    expected = {"mean": ((dim,), "F32"), "components": ((k, dim), "F32"), "standard": ((2, 2), "F32")}
    expected["known"] = ((n,), "F32")
    if shapes != expected or not 0 < k < dim or not 0 < n <= _MOST_KNOWN:
        raise ValueError(f"it holds {shapes}")


def _joined(both: NDArray[np.float64], standard: Singles) -> Singles:
    """Return the (P,) sums of (2, P) numbers in their standard deviations; one that never differs counts nothing."""
    means, deviations = standard[:, :1].astype(np.float64), standard[:, 1:].astype(np.float64)
    return np.asarray(((both - means) / np.where(deviations > 0, deviations, np.inf)).sum(axis=0), dtype=np.float32)


def _features(locations: Locations) -> Iterator[Singles]:
    """Yield the mean features of locations, a piece of them at a time."""
    for start in range(0, len(locations), _CHUNK):
        yield locations.take(np.arange(start, min(start + _CHUNK, len(locations)))).mean_features()


def require_false_alarms(false_alarms: float, n: int | None = None) -> None:
    """Raise ValueError unless a share of false alarms is one, and can be told by n validation locations if given."""
    if not 0 < false_alarms < 1:
        raise ValueError(f"false_alarms must be a share between 0 and 1, got {false_alarms:g}: 0.05 is one of twenty.")
    if n is not None and _rank(false_alarms, n) > n:
        needed = math.ceil(round(1 / false_alarms, 9)) - 1
        raise ValueError(
            f"a region with {100 * false_alarms:g} % false alarms needs at least {needed} validation locations, got "
            f"{n}: name a larger split, or allow more false alarms."
        )


def _rank(false_alarms: float, n: int) -> int:
    """Return which of n ascending scores is the threshold, from 1 on; n + 1 where none is."""
    return max(1, math.ceil(round((n + 1) * (1 - false_alarms), 9)))  # 100 · 0.95 is 95, whatever the last digit says
