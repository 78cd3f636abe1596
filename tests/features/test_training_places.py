"""Training places, and their file."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geocell.features.training_places import PLACES_FILE, TrainingPlaces, read_places
from tests.heads.test_head import CELLS, make_head, world


def test_locations_at_one_place_of_a_cell_are_counted() -> None:
    latlon = np.array([[48.123456, 11.0], [48.1234561, 11.0], [48.2, 11.0], [48.2, 11.0], [48.2, 11.0]])
    places = TrainingPlaces.of(latlon, [3, 3, 1, 1, 3], "x")
    assert places.latlon.tolist() == [[48.2, 11.0], [48.12346, 11.0], [48.2, 11.0]]
    assert (places.cells.tolist(), places.counts.tolist(), len(places)) == ([1, 3, 3], [2, 2, 1], 3)
    order = [4, 2, 0, 3, 1]
    again = TrainingPlaces.of(latlon[order], np.array([3, 3, 1, 1, 3])[order], "x")
    assert again.sha256 == places.sha256
    assert TrainingPlaces.of(latlon[:4], [3, 3, 1, 1], "x").sha256 != places.sha256


def test_they_are_those_of_training_locations_in_cells() -> None:
    head, train = make_head(), world()
    places = TrainingPlaces.from_locations(head, train)
    inside = head.partition.assign(train.latlon) >= 0
    assert places.counts.sum() == inside.sum()
    assert {*map(tuple, places.latlon)} == {*map(tuple, train.latlon[inside].round(5))}
    places.require_for(head)
    assert repr(places) == f"<TrainingPlaces: {len(places)} places of {inside.sum()} locations>"


def test_the_file_is_read_back_and_a_damaged_one_refused(tmp_path: Path) -> None:
    places = TrainingPlaces.from_locations(make_head(), world())
    places.save_into(tmp_path)
    assert read_places(tmp_path).sha256 == places.sha256
    path = tmp_path / PLACES_FILE
    whole = path.read_bytes()
    path.write_bytes(whole[:-8])
    with pytest.raises(ValueError, match="must be the training places of a head, got a damaged one"):
        read_places(tmp_path)
    for damaged in (
        {"cells": places.cells[::-1].copy()},
        {"cells": np.full(len(places), -1)},
        {"counts": np.zeros(len(places), np.int64)},
        {"rounded": np.full((len(places), 2), 9_500_000, np.int32)},
    ):
        with pytest.raises(ValueError, match="training places need"):
            replace(places, **damaged)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r"needs the file places\.safetensors"):
        read_places(tmp_path)


def test_a_file_of_other_tensors_is_refused_before_it_is_read(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    places = TrainingPlaces.from_locations(make_head(), world())
    tensors = {"latlon": places.rounded, "cells": places.cells, "counts": places.counts}
    for wrong in ({**tensors, "latlon": places.latlon}, {**tensors, "more": places.cells}, {"cells": places.cells}):
        save_file(wrong, tmp_path / PLACES_FILE, {"partition_sha256": ""})
        with pytest.raises(ValueError, match=r"got a damaged one \(it holds"):
            read_places(tmp_path)
    save_file(tensors, tmp_path / PLACES_FILE)
    with pytest.raises(ValueError, match="does not say of which cells it is"):
        read_places(tmp_path)
    big = tensors | {"latlon": np.full_like(places.rounded, np.iinfo(np.int32).min)}
    save_file(big, tmp_path / PLACES_FILE, {"partition_sha256": ""})
    with pytest.raises(ValueError, match=r"damaged one \(training places need coordinates on the earth"):
        read_places(tmp_path)


def test_places_of_other_cells_are_refused() -> None:
    places = TrainingPlaces.from_locations(make_head(), world())
    with pytest.raises(ValueError, match="must be in the cells of the head"):
        replace(places, partition_sha256="other").require_for(make_head())
    with pytest.raises(ValueError, match="must be in the cells of the head"):
        replace(places, cells=np.full(len(places), CELLS)).require_for(make_head())
    with pytest.raises(ValueError, match=r"cells and counts \(N,\), N >= 1, got"):
        TrainingPlaces.of(np.empty((0, 2)), [], "")
