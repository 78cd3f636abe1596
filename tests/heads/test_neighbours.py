"""Fitting the parameters of `knn`, and the index in the folder of a head."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geocell.evaluation.score import score
from geocell.features.neighbours import NEIGHBOURS_FILE, NeighbourIndex
from geocell.heads.head import Head, load_head
from geocell.heads.neighbours import fit_neighbours
from geocell.publishing.push import push_head
from tests.heads.test_head import make_head, world


def indexed() -> Head:
    head = make_head()
    return replace(head, neighbours=NeighbourIndex.from_locations(head, world()))


def test_the_best_that_was_tried_is_returned_and_scores_like_it() -> None:
    head = indexed()
    assert head.neighbours is not None
    decoder, rows = fit_neighbours(
        head, head.neighbours, world(), n_cells=(1, 6), temperatures=(1e-4, 1.0), shares=(0.0, 1.0)
    )
    assert len(rows) == 8
    best = max(rows, key=lambda row: row["balscore"])
    assert (decoder.n_cells, decoder.temperature, decoder.share) == (6, 1e-4, 0.0)  # each is its own neighbour
    assert best["balscore"] == 1.0
    assert decoder.within_25 == pytest.approx(40.5 / 41)
    assert score(head, world(), decoder, "val", "cpu", allow_training=True).balscore == 1.0
    lines: list[str] = []
    fit_neighbours(head, head.neighbours, world(), n_cells=(1, 6), device="cpu", report=lines.append)
    assert lines == [
        f"searching 40 training locations in the {n} most probable cells of 40 locations, {i} of 2"
        for i, n in ((1, 1), (2, 6))
    ]
    with pytest.raises(ValueError, match="validation locations, and there is none"):
        fit_neighbours(head, head.neighbours, world().take(np.empty(0, np.int64)))


def test_the_folder_keeps_it_and_answers_the_same(tmp_path: Path) -> None:
    head = indexed()
    head.save(tmp_path / "head")
    back = load_head(tmp_path / "head")
    ours, theirs = (next(iter(one.answer_chunks(world(1), "knn", "cpu")))[2] for one in (head, back))
    assert np.array_equal(ours, theirs)
    (tmp_path / "head" / NEIGHBOURS_FILE).unlink()
    assert load_head(tmp_path / "head").neighbours is None
    make_head().save(tmp_path / "plain")
    assert not (tmp_path / "plain" / NEIGHBOURS_FILE).exists()


def test_it_is_published_on_request_alone(tmp_path: Path) -> None:
    indexed().save(tmp_path / "head")
    without = push_head(tmp_path / "head", "someone/head", dry_run=True)
    assert NEIGHBOURS_FILE not in without.files
    assert without.left_out == (NEIGHBOURS_FILE,)
    assert NEIGHBOURS_FILE in push_head(tmp_path / "head", "someone/head", dry_run=True, with_neighbours=True).files
