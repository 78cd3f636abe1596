"""The simulation of intervals: what is drawn, and that its methods are what they are called."""

import numpy as np
import pytest

from benchmarks.coverage import METHODS, areas, by_bootstrap, differences, draw_places, of_places, of_protocol, ridge
from benchmarks.protocol import Protocol
from tests.benchmarks.test_protocol import sixty_locations


def test_whole_places_are_drawn() -> None:
    places = np.array([0, 1, 0, 2, 2, 2])
    index, together = draw_places(places, 50, np.random.default_rng(0))
    assert together.max() == 49
    for number in range(50):
        drawn = index[together == number]
        (place,) = set(places[drawn])
        assert sorted(drawn) == np.flatnonzero(places == place).tolist()


def test_repeats_that_differ_widen_the_interval_that_draws_them() -> None:
    rng = np.random.default_rng(0)
    places = np.repeat(np.arange(50), 2)
    other = np.exp(rng.normal(5, 2, (4, 100)))
    own = other * np.array([0.3, 0.8, 1.5, 3.0])[:, None]
    width = {name: float(np.diff(method(own, other, places, 0))[0]) for name, method in METHODS.items()}
    assert width["places and repeats"] > 1.3 * width["places"]
    assert width["bootstrap"] == pytest.approx(width["places and repeats"], rel=0.25)
    for method in (of_protocol, of_places, by_bootstrap):
        low, high = method(own, own * 1.0, places, 0)
        assert low <= 0 <= high


def test_a_line_per_pair_size_and_method(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "benchmarks.coverage.ANSWERS", dict.fromkeys(("ridge, 64 cells", "ridge, 128 cells", "1-NN"), _far)
    )
    monkeypatch.setattr("benchmarks.coverage.SIZES", ((2, 30),))
    rows = list(differences(Protocol(sixty_locations(), True, 3), 2))
    assert [row["method"] for row in rows] == 2 * list(METHODS)
    assert all(row["truth"] == 0 and row["held"] == 100 for row in rows)


def _far(protocol: Protocol, rest: object, test: np.ndarray, repeat: int) -> np.ndarray:
    del protocol, rest, repeat
    return np.where(test % 2 == 0, 10.0, 5000.0)


def test_ridge_answers_with_centroids_of_its_cells() -> None:
    protocol = Protocol(sixty_locations(), False, 1)
    rest, test = protocol.dealt(0)[0]
    km = ridge(protocol, rest, test, 0, k=6)
    assert km.shape == test.shape
    assert np.median(km) < 1500


def test_areas_are_drawn_for_every_size() -> None:
    rows = list(areas(np.repeat(np.arange(40), 3), 3))
    assert {row["what"] for row in rows} == {"AURC", "AUGRC"}
    assert all(row["width"] > 0 for row in rows)
