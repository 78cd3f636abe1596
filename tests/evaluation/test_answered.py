"""Answers for pieces of locations, and what they are scored by."""

import numpy as np
import pytest

from geocell.evaluation.answered import answered
from geocell.features import pieces
from geocell.features.locations import Locations
from geocell.heads.head import Head
from geocell.partitioners import H3Partitioner
from tests.elsewhere import elsewhere
from tests.evaluation.test_score import head_on
from tests.worlds import make_locations


@pytest.fixture
def world() -> tuple[Head, Locations]:
    rng = np.random.default_rng(5)
    latlon = np.stack((rng.uniform(40, 60, 50), rng.uniform(0, 20, 50)), 1)
    return head_on(H3Partitioner(resolution=1).fit(latlon)), make_locations(latlon, rng.normal(size=(50, 8)))


def test_answers_are_those_of_the_posterior(world: tuple[Head, Locations], monkeypatch: pytest.MonkeyPatch) -> None:
    head, locations = world
    monkeypatch.setattr(pieces, "PIECE", 20)
    found = answered(head, locations, head.prepare("centroid"), "cpu", trust=True)
    posterior = head.posterior(locations, "cpu")
    assert found.best is not None
    np.testing.assert_array_equal(found.best, posterior.argmax(axis=1))
    np.testing.assert_array_equal(found.points, head.partition.centroids[found.best])
    assert found.cells is not None
    np.testing.assert_array_equal(found.cells, head.partition.assign(locations.latlon))
    assert found.hits is not None
    np.testing.assert_array_equal(found.hits[0], found.best == found.cells)
    five = np.argsort(-posterior, axis=1)[:, :5]
    np.testing.assert_array_equal(found.hits[1], (five == found.cells[:, None]).any(axis=1))
    assert found.trust is not None
    np.testing.assert_array_equal(found.trust.largest, posterior.max(axis=1))
    assert found.n_flagged is None  # no region was learned
    assert answered(head, locations, head.prepare("centroid"), "cpu").trust is None


def test_who_watches_sees_every_row_in_this_process(
    world: tuple[Head, Locations], monkeypatch: pytest.MonkeyPatch
) -> None:
    head, locations = world
    monkeypatch.setattr(pieces, "PIECE", 20)
    seen = np.zeros((50, len(head.partition)), dtype=np.float32)
    points = np.zeros((50, 2))

    def watch(rows: slice, posterior: np.ndarray, answers: np.ndarray) -> None:
        assert not seen[rows].any()
        seen[rows], points[rows] = posterior, answers

    with elsewhere() as engine:
        found = answered(head, locations, head.prepare("mean"), "cpu", watch=watch)
    assert engine.pieces == 0
    np.testing.assert_array_equal(seen, head.posterior(locations, "cpu"))
    np.testing.assert_array_equal(points, found.points)
