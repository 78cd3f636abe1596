"""Posteriors over different cells as one: their mass on the same candidates, pooled linearly or log-linearly."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from geocell.features.neighbours import NeighbourIndex
from geocell.files import require_types

Rule = Literal["linear", "log"]
RULES: tuple[str, ...] = get_args(Rule)

MAX_NEIGHBOURS = 4096

Ints = NDArray[np.int64]
Singles = NDArray[np.float32]

_FLOOR = np.float32(1e-12)  # of a density: a member that is sure of another cell must not veto a candidate for good
_TINY = np.float32(1e-30)
_SUM = 1e-6


@dataclass(frozen=True)
class Vote:
    """How the nearest training features vote: each of k for its candidate, with exp(cos / T).

    Attributes:
        temperature: T, above 0.
        share: of the pooled probabilities without the vote, from 0 to 1; see `voted`.
        k: neighbours, up to 4,096.
    """

    temperature: float = 0.08
    share: float = 0.5
    k: int = 256

    def __post_init__(self) -> None:
        """Check the ranges."""
        in_range = math.isfinite(self.temperature) and self.temperature > 0 and 0 <= self.share <= 1
        if not in_range or not 1 <= self.k <= MAX_NEIGHBOURS:
            raise ValueError(
                f"a vote needs a temperature above 0, a share from 0 to 1 and k from 1 to {MAX_NEIGHBOURS}, got "
                f"{self.temperature:g}, {self.share:g} and {self.k}."
            )


@dataclass(frozen=True)
class Pooling:
    """How the parts of a combination are pooled.

    With the weights w_m of the members, and p_m their mass on a candidate that stands for n training places:
    ``Σ_m w_m p_m`` (linear, Stone 1961), or ``n Π_m (p_m / n)^w_m``, normalised (log-linear, Genest and Zidek 1986).

    Attributes:
        rule: linear or log.
        weights: of each member, from 0 on, of sum 1.
        vote: of the nearest training features, None where they have none.
    """

    rule: Rule
    weights: tuple[float, ...]
    vote: Vote | None = None

    def __post_init__(self) -> None:
        """Check that it is one."""
        if self.rule not in RULES:
            raise ValueError(f"pool must be one of {', '.join(RULES)}, got {self.rule!r}.")
        total = sum(self.weights)
        if not all(0 <= weight <= 1 + _SUM for weight in self.weights) or not abs(total - 1) <= _SUM:
            raise ValueError(
                f"weights must be from 0 to 1 and sum to 1, got {', '.join(f'{weight:g}' for weight in self.weights)}."
            )

    @classmethod
    def equal(cls, n_members: int, rule: Rule = "linear", vote: Vote | None = None) -> Pooling:
        """Return the pooling in which every member has the same weight."""
        return cls(rule, (1 / n_members,) * n_members, vote)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "pool": self.rule,
            "weights": list(self.weights),
            "knn": None if self.vote is None else asdict(self.vote),
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any], where: str) -> Pooling:
        """Read the JSON form; `where` names its place in an error message.

        Raises:
            ValueError: when it is something else.
        """
        require_types(value, {"pool": str, "weights": list, "knn": (dict, type(None))}, where)
        weights = {str(number): weight for number, weight in enumerate(value["weights"])}
        require_types(weights, dict.fromkeys(weights, float), f"{where} weights")
        knn = value["knn"]
        if knn is not None:
            require_types(knn, {"temperature": float, "share": float, "k": int}, f"{where} knn")
        vote = None if knn is None else Vote(float(knn["temperature"]), float(knn["share"]), knn["k"])
        return cls(value["pool"], tuple(map(float, value["weights"])), vote)


@dataclass(frozen=True, eq=False)
class Spread:
    """How the probabilities of one member's C cells fall on K candidates.

    The mass of a cell is spread evenly over the training places in it. A cell without any gives its mass to one
    candidate, the nearest, so that none is lost.

    Attributes:
        cells: (K,) cell of each candidate.
        shares: (K,) float32, of the cell's mass.
        stray_cells: (S,) cells without a candidate.
        stray_candidates: (S,) who gets their mass.
    """

    cells: Ints
    shares: Singles
    stray_cells: Ints
    stray_candidates: Ints

    @classmethod
    def of(cls, cells: Ints, places: Ints, n_cells: int, nearest: Ints) -> Spread:
        """Return the spread over candidates.

        Args:
            cells: (K,) cell of each candidate.
            places: (K,) training places that each stands for.
            n_cells: C.
            nearest: (C,) nearest candidate of each cell.
        """
        totals = np.bincount(cells, weights=places, minlength=n_cells)
        stray = np.flatnonzero(totals == 0)
        return cls(cells, (places / totals[cells]).astype(np.float32), stray, nearest[stray])

    def __call__(self, posterior: Singles) -> Singles:
        """Return the (P, K) mass of (P, C) probabilities; rows keep their sum."""
        mass = posterior[:, self.cells] * self.shares
        for cell, candidate in zip(self.stray_cells.tolist(), self.stray_candidates.tolist(), strict=True):
            mass[:, candidate] += posterior[:, cell]
        return np.asarray(mass, dtype=np.float32)


def vote_weights(index: NeighbourIndex, nearest: tuple[Ints, Singles], temperature: float, places: Ints) -> Singles:
    """Return what the training features say of each candidate: the sum of exp(cos / T) over its locations, per place.

    A location that is none of the k nearest counts like the k-th, which is at least as near: no candidate is ruled out.

    Args:
        index: N training features whose cells are the candidates.
        nearest: what `index.nearest` returned for P locations: (P, k) training locations and their cosines.
        temperature: T.
        places: (K,) training places that each candidate stands for.

    Returns:
        (P, K) float32, the nearest location having 1.
    """
    found, cosines = nearest
    power = np.exp((cosines - cosines[:, :1]) / np.float32(temperature))
    least = power[:, -1:]
    weights = least * np.bincount(index.cells, minlength=len(places)).astype(np.float32)
    np.add.at(weights, (np.arange(len(weights))[:, None], index.cells[found]), power - least)
    return np.asarray(weights / places.astype(np.float32))


def voted(posterior: Singles, weights: Singles, share: float) -> Singles:
    """Return the mixture of a pooled posterior and of its product with a vote, as the decoder `knn` takes it.

    ``s p + (1 - s) p v / Σ p v``, where p is the posterior, v the vote and s the share; p where all products underflow.

    Args:
        posterior: (P, K) with rows of sum 1.
        weights: (P, K) of `vote_weights`.
        share: s.
    """
    near = posterior * weights
    total = near.sum(axis=1, keepdims=True)
    near = np.where(total > _TINY, near / np.maximum(total, _TINY), posterior)
    return np.asarray(np.float32(share) * posterior + np.float32(1 - share) * near, dtype=np.float32)


def pooled(parts: Iterable[tuple[Singles, float]], places: Ints, rule: Rule) -> Singles:
    """Return the (P, K) pool of the masses of parts; see `Pooling`.

    Args:
        parts: of each its (P, K) mass, with rows of sum 1, and its weight; weights sum to 1.
        places: (K,) training places of each candidate.
        rule: linear or log.
    """
    n = places.astype(np.float32)
    total: Singles | None = None
    for mass, weight in parts:
        term = mass if rule == "linear" else np.log(np.maximum(mass / n, _FLOOR))
        total = np.float32(weight) * term if total is None else total + np.float32(weight) * term
    if total is None:
        raise ValueError("a pool needs at least one part, got none.")
    if rule == "log":
        total = np.exp(total - total.max(axis=1, keepdims=True)) * n
    return np.asarray(total / total.sum(axis=1, keepdims=True), dtype=np.float32)
