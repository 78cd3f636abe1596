"""Weights, rule and vote of a combination, chosen on validation locations."""

from dataclasses import replace

import numpy as np
import pytest

from geocell.decoders.balscore import SHARE_RADII_KM
from geocell.evaluation.calibrate import calibrate
from geocell.evaluation.combine import combine, fit_weights
from geocell.evaluation.decoders import compare_decoders
from geocell.evaluation.score import score
from geocell.features.locations import Locations
from geocell.heads.fit_config import FitConfig
from geocell.heads.head import Head
from geocell.heads.pooling import Pooling, pooled
from geocell.heads.trained_on import TrainedOn, location_keys
from geocell.partitioners import KMeansPartitioner
from geocell.prediction.predictions import predict_locations
from geocell.training.fit import fit_head
from geocell.uncertainty.nearness import Nearness
from tests.worlds import make_locations

pytestmark = pytest.mark.usefixtures("one_thread")


def told(n: int, seed: int, noise: float = 0.15) -> Locations:
    """Return locations whose features tell where they are, more or less."""
    rng = np.random.default_rng(seed)
    latlon = np.stack((rng.uniform(45, 50, n), rng.uniform(5, 12, n)), axis=1)
    features = np.concatenate((latlon - latlon.mean(axis=0), rng.normal(size=(n, 4))), axis=1)
    features[:, :2] += rng.normal(0, noise, (n, 2))
    locations = make_locations(latlon, features.astype(np.float16))
    return replace(locations, ids=np.array([f"{seed}-{i}" for i in range(n)], dtype=object))


@pytest.fixture(scope="module")
def fitted() -> list[Head]:
    train = told(250, 1)
    cells = [KMeansPartitioner(k=k, seed=k).fit(train.latlon) for k in (10, 15, 20)]
    return [fit_head(train, None, partition, FitConfig(epochs=8, device="cpu", lr=0.01)) for partition in cells]


def test_weights_are_those_of_a_fine_grid() -> None:
    rng = np.random.default_rng(0)
    candidates, truth = (np.stack((rng.uniform(45, 50, n), rng.uniform(5, 12, n)), axis=1) for n in (40, 30))
    near = Nearness.of(candidates, truth, SHARE_RADII_KM)
    closeness = np.exp(-np.linalg.norm(candidates - truth[:, None], axis=2) / 0.5)
    right = closeness / closeness.sum(axis=1, keepdims=True)
    noisy = rng.dirichlet(np.ones(40), 30)
    masses = [part.astype(np.float32) for part in (right, noisy)]
    places = np.ones(40, dtype=np.int64)
    grid = np.linspace(0.01, 0.99, 99)
    for rule in ("linear", "log"):
        values = []
        for w in grid:
            mass = near.masses(pooled([(masses[0], w), (masses[1], 1 - w)], places, rule))
            logs = np.log(np.maximum(mass, 1e-6))[near.reachable].sum() / len(SHARE_RADII_KM)
            values.append(logs + np.log(w) + np.log(1 - w))  # the prior: one location more for each member
        first, second = fit_weights(masses, near, places, rule)
        assert first == pytest.approx(grid[int(np.argmax(values))], abs=0.02)
        assert first + second == pytest.approx(1.0)
        assert first > 0.8


def test_a_member_that_knows_nothing_gets_little_weight(fitted: list[Head]) -> None:
    blind = replace(
        fitted[0], module=fit_head(told(250, 1), None, fitted[0].partition, FitConfig(epochs=1, lr=1e-9)).module
    )
    made = combine([fitted[0], blind, fitted[1]], told(250, 1), told(120, 2), device="cpu")
    weights = made.pooling.weights
    assert weights[1] < 0.15
    assert sum(weights) == pytest.approx(1.0)
    assert made.record["gain"] > 0


