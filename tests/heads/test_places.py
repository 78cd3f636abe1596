"""Choosing in how many cells training places are candidates, and the places in the folder of a head."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geocell.decoders.base import PartitionData
from geocell.features.neighbours import NeighbourIndex
from geocell.features.training_places import PLACES_FILE, TrainingPlaces
from geocell.geo.geodesy import distance_km
from geocell.heads.additions import write_learned
from geocell.heads.hashes import write_hashes
from geocell.heads.head import Head, load_head
from geocell.heads.places import fit_places
from geocell.metrics.outcomes import balscore_of
from geocell.publishing.push import push_head
from tests.heads.test_calibration import LEARNED
from tests.heads.test_head import make_head, world


def placed() -> Head:
    head = make_head()
    return replace(head, places=TrainingPlaces.from_locations(head, world()))


def test_the_best_that_was_tried_is_returned_and_scores_like_it() -> None:
    head, val = placed(), world(1)
    assert head.places is not None
    decoder, rows = fit_places(head, head.places, val, n_cells=(1, 2, 6), device="cpu")
    assert [row["places"] for row in rows] == [1, 2, 6]
    best = max(rows, key=lambda row: row["balscore"])
    assert decoder.places == best["places"]
    data = PartitionData(head.partition.centroids, places=head.places)
    km = distance_km(decoder.prepare(data)(head.posterior(val, "cpu")), val.latlon)
    assert balscore_of(km) == pytest.approx(best["balscore"])
    with pytest.raises(ValueError, match="validation locations, and there is none"):
        fit_places(head, head.places, val.take(np.empty(0, np.int64)))
    with pytest.raises(ValueError, match="must be in the cells of the head"):
        fit_places(head, replace(head.places, partition_sha256="x"), val)


def test_the_folder_keeps_them_and_answers_the_same(tmp_path: Path) -> None:
    head = placed()
    head.save(tmp_path / "head")
    back = load_head(tmp_path / "head")
    spec = "balscore:0.2,0.5,0.8,places=3"
    ours, theirs = (next(iter(one.answer_chunks(world(1), spec, "cpu")))[2] for one in (head, back))
    assert np.array_equal(ours, theirs)
    assert back.sha256 == head.sha256 == make_head().sha256  # no part of what it is, until it answers by them
    (tmp_path / "head" / PLACES_FILE).unlink()
    assert load_head(tmp_path / "head").places is None
    make_head().save(tmp_path / "plain")
    assert not (tmp_path / "plain" / PLACES_FILE).exists()
    assert head.places is not None
    write_learned(tmp_path / "plain", head, replace(head, places=None))
    found = load_head(tmp_path / "plain").places
    assert found is not None
    assert found.sha256 == head.places.sha256


def test_those_of_other_cells_are_refused(tmp_path: Path) -> None:
    head = placed()
    assert head.places is not None
    with pytest.raises(ValueError, match="must be in the cells of the head"):
        replace(head, places=replace(head.places, partition_sha256="other"))
    make_head().save(tmp_path / "head")
    replace(head.places, partition_sha256="other").save_into(tmp_path / "head")
    write_hashes(tmp_path / "head")
    with pytest.raises(ValueError, match="must be in the cells of the head"):
        load_head(tmp_path / "head")


def test_a_head_that_answers_by_them_is_another_with_others() -> None:
    head = replace(placed(), calibration=replace(LEARNED, decoder="balscore:places=3"))
    assert head.places is not None
    other = replace(head, places=replace(head.places, counts=head.places.counts + 1))
    assert other.sha256 != head.sha256
    indexed = replace(head, places=None, neighbours=NeighbourIndex.from_locations(head, world()))
    assert indexed.sha256 == head.sha256  # the same places


def test_they_are_published_on_request_alone(tmp_path: Path) -> None:
    placed().save(tmp_path / "head")
    without = push_head(tmp_path / "head", "someone/head", dry_run=True)
    assert PLACES_FILE not in without.files
    assert without.left_out == (PLACES_FILE,)
    assert PLACES_FILE in push_head(tmp_path / "head", "someone/head", dry_run=True, with_places=True).files
