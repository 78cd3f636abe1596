"""The protocol on the shared real features: folds, validation, differences, and that choosing sees no answer."""

from itertools import combinations

import numpy as np
import pytest

from benchmarks.protocol import (
    Floats,
    Ints,
    Protocol,
    balscores,
    chosen,
    difference_draws,
    folds,
    inner_scores,
    interval_of,
    mean_of_drawn_repeats,
    mean_row,
    places_of,
    row_of,
)
from geocell.evaluation.comparison import paired_intervals
from geocell.features.locations import Locations
from geocell.metrics.clusters import Clusters
from geocell.metrics.outcomes import Outcomes
from tests.worlds import make_locations

BASE = "base"


def sixty_locations() -> Locations:
    """Sixty locations at thirty places."""
    rng = np.random.default_rng(0)
    latlon = np.repeat(np.stack((rng.uniform(40, 60, 30), rng.uniform(0, 20, 30)), axis=1), 2, axis=0)
    return make_locations(latlon, np.concatenate((latlon / 5, rng.normal(size=(60, 6))), axis=1).astype(np.float32))


@pytest.fixture(scope="module")
def locations() -> Locations:
    return sixty_locations()


@pytest.mark.parametrize("by_place", [False, True])
def test_folds_hold_everybody_once(locations: Locations, by_place: bool) -> None:
    parts = folds(locations, 3, by_place)
    assert sorted(np.concatenate(parts).tolist()) == list(range(60))
    places = places_of(locations)
    shared = [set(places[one]) & set(places[other]) for one, other in combinations(parts, 2)]
    assert any(shared) != by_place
    for rest, test in Protocol(locations, by_place, 1).dealt(0):
        assert not set(rest) & set(test)


@pytest.mark.parametrize("by_place", [False, True])
def test_validation_locations_are_an_eighth_of_the_rest(locations: Locations, by_place: bool) -> None:
    """By place, none of them shares a coordinate with a training location."""
    protocol = Protocol(locations, by_place, repeats=3)
    places, shared = places_of(locations), 0
    for repeat in range(3):
        for rest, test in protocol.dealt(repeat):
            train, val = protocol.split_validation(rest)
            assert sorted([*train, *val]) == sorted(rest)
            assert not set(val) & set(test)
            assert len(val) == {False: int(0.12 * len(rest)), True: int(0.12 * len(rest)) // 2 * 2}[by_place]
            shared += len(set(places[train]) & set(places[val]))
    assert (shared == 0) == by_place


@pytest.mark.parametrize("by_place", [False, True])
def test_a_place_too_large_for_validation_is_trained_on(by_place: bool) -> None:
    latlon = np.array([[50.0, 10.0]] * 40 + [[float(i), 0.0] for i in range(10)])
    protocol = Protocol(make_locations(latlon, np.ones((50, 2), dtype=np.float32)), by_place, repeats=1)
    train, val = protocol.split_validation(np.random.default_rng(0).permutation(50))
    assert len(val) == 6
    assert len(train) == 44
    assert not by_place or (val >= 40).all()


def test_differences_are_paired_and_in_percent(locations: Locations) -> None:
    protocol = Protocol(locations, by_place=False, repeats=2)
    near, far = np.full((2, 60), 10.0), np.full((2, 60), 10.0)
    far[:, ::4] = 5000.0
    row = row_of("far", "", BASE, protocol, far, near)
    assert row["balscore"] == 75
    assert row["difference"] == -25
    assert row["difference_low"] < row["difference"] < row["difference_high"] < 0
    same = row_of(BASE, "", BASE, protocol, near, near)
    assert same["difference_low"] == same["difference_high"] == 0
    alike = row_of("alike", "", BASE, protocol, near, near)
    assert (
        alike["difference_low"] < 0 < alike["difference_high"]
    )  # 30 places cannot tell that no place tells them apart


def test_one_repeat_has_the_interval_of_a_comparison(locations: Locations) -> None:
    rng = np.random.default_rng(1)
    one, other = np.exp(rng.normal(5, 2, (2, 1, 60)))
    places = Clusters("place", places_of(locations))
    low, high = paired_intervals(*(Outcomes(km[0], clusters=places) for km in (one, other)))["balscore"]
    found = interval_of(difference_draws(one, other, places.numbers), float(balscores(one)[0] - balscores(other)[0]))
    assert found == pytest.approx((low, high), abs=0.02)  # these draw the shares of other radii too


def test_both_protocols_are_drawn_together(locations: Locations) -> None:
    """The same answers in both have the interval of one, and opposite ones that of none."""
    rng = np.random.default_rng(2)
    one, other = np.exp(rng.normal(5, 2, (2, 3, 60)))
    protocols = {by_place: Protocol(locations, by_place, 3) for by_place in (False, True)}
    single = row_of("a", "", "b", protocols[False], one, other)
    alike = mean_row("a", "", "b", protocols, {False: {"a": one, "b": other}, True: {"a": one, "b": other}})
    keys = ("balscore", "difference", "within_25", "within_200", "within_750")
    assert {key: alike[key] for key in keys} == {key: single[key] for key in keys}
    for end in ("difference_low", "difference_high"):
        assert alike[end] == pytest.approx(single[end], abs=1.5)
    opposed = mean_row("a", "", "b", protocols, {False: {"a": one, "b": other}, True: {"a": other, "b": one}})
    assert opposed["difference"] == 0
    spread = [row["difference_high"] - row["difference_low"] for row in (opposed, single)]
    assert spread[0] < 0.4 * spread[1]


def test_repeats_are_drawn_with_the_spread_of_their_mean() -> None:
    values = np.random.default_rng(5).normal(size=6)
    drawn = mean_of_drawn_repeats(np.tile(values[:, None], (1, 40_000)))
    assert drawn.mean() == pytest.approx(values.mean(), abs=0.01)
    assert drawn.var() == pytest.approx(values.var(ddof=1) / 6, rel=0.03)
    assert mean_of_drawn_repeats(np.array([[1.0, 3.0]])).tolist() == [1.0, 3.0]


def test_the_chosen_one_is_the_best_on_the_other_folds(locations: Locations) -> None:
    protocol = Protocol(locations, by_place=False, repeats=1)
    distances = {BASE: np.full((1, 60), 1.0), "other": np.full((1, 60), 2.0)}
    inner = {BASE: np.array([[3.0, 1.0, 1.0, 1.0, 1.0]]), "other": np.array([[2.0, 2.0, 2.0, 2.0, 0.0]])}
    result, counts = chosen(protocol, distances, inner)
    parts = folds(locations, 0, by_place=False)
    assert counts == f"{BASE} (2), other (3)"
    assert (result[0, parts[0]] == 1).all()
    assert (result[0, parts[1]] == 2).all()


def test_choosing_never_sees_the_fold_it_is_for(locations: Locations) -> None:
    fitted: list[tuple[set[int], set[int]]] = []

    def remember(_protocol: Protocol, rest: Ints, test: Ints, _repeat: int) -> Floats:
        fitted.append((set(rest.tolist()), set(test.tolist())))
        return np.full(len(test), 10.0)

    scores = inner_scores(Protocol(locations, by_place=False, repeats=1), remember)
    assert scores.tolist() == [[4.0] * 5]
    assert len(fitted) == 10
    assert all(not rest & test and len(rest | test) == 60 for rest, test in fitted)
