"""The candidates of a combination: training places, pieces of the intersection of cells, centroids, cells."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.geo.geodesy import distance_km, spherical_mean
from geocell.heads.candidates import cells_of, make_candidates
from geocell.partitioners import KMeansPartitioner
from geocell.partitioners.base import OUTSIDE, Partition


def world(n: int = 60, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    places = np.stack((rng.uniform(40, 60, n), rng.uniform(0, 20, n)), axis=1)
    return places[rng.integers(0, n, 2 * n)]  # some coordinates come more than once


def partitions(latlon: np.ndarray) -> list[Partition]:
    return [KMeansPartitioner(k=k, seed=k).fit(latlon) for k in (4, 7)]


@given(st.integers(0, 50))
def test_places_are_the_distinct_coordinates(seed: int) -> None:
    latlon = world(seed=seed)
    found = make_candidates(partitions(latlon), latlon, "places")
    distinct = np.unique(latlon, axis=0)
    assert found.partition.centroids == pytest.approx(distinct)
    assert found.partition.centroids[found.train] == pytest.approx(latlon)
    assert found.partition.counts.tolist() == [int((latlon == place).all(axis=1).sum()) for place in distinct]
    assert found.places.tolist() == [1] * len(distinct)
    for row, partition in zip(found.cells, partitions(latlon), strict=True):
        assert row.tolist() == partition.assign(distinct).tolist()
    assert not found.partition.can_assign


@given(st.integers(0, 50))
def test_pieces_share_a_cell_in_every_partition(seed: int) -> None:
    latlon = world(seed=seed)
    both = partitions(latlon)
    found = make_candidates(both, latlon, "pieces")
    tuples = list(zip(*(partition.assign(latlon).tolist() for partition in both), strict=True))
    assert len(found.partition) == len(set(tuples))
    for piece in range(len(found.partition)):
        inside = found.train == piece
        (cells,) = {tuples[i] for i in np.flatnonzero(inside)}
        assert found.cells[:, piece].tolist() == list(cells)
        assert found.places[piece] == len(np.unique(latlon[inside], axis=0))
        assert found.partition.centroids[piece] == pytest.approx(spherical_mean(latlon[inside]), abs=1e-9)
        far = distance_km(latlon[inside], found.partition.centroids[piece]).max()
        assert found.partition.radius_km[piece] == pytest.approx(far)


def test_the_order_of_training_locations_does_not_matter() -> None:
    latlon = world()
    both = partitions(latlon)
    for rule in ("places", "pieces"):
        found, again = (make_candidates(both, rows, rule).partition.sha256 for rows in (latlon, latlon[::-1]))
        assert found == again


def test_centroids_of_all_where_there_are_no_training_locations() -> None:
    both = partitions(world())
    found = make_candidates(both)
    assert len(found.partition) == 11
    for row, partition in zip(found.cells, both, strict=True):
        assert row.tolist() == partition.assign(found.partition.centroids).tolist()
    near = make_candidates(both, world(), "centroids")
    assert near.train.tolist() == near.partition.nearest(world()).tolist()


def test_one_partition_keeps_its_rule() -> None:
    partition = partitions(world())[0]
    found = make_candidates([partition, partition], world())
    assert found.partition is partition
    assert found.cells.tolist() == [list(range(4))] * 2
    assert found.train.tolist() == partition.assign(world()).tolist()


def test_a_place_outside_every_cell_is_in_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    partition = partitions(world())[0]
    monkeypatch.setattr(Partition, "assign", lambda _partition, latlon: np.full(len(latlon), OUTSIDE))
    assert cells_of([partition], world()).tolist() == [partition.nearest(world()).tolist()]


def test_what_is_not_there_is_said() -> None:
    both = partitions(world())
    with pytest.raises(
        ValueError, match="candidates must be one of auto, cells, places, pieces, centroids, got 'best'"
    ):
        make_candidates(both, None, "best")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the candidates pieces are made of training locations"):
        make_candidates(both, None, "pieces")
    with pytest.raises(ValueError, match="the candidates cells need heads on one partition"):
        make_candidates(both, world(), "cells")
    with pytest.raises(ValueError, match="candidates are made of training locations, got none"):
        make_candidates(both, np.empty((0, 2)))


def test_many_places_become_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    both, latlon = partitions(world()), world()
    assert make_candidates(both, latlon).partition.parameters["candidates"] == "places"
    monkeypatch.setattr("geocell.heads.candidates.MOST_PLACES", 10)
    assert make_candidates(both, latlon).partition.parameters["candidates"] == "pieces"