def test_the_choice_is_the_best_of_what_was_tried(fitted: list[Head]) -> None:
    made = combine(fitted, told(250, 1), told(120, 2), knn=True, device="cpu", split="val", protocol="by location")
    tried = made.record["tried"]
    best = max(tried, key=lambda row: row["objective"])
    vote = made.pooling.vote
    assert made.pooling.rule == best["pool"]
    assert (vote and vote.temperature, vote and vote.share) == (best.get("temperature"), best.get("share"))
    assert (made.neighbours is None) == (vote is None)
    assert {row["pool"] for row in tried} == {"linear", "log"}
    assert [made.record[key] for key in ("split", "protocol", "n_locations")] == ["val", "by location", 120]
    assert made.calibration is not None
    assert made.calibration.decoder == "balscore"
    linear = combine(fitted, told(250, 1), told(120, 2), pool="linear", device="cpu")
    assert linear.pooling.rule == "linear"
    assert linear.pooling.vote is None


def test_several_partitions_are_better_than_one(fitted: list[Head]) -> None:
    made = combine(fitted, told(250, 1), told(120, 2), knn=True, device="cpu")
    test = told(300, 3)
    together = score(made, test, "balscore", device="cpu").balscore
    alone = [score(head, test, device="cpu").balscore for head in fitted]
    assert together > max(alone)


def test_it_is_calibrated_and_decoded_like_a_head(fitted: list[Head]) -> None:
    made = combine(fitted, told(250, 1), told(120, 2), device="cpu")
    again = calibrate(made, told(120, 2), "within:200", device="cpu")
    assert again.decoder == "within:200"
    assert made.calibration is not None
    assert again.temperature == made.calibration.temperature
    assert "balscore" in compare_decoders(made, told(60, 4), device="cpu").values
    answers = predict_locations(replace(made, calibration=again), told(200, 5), decode="within:200", device="cpu")
    assert all(answer.calibrated for answer in answers)
    assert np.mean([(answer.distance_km or 0) <= answer.radius_90_km for answer in answers]) > 0.8


def test_a_pooling_that_is_known_is_taken(fitted: list[Head]) -> None:
    first = combine(fitted, told(250, 1), told(120, 2), knn=True, device="cpu")
    again = combine(fitted, told(250, 1), pooling=first.pooling)
    assert again.pooling == first.pooling
    assert again.calibration is None
    with pytest.raises(ValueError, match="got 2 weights for 3 heads"):
        combine(fitted, told(250, 1), pooling=Pooling.equal(2))
    with pytest.raises(ValueError, match="and the rule log: leave out pool, or the pooling"):
        combine(fitted, told(250, 1), pooling=first.pooling, pool="log")


def test_few_locations_of_many_are_enough(fitted: list[Head], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("geocell.evaluation.combine._MOST", 250 * 3 * 40)
    made = combine(fitted, told(250, 1), told(120, 2), device="cpu")
    assert made.record["n_locations"] == 120
    assert sum(made.pooling.weights) == pytest.approx(1.0)


def test_what_it_cannot_choose_on(fitted: list[Head]) -> None:
    train = told(250, 1)
    with pytest.raises(ValueError, match="chosen on at least 20 validation locations, got 5"):
        combine(fitted, train, told(5, 2))
    with pytest.raises(ValueError, match="250 of the 250 validation locations are training locations of a head"):
        combine(fitted, train, train)
    known = [replace(head, trained_on=TrainedOn(location_keys(told(120, 2)))) for head in fitted]
    with pytest.raises(ValueError, match="120 of the 120 validation locations are training locations of a head"):
        combine(known, train, told(120, 2))
    with pytest.raises(ValueError, match="vote only where there are some: pass training locations"):
        combine(fitted, knn=True)
    with pytest.raises(ValueError, match="pool must be one of linear, log, got 'best'"):
        combine(fitted, train, pool="best")  # type: ignore[arg-type]
    other = replace(told(120, 2), encoder=replace(told(1, 2).encoder, name="another"))
    with pytest.raises(ValueError, match="the heads and the validation locations must share one encoder"):
        combine(fitted, train, other)
    with pytest.raises(TypeError, match="the training locations of a combination must be Locations, got list"):
        combine(fitted, [1, 2])  # type: ignore[arg-type]
