"""Country and city accuracy by their definitions, and where the truth comes from."""

from dataclasses import replace

import numpy as np
import pytest

from geocell.evaluation.score import score
from geocell.evaluation.zero_shot import NO_CITY, _shares, place_truth, score_zero_shot
from geocell.features.locations import Locations
from geocell.metrics.clusters import Clusters
from geocell.zeroshot.candidates import Candidate, Candidates
from geocell.zeroshot.settings import ZeroShotSettings
from tests.worlds import make_locations
from tests.zeroshot.worlds import CITIES, INFO, made, places

NEAR = {"Versailles": (48.8, 2.13), "Annecy": (45.9, 6.12), "Kyoto": (35.01, 135.77), "Callao": (-12.05, -77.12),
        "Berlin": (52.52, 13.4)}  # fmt: skip


def at(points: list[tuple[float, float]], **columns: list[str]) -> Locations:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(len(points), INFO.dim)).astype(np.float32)
    locations = make_locations(np.array(points), features, info=INFO)
    return replace(locations, columns={name: np.array(values, dtype=object) for name, values in columns.items()})


def city(row: int) -> str:
    return "" if row == NO_CITY else CITIES.items[row].city


def test_the_country_is_the_outline_and_the_city_the_nearest_in_it() -> None:
    truth = place_truth(CITIES, at(list(NEAR.values())))
    assert truth.codes.tolist() == ["FR", "FR", "JP", "PE", "DE"]
    assert [city(row) for row in truth.cities] == ["Paris", "Grenoble", "Osaka", "Lima", ""]
    assert truth.source == "country by outlines of countries, city by the nearest candidate there"


def test_the_city_is_of_its_own_country() -> None:
    """Geneva is nearer to Annecy than any city of France here, and lies in another country."""
    both = Candidates((*CITIES.items, Candidate("Switzerland", "Geneva", 46.2, 6.15)))
    truth = place_truth(both, at([NEAR["Annecy"]]))
    assert both.items[truth.cities[0]].city == "Grenoble"


def test_nearest_is_on_the_sphere() -> None:
    """In degrees, a city at another longitude in the far north looks farther than one to the south."""
    north = Candidates((Candidate("Finland", "East", 69.2, 24.0), Candidate("Finland", "South", 67.2, 21.0)))
    truth = place_truth(north, at([(69.2, 21.0)], country=["Finland"]))  # 118 km and 3 degrees, 222 km and 2 degrees
    assert north.items[truth.cities[0]].city == "East"


def test_columns_come_first() -> None:
    columns = {"country": ["Japan", "Czech Republic", "", "FR"], "city": ["OSAKA", "Prague", "Paris", "lyon"]}
    truth = place_truth(CITIES, at([(0, 0)] * 4, **columns))
    assert truth.codes.tolist() == ["JP", "CZ", "", "FR"]
    assert [city(row) for row in truth.cities] == ["Osaka", "", "", "Lyon"]
    assert truth.source == "country by the column country, city by the column city"


@pytest.mark.parametrize("settings", [ZeroShotSettings(), ZeroShotSettings(keep=0, region_templates=("{region}",))])
def test_shares_are_counted_by_hand(settings: ZeroShotSettings) -> None:
    like, locations = made(settings), places(200)
    rng = np.random.default_rng(3)
    rows = rng.integers(6, size=200)
    names = {"country": [CITIES.items[r].country for r in rows], "city": [CITIES.items[r].city for r in rows]}
    names["country"][:20] = ["nowhere"] * 20
    locations = replace(locations, columns={key: np.array(value, dtype=object) for key, value in names.items()})
    found = score_zero_shot(like, locations, split="test")
    answers = [CITIES.items[row] for row in like.found(locations)][20:]
    country = np.array([a.country == name for a, name in zip(answers, names["country"][20:], strict=True)])
    both = country & np.array([a.city == name for a, name in zip(answers, names["city"][20:], strict=True)])
    assert found.n_known == found.n_candidate_country == 180
    assert found.accuracies["country"] == pytest.approx(country.mean())
    assert found.accuracies["city"] == pytest.approx(both.mean())
    assert found.accuracies["city_given_country"] == pytest.approx(both.sum() / country.sum())
    assert (found.accuracies["continent"] or 0) >= country.mean()
    for name, (low, high) in found.intervals.items():
        share = found.accuracies[name]
        assert share is not None
        assert low <= share <= high
        assert high - low < 0.4
    assert found.scores == score(like, locations, "centroid", "test")
    assert found.to_dict()["zero_shot"]["accuracies"]["country"] == found.accuracies["country"]


def test_intervals_are_of_what_was_drawn_together() -> None:
    like, locations = made(), places(12).take(np.repeat(np.arange(12), 15))  # 15 times the same place
    together = replace(locations, columns={"trip": np.array([str(i // 15) for i in range(180)], dtype=object)})
    alone, trips = (score_zero_shot(like, together, cluster=by) for by in ("location", "trip"))
    assert alone.accuracies == trips.accuracies
    width = {name: high - low for name, (low, high) in alone.intervals.items()}
    wider = {name: high - low for name, (low, high) in trips.intervals.items()}
    assert wider["continent"] > 1.5 * width["continent"]


def test_a_conditional_share_has_an_interval_below_one() -> None:
    hits = np.zeros((16, 3), dtype=bool)
    hits[:7, 0], hits[:4, 1], hits[:2, 2] = True, True, True
    for numbers in (np.arange(16), np.repeat(np.arange(8), 2), np.arange(16) % 6):
        low, high = _shares(hits, Clusters("place", numbers))["intervals"]["city_given_country"]
        assert 0.0 <= low < 0.5 < high <= 1.0


def test_countries_that_are_no_candidates_are_misses_and_counted() -> None:
    found = score_zero_shot(made(), at([NEAR["Berlin"], NEAR["Kyoto"]]))
    assert (found.n_known, found.n_candidate_country) == (2, 1)
    assert (found.accuracies["country"] or 0) <= 0.5


def test_without_a_known_country_there_is_no_share() -> None:
    found = score_zero_shot(made(), at([(0.0, 0.0)], country=["nowhere"]))
    assert found.accuracies == {"continent": None, "country": None, "city": None, "city_given_country": None}
    assert found.intervals == {}
