"""Heads combined: which candidates, rule, weights and vote, chosen on validation locations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.decoders.balscore import SHARE_RADII_KM
from geocell.encoders.joined import joined_info
from geocell.evaluation.calibrate import LEAST, calibrate
from geocell.features.locations import require_locations
from geocell.features.neighbours import NeighbourIndex
from geocell.geo.geodesy import Floats
from geocell.heads.candidates import CandidateRule, make_candidates
from geocell.heads.combination import Combination, require_members
from geocell.heads.combination_folder import Member, encoders_of
from geocell.heads.head import Head
from geocell.heads.neighbours import SHARES, TEMPERATURES
from geocell.heads.pooling import RULES, Pooling, Rule, Vote, pooled, vote_weights, voted
from geocell.heads.trained_on import TrainedOn, count_trained_on, joined_training, location_keys, locations_sha256
from geocell.splits.splits import UNKNOWN_PROTOCOL
from geocell.uncertainty.nearness import Nearness

if TYPE_CHECKING:
    from geocell.decoders.table import AnyDecoder
    from geocell.features.locations import Locations

_STEPS = 200
_MOST = 1 << 25  # probabilities of all members that are kept for the choice: 128 MiB of float32
_FLOOR = 1e-6  # of the probability within a radius: one location that no member places must not decide

Singles = NDArray[np.float32]


def combine(  # noqa: PLR0913 - what is combined, and what is known beforehand
    heads: Sequence[Member],
    train: Locations | None = None,
    val: Locations | None = None,
    *,
    pool: Rule | None = None,
    candidates: CandidateRule = "auto",
    knn: bool = False,
    pooling: Pooling | None = None,
    decode: AnyDecoder = "balscore",
    split: str = "",
    protocol: str = UNKNOWN_PROTOCOL,
    device: str = "auto",
    allow_training: bool = False,
) -> Combination:
    """Return heads of several partitions or seeds, or zero-shot classifiers, as one that answers like a head.

    Their posteriors are pooled on candidates that all share, the training places or pieces of the cells. Weights, rule
    and the vote of the nearest training features maximise, on validation locations, the mean over 25, 200 and 750 km of
    the log of the probability within that radius of the truth, whose weighted shares make balscore. Then the pool is
    calibrated on the same locations, so radii are a little small. Without validation locations weights are equal and
    nothing is calibrated.

    Args:
        heads: from two on; each with the temperature of its own calibration, where it has one. The probability of a
            city of a zero-shot classifier is spread over the training places that are nearest to it. Locations for
            heads of different encoders are those of a cache that `geocell.features.join_caches` made.
        train: training locations of all of them, for the candidates and the vote.
        val: P >= 20 validation locations that no head was trained on.
        pool: linear or log; chosen on the validation locations when omitted, linear without these.
        candidates: see `geocell.heads.candidates.make_candidates`.
        knn: whether the nearest training features vote.
        pooling: rule, weights and vote that are known, from an earlier combination say: nothing is chosen then.
        decode: the decoder that the combination is calibrated for.
        split: name of the split that the validation locations are, for the record.
        protocol: how the splits were drawn, for the record.
        device: where the heads compute.
        allow_training: whether validation locations that a head was trained on are meant.

    Raises:
        ValueError: for fewer than two heads, heads of different encoders, features of another one, too few validation
            locations or some that a head was trained on, and what the candidates or the decoder need and is not there.
    """
    members = tuple(heads)
    require_members(members)
    for what, locations in (("training", train), ("validation", val)):
        if locations is not None:
            require_locations(locations, f"the {what} locations of a combination")
            _require_features(members, locations, what)
    if pooling is not None and (pool is not None or len(pooling.weights) != len(members)):
        raise ValueError(
            f"a pooling that is known has its rule and a weight for each head, got {len(pooling.weights)} weights for "
            f"{len(members)} heads{'' if pool is None else f', and the rule {pool}'}: leave out pool, or the pooling."
        )
    if pool is not None and pool not in RULES:
        raise ValueError(f"pool must be one of {', '.join(RULES)}, got {pool!r}.")
    votes = knn or (pooling is not None and pooling.vote is not None)
    if votes and train is None:
        raise ValueError("the nearest training features vote only where there are some: pass training locations.")
    known = joined_training([*(head.trained_on for head in members if isinstance(head, Head)), *_keys(train)])
    if val is not None:
        _require_for_choice(known, val, allow_training)
    found = make_candidates([head.partition for head in members], None if train is None else train.latlon, candidates)
    usual = pooling or Pooling.equal(len(members), pool or "linear", Vote() if votes else None)
    combination = Combination(
        members,
        found.partition,
        found.cells,
        found.places,
        replace(usual, vote=None),
        trained_on=known,
        record={"candidates": found.partition.parameters.get("candidates", "cells")},
    )
    if votes and train is not None:
        features = combination.vote_features(train)
        index = NeighbourIndex.of_cells(combination, features, train.latlon, found.train)
        combination = replace(combination, pooling=usual, neighbours=index)
    if val is None:
        return combination
    if all(isinstance(head, Head) and head.config.fusion == "feature" for head in members):
        val = val.pooled()  # once, instead of by every member, three times
    chosen = {}
    if pooling is None:
        choice = choose_pooling(combination, val, pool, device)
        kept = None if choice.pooling.vote is None else combination.neighbours
        combination = replace(combination, pooling=choice.pooling, neighbours=kept)
        chosen = {"gain": choice.gain, "tried": choice.tried}
    record = {
        **combination.record,
        "split": split,
        "protocol": protocol,
        "locations_sha256": locations_sha256(val),
        "n_locations": len(val),
        "date": datetime.now(UTC).date().isoformat(),
        **chosen,
    }
    combination = replace(combination, record=record)
    learned = calibrate(combination, val, decode, split, device, protocol=protocol, allow_training=allow_training)
    return replace(combination, calibration=learned)


def _keys(train: Locations | None) -> list[TrainedOn]:
    return [] if train is None else [TrainedOn(location_keys(train))]


def _require_for_choice(known: TrainedOn | None, val: Locations, allow_training: bool) -> None:
    if len(val) < LEAST:
        raise ValueError(
            f"weights are chosen on at least {LEAST} validation locations, got {len(val)}: name a larger split, or "
            "leave it out for equal weights."
        )
    n = count_trained_on(known, val)
    if n and not allow_training:
        raise ValueError(
            f"{n:,} of the {len(val):,} validation locations are training locations of a head: choose weights on a "
            "split that none was trained on."
        )


def _require_features(heads: tuple[Member, ...], locations: Locations, what: str) -> None:
    """Refuse locations without the features of every head."""
    encoders = encoders_of(heads)
    if len(encoders) == 1:
        encoders[0].require_same(locations.encoder, "the heads", f"the {what} locations")
        return
    joined = joined_info(encoders)
    try:
        joined.require_same(locations.encoder, "the heads", f"the {what} locations")
    except ValueError as error:
        raise ValueError(
            f"the heads are of {len(encoders)} encoders, {joined.name}, and the {what} locations have features of "
            f"{locations.encoder.name}: join the caches of all of them with `geocell cache join`, and pass that one."
        ) from error


@dataclass(frozen=True)
class Choice:
    """A pooling, and what it is worth on the locations that it was chosen on.

    Attributes:
        pooling: rule, weights and vote.
        gain: nats of the objective over equal weights, the linear rule and no vote.
        tried: one row of rule, temperature and share, with its objective, per combination of these.
    """

    pooling: Pooling
    gain: float
    tried: list[dict[str, Any]]


def choose_pooling(combination: Combination, val: Locations, pool: Rule | None, device: str) -> Choice:
    """Return the pooling with the largest objective on validation locations; see `combine`.

    The weights of each rule are fitted first, then temperature and share of the vote are tried. Every pool is taken at
    the best of a few temperatures of its own, since it is calibrated afterwards.

    Args:
        combination: whose rule, weights and vote are not used, but for the k of the vote.
        val: P >= 1 validation locations.
        pool: linear or log; both are tried when omitted.
        device: where the heads compute.
    """
    asked = _some(val, len(combination.members) * len(combination.partition))
    masses = combination.member_masses(asked, device)
    near = Nearness.of(combination.partition.centroids, asked.latlon, SHARE_RADII_KM)
    n = len(combination.members)
    start = near.at_best(pooled(((mass, 1 / n) for mass in masses), combination.places, "linear"))
    weights = _vote_weights(combination, asked)
    tried: list[dict[str, Any]] = []
    best: tuple[float, Pooling] | None = None
    rules: Sequence[Rule] = ("linear", "log") if pool is None else (pool,)
    for rule in rules:
        members = fit_weights(masses, near, combination.places, rule)
        base = pooled(zip(masses, members, strict=True), combination.places, rule)
        for vote in _votes(combination.pooling.vote):
            posterior = base if vote is None else voted(base, weights[vote.temperature], vote.share)
            value = near.at_best(posterior)
            numbers = {} if vote is None else {"temperature": vote.temperature, "share": vote.share}
            tried.append({"pool": rule, **numbers, "objective": value})
            if best is None or value > best[0] + 1e-9:
                best = value, Pooling(rule, members, vote)
    if best is None:
        raise ValueError("no pooling was tried.")
    return Choice(best[1], best[0] - start, tried)


def fit_weights(masses: Sequence[Singles], near: Nearness, places: NDArray[np.int64], rule: Rule) -> tuple[float, ...]:
    """Return the weights of members with the largest mean log of the probability within the radii of the truth.

    Of the linear rule by expectation maximisation, which only ever rises to the one optimum; of the log-linear one by
    its gradient. A Dirichlet prior counts as one location more for each member, so that few locations leave no member
    out.

    Args:
        masses: of each of M members, (P, K) with rows of sum 1.
        near: which candidates are near the truth.
        places: (K,) training places of each candidate.
        rule: linear or log.

    Returns:
        M weights of sum 1.
    """
    found = _linear_weights(masses, near) if rule == "linear" else _log_weights(masses, near, places)
    weights = np.maximum(found, 0.0)
    return tuple((weights / weights.sum()).tolist())


def _linear_weights(masses: Sequence[Singles], near: Nearness) -> Floats:
    within = np.maximum(np.stack([near.masses(mass) for mass in masses]), _FLOOR)[:, near.reachable]  # (M, n)
    n = len(SHARE_RADII_KM)
    weights = np.full(len(masses), 1 / len(masses))
    for _ in range(_STEPS):
        shares = weights[:, None] * within
        counts = (shares / shares.sum(axis=0)).sum(axis=1) / n + 1.0
        weights = counts / counts.sum()
    return weights


def _log_weights(masses: Sequence[Singles], near: Nearness, places: NDArray[np.int64]) -> Floats:
    from scipy.optimize import minimize

    n = places.astype(np.float32)
    logs = [np.log(np.maximum(mass / n, np.float32(1e-12))) for mass in masses]
    reachable = near.reachable
    n_locations = len(masses[0])

    def loss(theta: Floats) -> tuple[float, Floats]:
        weights = np.exp(theta - theta.max())
        weights /= weights.sum()
        p = pooled(zip(masses, weights.tolist(), strict=True), places, "log")
        within = np.maximum(near.masses(p), _FLOOR)
        value = np.log(within)[reachable].sum() / len(within) + np.log(weights).sum()
        gradient = np.empty(len(masses))
        for m, log in enumerate(logs):
            weighted = p * log
            inside = near.masses(weighted) / within - weighted.sum(axis=1, dtype=np.float64)
            gradient[m] = inside[reachable].sum() / len(within) + 1 / weights[m]
        along = weights * (gradient - (weights * gradient).sum())  # of the softmax
        return -value / n_locations, -along / n_locations

    found = minimize(loss, np.zeros(len(masses)), jac=True, method="L-BFGS-B", options={"maxiter": _STEPS})
    weights = np.exp(found.x - found.x.max())
    return np.asarray(weights / weights.sum())


def _vote_weights(combination: Combination, asked: Locations) -> dict[float, Singles]:
    """Return temperature -> the weights of the candidates by it, of one search; empty where no features vote."""
    index, vote = combination.neighbours, combination.pooling.vote
    if index is None or vote is None:
        return {}
    nearest = index.nearest(combination.vote_features(asked), vote.k)
    return {temperature: vote_weights(index, nearest, temperature, combination.places) for temperature in TEMPERATURES}


def _votes(vote: Vote | None) -> list[Vote | None]:
    if vote is None:
        return [None]
    return [None, *(Vote(temperature, share, vote.k) for temperature, share in product(TEMPERATURES, SHARES))]


def _some(val: Locations, per_location: int) -> Locations:
    """Return as many of the locations, drawn at random, as their probabilities fit into memory."""
    most = max(LEAST, _MOST // per_location)
    if len(val) <= most:
        return val
    return val.take(np.sort(np.random.default_rng(0).choice(len(val), most, replace=False)))
