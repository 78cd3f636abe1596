"""Scores of heads on locations."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from geocell.decoders.table import decode
from geocell.evaluation.countries import with_countries
from geocell.evaluation.score import score, scores_of
from geocell.geo.countries import countries_of
from geocell.heads.fit_config import FitConfig
from geocell.heads.head import Head
from geocell.heads.module import GeoHead
from geocell.heads.region import fit_region
from geocell.metrics.outcomes import outcomes_of, top_hits
from geocell.metrics.scores import Scores
from geocell.partitioners import H3Partitioner, KMeansPartitioner, Partition
from tests.outside import nothing_east_of
from tests.worlds import make_locations


def head_on(partition: Partition, seed: int = 0) -> Head:
    module = GeoHead(8, len(partition))
    generator = torch.Generator().manual_seed(seed)
    module.head[2].weight.data = torch.randn(len(partition), 8, generator=generator)
    return Head(module, partition, make_locations(np.zeros((1, 2)), np.zeros((1, 8))).encoder, FitConfig())


@pytest.fixture
def world() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    return np.stack((rng.uniform(40, 60, 90), rng.uniform(0, 20, 90)), 1), rng.normal(size=(90, 8)).astype(np.float32)


def test_the_share_that_is_flagged(world: tuple[np.ndarray, np.ndarray]) -> None:
    latlon, features = world
    head = head_on(KMeansPartitioner(k=8, seed=0).fit(latlon))
    locations = make_locations(latlon, features)
    train, val = locations.take(np.arange(50)), locations.take(np.arange(50, 80))
    region = fit_region(head, train, val, false_alarms=0.2)
    flagged = score(replace(head, region=region), val).outside_region
    assert flagged == pytest.approx(5 / 30)  # above the 25th of 30
    assert score(head, val).outside_region is None
    assert "outside_region" not in score(head, val).to_dict()
    kept = score(replace(head, region=region), val)
    assert Scores.from_dict(kept.to_dict()) == kept


@pytest.mark.parametrize("name", ["centroid", "mean", "within:200"])
def test_score_is_the_sum_of_its_parts(world: tuple[np.ndarray, np.ndarray], name: str) -> None:
    latlon, features = world
    partition = KMeansPartitioner(k=8, seed=0).fit(latlon)
    head, locations = head_on(partition), make_locations(latlon, features)
    posterior, cells = head.posterior(locations), partition.assign(latlon)
    points = decode(name, posterior, partition.centroids)
    right = {"country_accuracy": countries_of(points) == countries_of(latlon)}
    outcome = replace(outcomes_of(points, latlon, top_hits(posterior, cells), 0), further=right)
    expected = with_countries(scores_of(outcome, partition, name, "val"), outcome, latlon)
    found = score(head, locations, name, "val")
    assert found == replace(expected, head_sha256=head.sha256, n_trained_on=None, trust=found.trust)
    assert expected.top1 == (posterior.argmax(1) == cells).mean()


def test_scores_of_countries(world: tuple[np.ndarray, np.ndarray]) -> None:
    latlon, features = world
    head = head_on(KMeansPartitioner(k=8, seed=0).fit(latlon))
    names = np.array(["DE", "FR", "", None, float("nan")] * 18, dtype=object)
    locations = replace(make_locations(latlon, features), columns={"country": names})
    found = score(head, locations).countries
    assert list(found) == ["DE", "FR"]
    only = score(head, locations.take(np.flatnonzero(names == "DE")))
    assert found["DE"] == {
        "n_locations": 18,
        "balscore": only.balscore,
        **{f"within_{radius}": share for radius, share in only.within.items()},
        "median_km": only.median_km,
        "country_accuracy": only.country_accuracy,
    }
    by_outline = score(head, make_locations(latlon, features)).countries
    assert {name: there["n_locations"] for name, there in by_outline.items()} == Counter(countries_of(latlon).tolist())
    assert Scores.from_dict(score(head, locations).to_dict()).countries == found


def test_locations_outside_count_as_misses_and_are_counted(
    world: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    latlon, features = world
    partition = H3Partitioner(resolution=1).fit(latlon)
    moved = latlon.copy()
    moved[:30] = [50.0, 175.0]
    nothing_east_of(100, monkeypatch)
    scores = score(head_on(partition), make_locations(moved, features))
    assert scores.n_outside == 30
    assert scores.top5 is not None
    assert scores.top5 <= 2 / 3


def test_a_partition_that_only_decodes_gives_distances_alone(world: tuple[np.ndarray, np.ndarray]) -> None:
    latlon, features = world
    fitted = KMeansPartitioner(k=8, seed=0).fit(latlon)
    bare = Partition("centroids", fitted.names, fitted.labels, fitted.centroids, fitted.counts, fitted.radius_km)
    scores = score(head_on(bare), make_locations(latlon, features))
    assert (scores.top1, scores.top5, scores.n_outside) == (None, None, None)
    assert scores.mean_km > 0


def test_score_refuses_other_features_and_unknown_decoders(world: tuple[np.ndarray, np.ndarray]) -> None:
    latlon, features = world
    head, locations = head_on(KMeansPartitioner(k=8).fit(latlon)), make_locations(latlon, features)
    with pytest.raises(
        ValueError,
        match=r"the head and the locations must share one encoder; the head: revision='1'; the locations: revision='2'",
    ):
        score(head, replace(locations, encoder=replace(locations.encoder, revision="2")))
    with pytest.raises(ValueError, match=r"decode must be one of"):
        score(head, locations, "best")
    with pytest.raises(ValueError, match="device must be auto"):
        score(head, locations, device="tpu")
    with pytest.raises(ValueError, match=r"scores need at least one location"):
        score(head, locations.take(np.empty(0, np.int64)))


def test_levels_are_accuracies_of_groups(world: tuple[np.ndarray, np.ndarray]) -> None:
    latlon, features = world
    partition = H3Partitioner(resolution=3).fit(latlon)
    head, locations = head_on(partition), make_locations(latlon, features)
    best, cells = head.posterior(locations).argmax(axis=1), partition.assign(latlon)
    scores = score(head, locations)
    assert scores.levels is not None
    assert list(scores.levels) == list(partition.ancestors) != []
    accuracies = [scores.top1]
    for name, groups in reversed(partition.ancestors.items()):
        found = scores.levels[name]
        right = sum(groups[int(a)] == groups[int(b)] for a, b in zip(best, cells, strict=True))
        assert (found["accuracy"], found["n_groups"]) == (right / 90, len(set(groups.tolist())))
        low, high = scores.intervals[f"level_{name}"]
        assert low <= found["accuracy"] <= high
        accuracies.append(found["accuracy"])
    assert accuracies == sorted(accuracies)
    assert score(head_on(KMeansPartitioner(k=8, seed=0).fit(latlon)), locations).levels is None


def test_a_location_outside_is_a_miss_of_every_level(
    world: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    latlon, features = world
    partition = H3Partitioner(resolution=3).fit(latlon)
    moved = np.full_like(latlon, [50.0, 175.0])
    nothing_east_of(100, monkeypatch)
    scores = score(head_on(partition), make_locations(moved, features))
    assert scores.levels is not None
    assert {level["accuracy"] for level in scores.levels.values()} == {0.0}
