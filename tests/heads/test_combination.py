"""Heads of several partitions as one: posteriors against a loop over places."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from geocell.encoders.info import NOT_PINNED
from geocell.evaluation.combine import combine
from geocell.features.locations import Locations
from geocell.heads.combination import Combination
from geocell.heads.ensemble import Ensemble
from geocell.heads.fit_config import FitConfig
from geocell.heads.head import Head
from geocell.heads.module import GeoHead
from geocell.heads.pooling import Pooling, Rule, Vote
from geocell.partitioners import KMeansPartitioner
from tests.heads.test_head import DIM, make_head, random_module, world
from tests.worlds import make_locations

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
