"""The cases behind the defaults: each states all it is fitted with, and the floors answer as they should."""

import numpy as np
import pytest

from benchmarks import defaults
from benchmarks.defaults import CENTRED, CHOSEN, FLOORS, LOGISTIC, answers_of, rows_of
from benchmarks.defaults_cases import BASE, CASES, DEFAULT, PLAIN, PUBLISHED, QUICK, REFIT, START
from benchmarks.kept import Answers
from benchmarks.protocol import Floats, Protocol, chosen
from geocell.geo.geodesy import distance_km
from geocell.heads.fit_config import FitConfig
from geocell.partitioners import KMeansPartitioner
from tests.benchmarks.test_protocol import sixty_locations


def test_every_case_states_what_it_is_fitted_with() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert {PLAIN, START, DEFAULT, BASE, REFIT, *QUICK} <= set(names)
    for case in CASES:
        assert set(PUBLISHED) <= set(case.fit), case.name
        FitConfig(**case.fit)
    assert all(case.candidate for case in CASES if case.name != PLAIN)


def test_a_setting_differs_from_its_base_by_what_its_name_says() -> None:
    (base,) = [case for case in CASES if case.name == BASE]
    for case in CASES:
        if case.group == "settings":
            changes = {key: value for key, value in case.fit.items() if base.fit.get(key) != value}
            told = {f"{key} {value:g}" for key, value in changes.items() if key != "epochs"}
            told |= {f"{changes['epochs']} epochs"} if "epochs" in changes else set()
            cells = case.partitioner
            assert isinstance(cells, KMeansPartitioner)
            told |= {f"{cells.k} cells"} if cells != base.partitioner else set()
            assert set(case.name.split(", ")) == told
            assert not case.validate


def test_floors_answer_with_what_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(defaults, "CLUSTERS", KMeansPartitioner(k=6, seed=0))
    locations = sixty_locations()
    protocol = Protocol(locations, by_place=False, repeats=1)
    rest, test = protocol.dealt(0)[0]
    answers = answers_of([])
    km = {name: answers[name](protocol, rest, test, 0) for name in FLOORS if name in answers}
    assert set(km) == set(FLOORS) - {PLAIN}
    known = locations.mean_features()
    centred = known - known[rest].mean(axis=0)
    for name, features in (("nearest neighbour", known), (CENTRED, centred)):
        unit = features / np.linalg.norm(features, axis=1, keepdims=True)
        nearest = rest[(unit[test] @ unit[rest].T).argmax(axis=1)]
        assert km[name] == pytest.approx(distance_km(locations.latlon[nearest], locations.latlon[test]))
    centroids = KMeansPartitioner(k=6, seed=0).fit(locations.latlon[rest]).centroids
    possible = distance_km(locations.latlon[test][:, None], centroids[None])
    assert np.isclose(km[LOGISTIC][:, None], possible).any(axis=1).all()
    assert np.median(km[LOGISTIC]) < np.median(possible)


def test_the_chosen_and_the_defaults_stand_beside_every_floor() -> None:
    protocol = Protocol(sixty_locations(), by_place=False, repeats=1)
    names = [START, DEFAULT, REFIT, *FLOORS]
    distances: dict[str, Floats] = {name: np.full((1, 60), 10.0 if name == REFIT else 1000.0) for name in names}
    inner = {START: np.zeros((1, 5)), REFIT: np.ones((1, 5))}
    best, counts = chosen(protocol, distances, inner)
    rows = rows_of(protocol, Answers({**distances, CHOSEN: best}, {CHOSEN: counts}))
    against = [(row["case"], row["base"]) for row in rows if row["group"] == "against"]
    assert against == [(case, base) for case in (CHOSEN, DEFAULT, REFIT) for base in (START, *FLOORS)]
    found = next(row for row in rows if row["case"] == CHOSEN)
    assert (found["balscore"], found["difference"], found["chosen"]) == (100.0, 100.0, f"{REFIT} (5)")
