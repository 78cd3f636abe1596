"""The index of training features, against a plain loop, and its file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geocell.features import neighbours as module
from geocell.features.neighbour_masses import most_probable
from geocell.features.neighbours import NeighbourIndex, read_neighbours
from tests.heads.test_head import CELLS, DIM, N, make_head, world


@pytest.fixture(params=[None, 5])
def index(request: pytest.FixtureRequest) -> NeighbourIndex:
    return NeighbourIndex.from_locations(make_head(), world(), request.param)


def test_nearest_equals_a_plain_loop_whatever_the_blocks(
    index: NeighbourIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = world(1).mean_features()
    allowed = most_probable(np.random.default_rng(0).dirichlet(np.ones(CELLS), len(asked)), 3)
    whole = index.nearest(asked, 4, allowed)
    monkeypatch.setattr(module, "_ROWS", 7)
    monkeypatch.setattr(module, "_BLOCK", 9)
    monkeypatch.setattr(module, "_CANDIDATES", 50)
    assert np.array_equal(index.nearest(asked, 4, allowed)[0], whole[0])
    for i, feature in enumerate(asked):
        row = feature - index.mean
        row = row if index.components is None else index.components @ row
        cosines = index.features.astype(np.float64) @ (row / np.linalg.norm(row))
        cosines[~allowed[i, index.cells]] = -np.inf
        best = np.argsort(-cosines, kind="stable")[:4]
        assert whole[1][i] == pytest.approx(cosines[best], abs=1e-5)
        there = np.isfinite(cosines[best])
        assert np.array_equal(whole[0][i][there], best[there])


def test_few_in_the_cells_that_are_allowed(index: NeighbourIndex) -> None:
    """All of them are found, in order, and the others are nowhere."""
    asked = world(1).mean_features()
    allowed = np.zeros((len(asked), CELLS), dtype=np.bool_)
    allowed[1:, 2] = True
    found, cosines = index.nearest(asked, N, allowed)
    inside = int((index.cells == 2).sum())
    assert 0 < inside < N
    assert np.isfinite(cosines).sum(axis=1).tolist() == [0, *[inside] * (len(asked) - 1)]
    assert (index.cells[found[1:, :inside]] == 2).all()
    assert (np.diff(cosines[1:, :inside], axis=1) <= 0).all()
    everywhere = np.ones((len(asked), CELLS), dtype=np.bool_)
    for a, b in zip(index.nearest(asked, 5, everywhere), index.nearest(asked, 5), strict=True):
        assert np.allclose(a, b, atol=1e-6)


def test_a_training_location_is_its_own_nearest(index: NeighbourIndex) -> None:
    found, cosines = index.nearest(world().mean_features(), 1)
    assert np.array_equal(found[:, 0], np.arange(N))
    assert cosines == pytest.approx(np.ones((N, 1)), abs=2e-3)  # float16


def test_the_file_is_read_back_and_a_damaged_one_refused(index: NeighbourIndex, tmp_path: Path) -> None:
    index.save_into(tmp_path)
    back = read_neighbours(tmp_path)
    for name in ("features", "latlon", "cells", "mean"):
        assert np.array_equal(getattr(back, name), getattr(index, name))
    assert (back.components is None) == (index.components is None)
    assert (back.encoder, back.partition_sha256) == (index.encoder, index.partition_sha256)
    path = tmp_path / module.NEIGHBOURS_FILE
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(ValueError, match="must be an index of training features, got a damaged one"):
        read_neighbours(tmp_path)
    replace(index, cells=np.full(N, CELLS)).save_into(tmp_path)
    with pytest.raises(ValueError, match="on the cells of the head"):
        read_neighbours(tmp_path).require_for(make_head())


def test_refuses_what_does_not_belong(index: NeighbourIndex) -> None:
    other = replace(index, encoder=replace(index.encoder, pooling="mean"))
    with pytest.raises(ValueError, match="the head and the index of training features must share one encoder"):
        other.require_for(make_head())
    with pytest.raises(ValueError, match="dims must be from 1 to 16"):
        NeighbourIndex.from_locations(make_head(), world(), DIM + 1)
    with pytest.raises(ValueError, match=r"features \(P, 16\) and k of at least 1, got \(1, 3\)"):
        index.nearest(np.ones((1, 3)), 1)
    with pytest.raises(ValueError, match="cells from 0 on"):
        replace(index, cells=np.full(N, -1))
