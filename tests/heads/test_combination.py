"""Heads of several partitions as one: posteriors against a loop over places."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from geocell.encoders.info import NOT_PINNED
from geocell.evaluation.combine import combine
from geocell.features.locations import Locations
from geocell.geo.geodesy import distance_km
from geocell.heads.combination import Combination, load_combination
from geocell.heads.ensemble import Ensemble
from geocell.heads.fit_config import FitConfig
from geocell.heads.head import Head
from geocell.heads.module import GeoHead
from geocell.heads.pooling import Pooling, Rule, Vote
from geocell.heads.zero_shot import ZeroShot
from geocell.imagetext.projection import Projection
from geocell.partitioners import KMeansPartitioner
from geocell.zeroshot.settings import ZeroShotSettings
from tests.heads.test_head import DIM, make_head, random_module, world
from tests.worlds import make_locations
from tests.zeroshot.worlds import DIM as CITY_DIM
from tests.zeroshot.worlds import made as zero_shot

pytestmark = pytest.mark.usefixtures("one_thread")


def heads(*sizes: int) -> list[Head]:
    """Return heads on K-Means cells of these numbers."""
    found = []
    for k in sizes or (4, 6, 9):
        partition = KMeansPartitioner(k=k, seed=k).fit(world().latlon)
        module = GeoHead(DIM, len(partition))
        rng = np.random.default_rng(k)
        module.load_state_dict(
            {name: v.new_tensor(rng.normal(size=v.shape)) for name, v in module.state_dict().items()}
        )
        found.append(Head(module, partition, world().encoder, FitConfig()))
    return found


def named(locations: Locations, prefix: str) -> Locations:
    ids = np.array([f"{prefix}{i}" for i in range(len(locations))], dtype=object)
    return replace(locations, ids=ids)


@pytest.mark.parametrize("rule", ["linear", "log"])
def test_the_mass_of_a_cell_is_shared_by_its_training_places(rule: Rule) -> None:
    members, train, asked = heads(), world(), world(5)
    pooling = Pooling(rule, (0.2, 0.3, 0.5))
    made = combine(members, train, pooling=pooling)
    found = made.posterior(asked, "cpu")
    assert found.shape == (len(asked), len(train))
    points = made.partition.centroids
    shares = []
    for member in members:
        cells = member.partition.assign(points)
        posterior = member.posterior(asked, "cpu").astype(np.float64)
        shares.append(np.stack([np.maximum(posterior[:, c] / (cells == c).sum(), 1e-12) for c in cells], axis=1))
    pairs = list(zip(pooling.weights, shares, strict=True))
    expected = sum(w * p for w, p in pairs) if rule == "linear" else np.prod([p**w for w, p in pairs], axis=0)
    expected = np.asarray(expected) / np.sum(expected, axis=1, keepdims=True)
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_on_one_partition_it_is_the_ensemble() -> None:
    first = make_head()
    three = [replace(first, module=random_module(seed)) for seed in range(3)]
    ensemble, made = Ensemble(tuple(three)), combine(three)
    assert made.partition is first.partition
    assert made.posterior(world(5), "cpu") == pytest.approx(ensemble.posterior(world(5), "cpu"), abs=1e-6)
    assert ensemble.as_combination().sha256 == made.sha256


def test_chunks_do_not_matter() -> None:
    made = combine(heads(), world(), knn=True)
    whole = made.posterior(world(5), "cpu")
    pieces = [part for _, part, _ in made.answer_chunks(world(5), device="cpu", chunk=7)]
    assert np.concatenate(pieces) == pytest.approx(whole, abs=1e-6)


def test_the_nearest_training_features_decide_where_they_alone_count() -> None:
    train = make_locations(world().latlon, np.random.default_rng(1).normal(size=(len(world()), DIM)).astype(np.float16))
    made = combine(heads(), train, pooling=Pooling.equal(3, vote=Vote(1e-3, 0.0)))
    best = made.posterior(train, "cpu").argmax(axis=1)
    assert made.partition.centroids[best] == pytest.approx(train.latlon)
    points = np.concatenate([points for _, _, points in made.answer_chunks(train, "knn", "cpu")])
    assert points.shape == train.latlon.shape  # its index serves the decoder too


@cache
def complete() -> Combination:
    """Return a combination with every part."""
    made = combine(heads(), world(), named(world(7), "val"), split="val", pool="log")
    voting = combine(heads(), world(), pooling=replace(made.pooling, vote=Vote()))
    return replace(voting, calibration=made.calibration, record=made.record)


def test_its_hash_covers_what_answers_depend_on() -> None:
    made = complete()
    assert made.calibration is not None
    assert made.neighbours is not None
    others = [
        replace(made, members=(made.members[1], *made.members[1:]), cells=made.cells[[1, 1, 2]]),
        replace(made, pooling=replace(made.pooling, rule="linear")),
        replace(made, pooling=replace(made.pooling, weights=(0.5, 0.25, 0.25))),
        replace(made, pooling=replace(made.pooling, vote=Vote(0.01))),
        replace(made, places=made.places + 1),
        replace(made, calibration=replace(made.calibration, temperature=3.0)),
        replace(made, neighbours=replace(made.neighbours, mean=made.neighbours.mean + 1)),
    ]
    assert len({made.sha256, *(other.sha256 for other in others)}) == 8
    assert replace(made, record={}).sha256 == made.sha256


def test_what_is_no_combination() -> None:
    members = heads()
    with pytest.raises(ValueError, match="a combination has from two to 64 heads, got 1"):
        combine(members[:1])
    other = replace(members[1], encoder=replace(members[1].encoder, name="another"))
    with pytest.raises(
        ValueError, match=r"the heads are of 2 encoders, another \+ tiny, and the training locations have"
    ):
        combine([members[0], other], world())
    with pytest.raises(ValueError, match="the encoder tiny is not pinned to a commit, and is joined only once it is"):
        combine([replace(members[0], encoder=replace(members[0].encoder, revision=NOT_PINNED)), other])
    made = combine(members, world())
    with pytest.raises(ValueError, match=r"needs cells \(M, K\), places \(K,\) and M weights"):
        replace(made, pooling=Pooling.equal(2))
    with pytest.raises(ValueError, match="needs cells of its members and at least one place"):
        replace(made, cells=made.cells + 100)
    with pytest.raises(ValueError, match="their index is not there"):
        replace(made, pooling=Pooling.equal(3, vote=Vote()))


def test_it_shows_itself() -> None:
    combined = combine(heads(), world())
    page = combined._repr_html_()
    assert "kmeans, 4 cells" in page
    assert f">{len(combined.partition):,} of {int(combined.places.sum()):,} training places</td>" in page
    assert repr(combined).startswith("<Combination of 3 heads tiny on ")


def classifier() -> ZeroShot:
    """Return a zero-shot classifier over six cities, three of them far from every training place."""
    matrix = np.random.default_rng(3).normal(size=(CITY_DIM, DIM)).astype(np.float32)
    return replace(zero_shot(ZeroShotSettings(keep=0)), encoder=world().encoder, projection=Projection(matrix, 12.0))


@pytest.mark.parametrize("rule", ["linear", "log"])
def test_the_mass_of_a_city_is_shared_by_the_places_that_are_nearest_to_it(rule: Rule) -> None:
    head, cities, train, asked = heads(6)[0], classifier(), world(), world(5)
    made = combine([head, cities], train, pooling=Pooling(rule, (0.3, 0.7)))
    found = made.posterior(asked, "cpu")
    points = made.partition.centroids
    cells = head.partition.assign(points)
    by_head = head.posterior(asked, "cpu").astype(np.float64)
    first = np.stack([by_head[:, c] / (cells == c).sum() for c in cells], axis=1)
    by_city = cities.posterior(asked).astype(np.float64)
    second = np.zeros_like(first)
    towns = cities.candidates.latlon
    nearest_town = np.array([distance_km(np.tile(point, (len(towns), 1)), towns).argmin() for point in points])
    for city, town in enumerate(towns):
        own = np.flatnonzero(nearest_town == city)
        if not len(own):  # no place has it as its nearest city: all of it goes to the place nearest to it
            own = np.array([distance_km(np.tile(town, (len(points), 1)), points).argmin()])
        second[:, own] += by_city[:, [city]] / len(own)
    parts = [np.maximum(part, 1e-12) for part in (first, second)]
    expected = 0.3 * parts[0] + 0.7 * parts[1] if rule == "linear" else parts[0] ** 0.3 * parts[1] ** 0.7
    expected /= expected.sum(axis=1, keepdims=True)
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_a_combination_with_zero_shot_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = combine([heads(6)[0], classifier()], world(), named(world(7), "val"), split="val", pool="log")
    made.save(tmp_path / "made")
    again = load_combination(tmp_path / "made")
    assert again.sha256 == made.sha256
    assert isinstance(again.members[1], ZeroShot)
    whole = again.posterior(world(5), "cpu")
    assert np.array_equal(whole, made.posterior(world(5), "cpu"))
    monkeypatch.setattr("geocell.heads.zero_shot._MOST", 6 * 5)  # pieces of five locations, in chunks of seven
    pieces = [part for _, part, _ in again.answer_chunks(world(5), device="cpu", chunk=7)]
    assert np.concatenate(pieces) == pytest.approx(whole, abs=1e-6)
    card = (tmp_path / "made" / "README.md").read_text()
    assert "2 classifiers over different cells of the earth" in card
    assert "; zero-shot over 6 cities |" in card
    with pytest.raises(ValueError, match="and a file was changed"):
        path = tmp_path / "made" / "1" / "zero_shot.json"
        path.write_text(path.read_text().replace('"scale": 12.0', '"scale": 13.0'))
        load_combination(tmp_path / "made")


def test_two_zero_shot_classifiers_are_combined_without_a_head() -> None:
    first = classifier()
    second = replace(first, projection=replace(first.projection, scale=6.0))
    made = combine([first, second])  # of the same cities
    assert made.trained_on is None
    asked = world(5)
    assert made.posterior(asked) == pytest.approx((first.posterior(asked) + second.posterior(asked)) / 2, abs=1e-6)
