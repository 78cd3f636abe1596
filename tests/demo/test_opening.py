"""The parts of a demo by their names."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from geocell.demo.opening import about, open_answerer, open_quiz, place_names
from geocell.heads.zero_shot_folder import save_zero_shot
from geocell.imagetext.projection import Projection
from geocell.prediction.predictions import town_names
from tests.demo.conftest import Quarters, World
from tests.zeroshot.worlds import DIM, made


def test_a_quiz_is_opened_by_its_folders(world: World) -> None:
    quiz = open_quiz(world.head, world.folder / "cache", world.folder / "splits.json", device="cpu")
    assert sorted(quiz.locations.ids) == ["loc008", "loc009", "loc010", "loc011"]
    assert quiz.decode == "centroid"
    assert (quiz.names is town_names) == (place_names() is not None)


def test_a_head_is_said_to_always_answer(world: World) -> None:
    assert about(world.head) == "4 cells on features of quarters. A head always answers, also where it knows nothing."


def test_zero_shot_shares_the_encoder_of_the_head_where_it_is_the_same(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix = np.ones((DIM, Quarters.info.dim), np.float32)
    like = replace(made(), encoder=Quarters.info, projection=Projection(matrix, 3.0))
    save_zero_shot(like, tmp_path / "zs")
    answerer = open_answerer(world.locator, tmp_path / "zs")
    assert answerer.zero_shot is not None
    assert len(answerer.encoders) == 1
    assert open_answerer(world.locator).zero_shot is None
    with pytest.raises(FileNotFoundError):
        open_answerer(world.locator, world.folder / "nowhere")
    world.head.save(tmp_path / "head")
    with pytest.raises(ValueError, match="must be a zero-shot classifier, got the head"):
        open_answerer(world.locator, tmp_path / "head")
    other = replace(Quarters.info, revision="2")
    loaded = Quarters()
    loaded.info = other
    monkeypatch.setattr("geocell.demo.opening.encoder_for", lambda info, _device: loaded if info == other else None)
    save_zero_shot(replace(like, encoder=other), tmp_path / "other")
    assert open_answerer(world.locator, tmp_path / "other").encoders[1] is loaded
