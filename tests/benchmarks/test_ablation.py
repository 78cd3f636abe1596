"""The cases of the ablation: what differs from what, and how a case is fitted."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.ablation import answered, nearest, smoothed_best, stop_after
from benchmarks.ablation_cases import BY_PLACE, CASES, OFFSETS, QUICK, Case
from benchmarks.plain_loop import fit_plain
from benchmarks.protocol import Protocol
from benchmarks.readme_heads import verdict
from benchmarks.simulation import simulated_locations
from geocell.features.locations import Locations
from geocell.geo.geodesy import distance_km
from geocell.heads.fit_config import FitConfig
from geocell.partitioners import KMeansPartitioner
from geocell.training.fit import fit_head
from tests.benchmarks.test_protocol import sixty_locations

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def locations() -> Locations:
    return sixty_locations()


def test_every_case_differs_from_a_case_that_is_there() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert {case.base for case in CASES} <= set(names)
    assert set(BY_PLACE) | set(QUICK) <= set(names)
    compared = {case.name for case in CASES if case.name in BY_PLACE or case.candidate}
    assert {case.base for case in CASES if case.name in compared} <= compared


def test_a_case_is_fitted_and_answers(locations: Locations) -> None:
    case = Case("x", "x", {"epochs": 3}, KMeansPartitioner(k=5), second={"epochs": 1, "haversine": 0.001}, heads=2)
    distances = Protocol(locations, by_place=True, repeats=1).distances(partial(answered, case))
    assert distances.shape == (1, 60)
    assert (distances > 0).all()
    assert Protocol(locations, by_place=True, repeats=1).distances(nearest).shape == (1, 60)


def test_a_smoothed_score_chooses_the_middle_of_good_epochs() -> None:
    scores = [0.1, 0.9, 0.1, 0.6, 0.7, 0.6, 0.1]
    history = [{"epoch": epoch, "val_balscore": score} for epoch, score in enumerate(scores, start=1)]
    assert smoothed_best(history, 1) == 2
    assert smoothed_best(history, 3) == 5


def test_a_smoothed_case_answers_with_the_epoch_that_it_chose(locations: Locations) -> None:
    protocol = Protocol(locations, by_place=False, repeats=1)
    rest, test = protocol.dealt(0)[0]
    case = Case("x", "x", {"epochs": 6, "keep": "last", "lr": 0.01}, KMeansPartitioner(k=5), smooth=3)
    train, val = (locations.take(index) for index in protocol.split_validation(rest))
    partition = case.partitioner.fit(locations.take(rest).latlon)
    weights = []
    config = FitConfig(seed=0, device="cpu", **case.fit)
    epoch = smoothed_best(fit_head(train, val, partition, config).history, 3)
    for chosen in (epoch, 6):
        head = fit_head(train, None, partition, config, log=partial(stop_after, chosen))
        assert head.training["epochs_run"] == chosen
        weights.append(head)
    assert epoch < 6
    unseen = locations.take(test)
    km = [distance_km(partition.centroids[head.posterior(unseen).argmax(1)], unseen.latlon) for head in weights]
    assert np.array_equal(answered(case, protocol, rest, test, 0), km[0])


@pytest.mark.parametrize(("keep", "same"), [("last", True), ("best", False)])
def test_the_plain_loop_keeps_the_epoch_that_a_fit_keeps(locations: Locations, keep: Any, same: bool) -> None:
    train, val = locations.take(np.arange(50)), locations.take(np.arange(50, 60))
    partition = KMeansPartitioner(k=5).fit(train.latlon)
    config = FitConfig(epochs=5, lr=0.05, keep=keep, patience=1)
    with_val, without = (fit_plain(train, part, partition, config) for part in (val, None))
    pairs = zip(with_val.state_dict().values(), without.state_dict().values(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs) == same


def test_offsets_answer_inside_the_cells_of_their_base(locations: Locations) -> None:
    protocol = Protocol(locations, by_place=False, repeats=1)
    rest, test = protocol.dealt(0)[0]
    base = Case("base", "x", {"epochs": 3}, KMeansPartitioner(k=5), validate=False)
    moved = replace(base, fit={"epochs": 3, **OFFSETS})
    still = replace(base, fit={"epochs": 3, "offsets": 1.0})
    km = [answered(case, protocol, rest, test, 0) for case in (base, still, moved)]
    assert np.array_equal(km[0], km[1])  # the posterior is the same: offsets and base differ by the decoder alone
    assert (km[0] != km[2]).any()
    radius = float(base.partitioner.fit(locations.take(rest).latlon).radius_km.max())
    assert (np.abs(km[0] - km[2]) <= radius * (1 + 1e-9)).all()


def test_offsets_are_not_averaged(locations: Locations) -> None:
    protocol = Protocol(locations, by_place=False, repeats=1)
    rest, test = protocol.dealt(0)[0]
    case = Case("x", "x", {"epochs": 1, **OFFSETS}, KMeansPartitioner(k=5), heads=2)
    with pytest.raises(ValueError, match="decode offset needs offsets above 0"):
        answered(case, protocol, rest, test, 0)


def test_decays_weigh_levels_that_are_there() -> None:
    decayed = [case for case in CASES if "hierarchy_decay" in case.fit]
    by_name = {case.name: case for case in CASES}
    assert len(decayed) == 4
    rng = np.random.default_rng(0)
    latlon = np.stack((rng.uniform(35, 65, 400), rng.uniform(-10, 40, 400)), axis=1)
    for case in decayed:
        base = by_name[case.base]
        assert case.partitioner == base.partitioner
        assert {**base.fit, "hierarchy_decay": case.fit["hierarchy_decay"]} == case.fit
        assert len(case.partitioner.fit(latlon).ancestors) > 1


def test_what_an_interval_says() -> None:
    row = {"case": "a", "base": "b", "difference_low": "0.1", "difference_high": "0.2"}
    assert verdict(row) == "helps"
    assert verdict({**row, "difference_low": "-0.1"}) == "not told apart"
    assert verdict({**row, "difference_low": "-0.3", "difference_high": "-0.1"}) == "hurts"
    assert verdict({**row, "case": "b"}) == ""


@pytest.mark.usefixtures("shared_data")
def test_simulated_features_depend_on_the_place_and_the_seed() -> None:
    one, other = simulated_locations(500, 0, noise=0.0), simulated_locations(500, 0, noise=0.0)
    assert np.array_equal(one.features, other.features)
    assert not np.array_equal(one.features, simulated_locations(500, 1, noise=0.0).features)
    near = np.linalg.norm(one.latlon[:, None] - one.latlon[None], axis=2)
    far = np.linalg.norm(one.features[:, None] - one.features[None], axis=2)
    assert far[(near > 0) & (near < 0.1)].mean() < 0.7 * far[near > 5].mean()
