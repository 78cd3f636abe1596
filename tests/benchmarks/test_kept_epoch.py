"""The epoch that few validation locations choose, and that every epoch of a fit is looked at as it was."""

import numpy as np
import pytest

from benchmarks.kept_epoch import (
    DRAWS,
    balscores,
    best_epoch,
    chosen_epochs,
    distances_of_epochs,
    drawn_scores,
    kept_scores,
)
from geocell.geo.geodesy import distance_km
from geocell.heads.fit_config import FitConfig
from geocell.metrics.outcomes import balscore_of
from geocell.partitioners import KMeansPartitioner
from geocell.training.fit import fit_head
from tests.training.test_fit import world

pytestmark = pytest.mark.usefixtures("one_thread")


def test_every_epoch_is_that_of_a_fit() -> None:
    train, asked = world(120, 0), world(50, 1)
    partition = KMeansPartitioner(k=6, seed=0).fit(train.latlon)
    config = FitConfig(epochs=4, batch_size=32, lr=0.02, keep="last", device="cpu")
    km = distances_of_epochs(train, asked, partition, config)
    head = fit_head(train, asked, partition, config)
    assert [balscore_of(row) for row in km] == [row["val_balscore"] for row in head.history]
    assert km.mean(axis=1).tolist() == [row["val_mean_km"] for row in head.history]
    last = distance_km(partition.centroids[head.posterior(asked).argmax(axis=1)], asked.latlon)
    assert km[-1] == pytest.approx(last)


def test_the_best_epoch_is_that_of_a_fit() -> None:
    train, val = world(120, 0), world(50, 1)
    partition = KMeansPartitioner(k=6, seed=0).fit(train.latlon)
    for patience in (1, 2, 9):
        config = FitConfig(epochs=9, batch_size=32, lr=0.05, keep="best", patience=patience, device="cpu")
        km = distances_of_epochs(train, val, partition, config)
        scores = np.array([balscore_of(row) for row in km])
        found = best_epoch(scores, km.mean(axis=1), patience)
        assert found + 1 == fit_head(train, val, partition, config).training["best_epoch"]


def test_all_validation_locations_choose_one_epoch_and_few_choose_many() -> None:
    pool = np.random.default_rng(0).exponential(300.0, (10, 400)) * np.linspace(1.2, 1.0, 10)[:, None]
    rng = np.random.default_rng(1)
    everybody, few = (chosen_epochs(pool, n, 15, rng) for n in (400, 20))
    assert len(few) == DRAWS
    assert len(set(everybody)) == 1 < len(set(few))


def test_scores_of_drawn_locations_spread_around_the_score() -> None:
    test = np.random.default_rng(0).exponential(300.0, (3, 2000))
    scores, drawn = drawn_scores(test, np.random.default_rng(1))
    assert scores == pytest.approx([balscore_of(row) for row in test])
    assert drawn.mean(axis=0) == pytest.approx(scores, abs=0.003)
    assert (drawn.std(axis=0) > 0.002).all()
    assert balscores(np.array([0.1, 0.8, 1.0])) == pytest.approx(0.08 ** (1 / 3))


def test_a_rule_has_the_score_of_the_epochs_that_it_keeps() -> None:
    """Epochs get better, and the more validation locations there are the surer is the last one."""
    rng = np.random.default_rng(0)
    km = rng.exponential(300.0, (6, 3000)) * np.linspace(1.5, 1.0, 6)[:, None]
    run = (km[:, :1500], *drawn_scores(km[:, 1500:], np.random.default_rng(1)))
    last, drawn = kept_scores(run, "last", 50, 0)
    assert last == run[1][-1]
    assert np.array_equal(drawn, run[2][:, -1])
    few, some, all_of_them = (kept_scores(run, "best", n, 0)[0] for n in (20, 200, 1500))
    assert few < some <= all_of_them
    assert all_of_them == pytest.approx(max(run[1]))
