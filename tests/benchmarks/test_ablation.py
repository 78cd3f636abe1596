"""The protocol of the ablation: how folds are dealt, what a difference is, and that choosing sees no answer."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from benchmarks import ablation
from benchmarks.ablation import (
    Protocol,
    answered,
    chosen,
    folds,
    inner_scores,
    mean_of_drawn_repeats,
    places_of,
    row_of,
)
from benchmarks.ablation_cases import BY_PLACE, CASES, DEFAULT, OFFSETS, QUICK, Case
from benchmarks.readme_heads import verdict
from benchmarks.simulation import simulated_locations
from geocell.features.locations import Locations
from geocell.partitioners import KMeansPartitioner
from tests.worlds import make_locations

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def locations() -> Locations:
    """Sixty locations at thirty places."""
    rng = np.random.default_rng(0)
    latlon = np.repeat(np.stack((rng.uniform(40, 60, 30), rng.uniform(0, 20, 30)), axis=1), 2, axis=0)
    return make_locations(latlon, np.concatenate((latlon / 5, rng.normal(size=(60, 6))), axis=1).astype(np.float32))


@pytest.mark.parametrize("by_place", [False, True])
def test_folds_hold_everybody_once(locations: Locations, by_place: bool) -> None:
    parts = folds(locations, 3, by_place)
    assert sorted(np.concatenate(parts).tolist()) == list(range(60))
    places = places_of(locations)
    shared = [set(places[one]) & set(places[other]) for one, other in combinations(parts, 2)]
    assert any(shared) != by_place
    for rest, test in Protocol(locations, by_place, 1).dealt(0):
        assert not set(rest) & set(test)


def test_every_case_differs_from_a_case_that_is_there() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert {case.base for case in CASES} <= set(names)
    assert set(BY_PLACE) | set(QUICK) <= set(names)
    compared = {case.name for case in CASES if case.name in BY_PLACE or case.candidate}
    assert {case.base for case in CASES if case.name in compared} <= compared


def test_differences_are_paired_and_in_percent(locations: Locations) -> None:
    protocol = Protocol(locations, by_place=False, repeats=2)
    near, far = np.full((2, 60), 10.0), np.full((2, 60), 10.0)
    far[:, ::4] = 5000.0
    row = row_of("far", "", DEFAULT, protocol, far, near)
    within = np.mean([(far[0, test] <= 25).mean() for _, test in protocol.dealt(0)])
    assert row["balscore"] == pytest.approx(100 * within, abs=0.5)
    assert row["difference"] == pytest.approx(row["balscore"] - 100)
    assert row["difference_low"] < row["difference"] < row["difference_high"] < 0
    same = row_of("same", "", DEFAULT, protocol, near, near)
    assert same["difference_low"] == same["difference_high"] == 0


def test_repeats_are_drawn_with_the_spread_of_their_mean() -> None:
    values = np.random.default_rng(5).normal(size=6)
    drawn = mean_of_drawn_repeats(np.tile(values[:, None], (1, 40_000)))
    assert drawn.mean() == pytest.approx(values.mean(), abs=0.01)
    assert drawn.var() == pytest.approx(values.var(ddof=1) / 6, rel=0.03)
    assert mean_of_drawn_repeats(np.array([[1.0, 3.0]])).tolist() == [1.0, 3.0]


def test_the_chosen_one_is_the_best_on_the_other_folds(locations: Locations) -> None:
    protocol = Protocol(locations, by_place=False, repeats=1)
    distances = {DEFAULT: np.full((1, 60), 1.0), "other": np.full((1, 60), 2.0)}
    inner = {DEFAULT: np.array([[3.0, 1.0, 1.0, 1.0, 1.0]]), "other": np.array([[2.0, 2.0, 2.0, 2.0, 0.0]])}
    result, counts = chosen(protocol, distances, inner)
    parts = folds(locations, 0, by_place=False)
    assert counts == f"{DEFAULT} (2), other (3)"
    assert (result[0, parts[0]] == 1).all()
    assert (result[0, parts[1]] == 2).all()


def test_choosing_never_sees_the_fold_it_is_for(locations: Locations, monkeypatch: pytest.MonkeyPatch) -> None:
    fitted: list[tuple[set[int], set[int]]] = []

    def remember(_case: object, _all: object, rest: np.ndarray, test: np.ndarray, _seed: int) -> np.ndarray:
        fitted.append((set(rest.tolist()), set(test.tolist())))
        return np.full(len(test), 10.0)

    monkeypatch.setattr(ablation, "answered", remember)
    scores = inner_scores(Protocol(locations, by_place=False, repeats=1), CASES[0])
    assert scores.tolist() == [[4.0] * 5]
    assert len(fitted) == 10
    assert all(not rest & test and len(rest | test) == 60 for rest, test in fitted)


def test_a_case_is_fitted_and_answers(locations: Locations) -> None:
    case = Case("x", "x", {"epochs": 3}, KMeansPartitioner(k=5), second={"epochs": 1, "haversine": 0.001}, heads=2)
    distances = Protocol(locations, by_place=True, repeats=1).distances(case)
    assert distances.shape == (1, 60)
    assert (distances > 0).all()
    assert Protocol(locations, by_place=True, repeats=1).distances(None).shape == (1, 60)


def test_offsets_answer_inside_the_cells_of_their_base(locations: Locations) -> None:
    rest, test = Protocol(locations, by_place=False, repeats=1).dealt(0)[0]
    base = Case("base", "x", {"epochs": 3}, KMeansPartitioner(k=5), validate=False)
    moved = replace(base, fit={"epochs": 3, **OFFSETS})
    still = replace(base, fit={"epochs": 3, "offsets": 1.0})
    km = [answered(case, locations, rest, test, seed=0) for case in (base, still, moved)]
    assert np.array_equal(km[0], km[1])  # the posterior is the same: offsets and base differ by the decoder alone
    assert (km[0] != km[2]).any()
    radius = float(base.partitioner.fit(locations.take(rest).latlon).radius_km.max())
    assert (np.abs(km[0] - km[2]) <= radius * (1 + 1e-9)).all()


def test_offsets_are_not_averaged(locations: Locations) -> None:
    rest, test = Protocol(locations, by_place=False, repeats=1).dealt(0)[0]
    case = Case("x", "x", {"epochs": 1, **OFFSETS}, KMeansPartitioner(k=5), heads=2)
    with pytest.raises(ValueError, match="decode offset needs offsets above 0"):
        answered(case, locations, rest, test, seed=0)


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
