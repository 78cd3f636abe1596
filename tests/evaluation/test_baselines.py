"""Baselines against answers by hand, and how far a head is ahead of them."""

import re
from dataclasses import replace

import numpy as np
import pytest

import geocell as gc
from geocell.evaluation.baselines import baselines_of, majority_points, nearest_points, score_beside_baselines
from geocell.evaluation.score import score
from geocell.geo.geodesy import distance_km
from geocell.metrics.outcomes import Outcomes
from geocell.partitioners import KMeansPartitioner
from tests.evaluation.test_score import head_on
from tests.worlds import make_locations

TRAIN = make_locations([(40.0, 0.0), (40.1, 0.0), (60.0, 20.0)], np.array([[1, 0], [0, 1], [-1, -1]], np.float32))
TEST = make_locations([(41.0, 0.0), (59.0, 20.0)], np.array([[0.1, 5], [-3, -2]], np.float32))


@pytest.fixture
def world() -> tuple[gc.Locations, gc.Locations]:
    """Train and test whose first features tell where they are."""
    rng = np.random.default_rng(0)
    latlon = np.stack((rng.uniform(40, 60, 200), rng.uniform(0, 20, 200)), axis=1)
    features = np.concatenate((latlon, 3 * rng.normal(size=(200, 6))), axis=1).astype(np.float32)
    locations = make_locations(latlon, features)
    return locations.take(np.arange(120)), locations.take(np.arange(120, 200))


def test_the_nearest_training_location_is_answered() -> None:
    np.testing.assert_array_equal(nearest_points(TRAIN, TEST), [(40.1, 0.0), (60.0, 20.0)])


def test_the_majority_cell_is_answered_for_everything() -> None:
    partition = KMeansPartitioner(k=2, seed=0).fit(TRAIN.latlon)
    np.testing.assert_allclose(majority_points(partition, 3), [(40.05, 0.0)] * 3, atol=1e-6)
    with pytest.raises(ValueError, match="the partition has none"):
        majority_points(replace(partition, counts=np.zeros(2, np.int64)), 3)


def test_scores_are_those_of_the_answers(world: tuple[gc.Locations, gc.Locations]) -> None:
    train, test = world
    head = head_on(KMeansPartitioner(k=8, seed=0).fit(train.latlon))
    found = gc.baselines(head, test, train, split="test")
    assert re.fullmatch(r"<Baseline 1-NN, \d+ locations: balscore [\d.]+ % \[[\d.]+, [\d.]+\]>", repr(found["1-NN"]))
    assert list(found) == ["majority cell", "1-NN"]
    assert (found["majority cell"].n_train, found["1-NN"].n_train) == (None, 120)
    reached = score(head, test)
    fullest = head.partition.centroids[head.partition.counts.argmax()]
    for name, points in {"majority cell": np.tile(fullest, (80, 1)), "1-NN": nearest_points(train, test)}.items():
        distances = distance_km(points, test.latlon)
        value = found[name].to_dict()
        assert value["within"] == {str(r): float((distances <= r).mean()) for r in (1, 25, 200, 750, 2500)}
        assert value["mean_km"] == pytest.approx(distances.mean())
        assert value["intervals"]["balscore"] == list(Outcomes(distances).intervals()["balscore"])
        difference, low, high = value["head_less_baseline"]["mean_km"]
        assert difference == pytest.approx(reached.mean_km - distances.mean())
        assert low < difference < high
        assert "the head" in found[name].sentence()


def test_without_training_locations_there_is_no_nearest_one(world: tuple[gc.Locations, gc.Locations]) -> None:
    train, test = world
    head = head_on(KMeansPartitioner(k=8, seed=0).fit(train.latlon))
    assert list(gc.baselines(head, test)) == ["majority cell"]
    unknown = replace(head.partition, counts=np.zeros(8, np.int64))
    assert baselines_of(unknown, test, None) == {}
    alone = baselines_of(unknown, test, train)["1-NN"]
    assert alone.sentence() == ""
    assert "head_less_baseline" not in alone.to_dict()


def test_they_stand_beside_scores_that_are_the_same(world: tuple[gc.Locations, gc.Locations]) -> None:
    train, test = world
    head = head_on(KMeansPartitioner(k=8, seed=0).fit(train.latlon))
    scores, found = score_beside_baselines(head, test, train, "centroid", "test")
    assert scores.baselines == {name: baseline.to_dict() for name, baseline in found.items()}
    assert replace(scores, baselines=None) == score(head, test, split="test")
    assert gc.Scores.from_dict(scores.to_dict()) == scores


def test_clusters_of_the_head_are_those_of_its_baselines(world: tuple[gc.Locations, gc.Locations]) -> None:
    train, test = world
    head = head_on(KMeansPartitioner(k=8, seed=0).fit(train.latlon))
    found = gc.baselines(head, test, train, cluster="cell:1")["1-NN"]
    assert found.comparison is not None
    assert found.comparison.clustered_by == "cell:1"
    assert found.intervals != gc.baselines(head, test, train, cluster="location")["1-NN"].intervals


def test_candidate_points_are_no_cells(world: tuple[gc.Locations, gc.Locations]) -> None:
    """Of a combination at training places, the fullest one is a place where two photographs were taken."""
    train, test = world
    heads = [head_on(KMeansPartitioner(k=k, seed=0).fit(train.latlon)) for k in (6, 8)]
    together = gc.combine(heads, train, candidates="places", device="cpu")
    assert together.partition.counts.any()
    assert gc.baselines(together, test, train).keys() == {"1-NN"}
