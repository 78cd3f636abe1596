"""Countries of answers against a loop over countries."""

import numpy as np
import pytest

from geocell.evaluation.countries import macro_scores, same_country, with_countries
from geocell.evaluation.score import scores_of
from geocell.geo.geodesy import distance_km
from geocell.metrics.outcomes import Outcomes
from geocell.partitioners import KMeansPartitioner

PARIS, LYON, BERLIN, BERN, PORTO = (48.86, 2.35), (45.76, 4.84), (52.52, 13.4), (46.95, 7.45), (41.15, -8.61)


def test_a_country_is_that_of_the_outlines() -> None:
    answers, truth = np.array([LYON, BERLIN, PORTO, BERN]), np.array([PARIS, BERN, (41.1, -8.9), BERLIN])
    assert same_country(answers, truth).tolist() == [True, False, True, False]  # the third lies offshore


def test_scores_over_countries_by_a_loop() -> None:
    rng = np.random.default_rng(0)
    truth = np.array([PARIS] * 50 + [BERLIN] * 20 + [BERN] * 5) + rng.normal(0, 0.2, (75, 2))
    answers = truth + rng.normal(0, 1.5, (75, 2))
    outcome = Outcomes(distance_km(answers, truth), further={"country_accuracy": same_country(answers, truth)})
    scores = with_countries(scores_of(outcome, KMeansPartitioner(k=2).fit(truth), "centroid"), outcome, truth)
    parts = {"FR": slice(0, 50), "DE": slice(50, 70), "CH": slice(70, 75)}
    assert scores.macro is not None
    assert (set(scores.countries), scores.macro["n_countries"]) == (set(parts), 3)
    within = {}
    for radius in (1, 25, 200, 750, 2500):
        shares = [float((outcome.distances_km[part] <= radius).mean()) for part in parts.values()]
        within[radius] = sum(shares) / 3
        assert scores.macro[f"within_{radius}"] == pytest.approx(within[radius])
    assert scores.macro["balscore"] == pytest.approx((within[25] * within[200] * within[750]) ** (1 / 3))
    right = outcome.further["country_accuracy"]
    accuracies = {name: float(right[part].mean()) for name, part in parts.items()}
    assert {name: there["country_accuracy"] for name, there in scores.countries.items()} == pytest.approx(accuracies)
    assert scores.macro["country_accuracy"] == pytest.approx(sum(accuracies.values()) / 3)
    assert scores.country_accuracy == pytest.approx(float(right.mean()))
    for name, value in scores.macro.items():
        if name != "n_countries":
            low, high = scores.intervals[f"macro_{name}"]
            assert low <= value <= high


def test_locations_without_a_country_are_left_out() -> None:
    outcome = Outcomes(np.array([10.0, 3000.0, 10.0]))
    values, intervals = macro_scores(outcome, np.array(["A", "", "B"], dtype=object))
    assert values is not None
    assert (values["n_countries"], values["within_25"], values["balscore"]) == (2, 1.0, pytest.approx(1.0))
    assert intervals["macro_within_25"][1] == 1
    assert macro_scores(outcome, [None] * 3) == (None, {})
