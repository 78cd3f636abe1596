"""The folder of a zero-shot classifier: read as it was written, refused when it was changed."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from geocell.heads.calibration import Calibration
from geocell.heads.zero_shot_folder import (
    is_zero_shot,
    load_zero_shot,
    save_zero_shot,
    write_zero_shot_calibration,
    write_zero_shot_scores,
)
from geocell.imagetext.projection import Projection
from geocell.partitioners.base import Partition
from geocell.zeroshot.settings import ZeroShotSettings
from tests.zeroshot.worlds import DIM, INFO, made, places

KNOWN = Calibration(2.0, {25: 0.1, 200: 0.2, 750: 0.4}, "centroid", {50: 1.0, 90: 2.0})


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    like = made(ZeroShotSettings(region_templates=("In {region}.",), keep=0))
    save_zero_shot(like, tmp_path / "zs")
    assert is_zero_shot(tmp_path / "zs")
    assert not is_zero_shot(tmp_path)
    again = load_zero_shot(tmp_path / "zs")
    assert again.sha256 == like.sha256
    assert np.array_equal(again.posterior(places()), like.posterior(places()))
    with pytest.raises(FileExistsError):
        save_zero_shot(like, tmp_path / "zs")
    save_zero_shot(like, tmp_path / "zs", overwrite=True)
    assert Partition.load(tmp_path / "zs").labels[0] == "Paris, Île-de-France, France"  # decodes for anybody


def test_models_without_a_matrix(tmp_path: Path) -> None:
    like = replace(made(), projection=Projection(None, 3.0, -1.0, True), encoder=replace(INFO, dim=DIM))
    save_zero_shot(like, tmp_path / "zs")
    projection = load_zero_shot(tmp_path / "zs").projection
    assert (projection.matrix, projection.scale, projection.bias, projection.independent) == (None, 3.0, -1.0, True)


def test_calibration_and_scores_are_added(tmp_path: Path) -> None:
    like, folder = made(), tmp_path / "zs"
    save_zero_shot(like, folder)
    write_zero_shot_calibration(folder, KNOWN)
    assert load_zero_shot(folder).calibration == KNOWN
    assert write_zero_shot_scores(folder, {"a": 1}, "test").name == "scores.json"
    assert write_zero_shot_scores(folder, {"a": 1}, "val").name == "scores-val.json"
    save_zero_shot(load_zero_shot(folder), folder, overwrite=True)  # they belong to the folder
    assert load_zero_shot(folder).calibration == KNOWN


def change(**values: Any) -> Any:
    def edit(folder: Path) -> None:
        path = folder / "zero_shot.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return edit


def change_tensor(name: str, value: Any) -> Any:
    def edit(folder: Path) -> None:
        tensors = load_file(folder / "texts.safetensors")
        if value is None:
            del tensors[name]
        else:
            tensors[name] = value
        save_file(tensors, folder / "texts.safetensors")

    return edit


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (change(format=2), "of format 2"),
        (change(scale="high"), "must have a number as 'scale'"),
        (change(scale=0), "needs a scale above 0"),
        (change(scale=10**30), "isfinite|scale"),
        (change(scale=3.0), "and a file was changed"),
        (change(independent=1), "must have true or false as 'independent'"),
        (change(candidates=[]), "from 1 to 250,000 cities, got 0"),
        (change(candidates=[{"country": "France"}]), "candidates must have 'city', a text, and lacks it"),
        (change(settings={}), "settings must have the keys"),
        (change_tensor("texts.city", None), "must hold float32 embeddings of"),
        (change_tensor("texts.city", np.zeros((7, DIM), np.float32)), "must hold float32 embeddings of"),
        (change_tensor("texts.city", np.zeros((6, DIM), np.float16)), "must hold float32 embeddings of"),
        (change_tensor("texts.more", np.zeros((6, DIM), np.float32)), "must hold float32 embeddings of"),
        (change_tensor("projection", np.zeros((3, 16), np.float32)), "must hold float32 embeddings of"),
        (change_tensor("texts.city", np.ones((6, DIM), np.float32)), "and a file was changed"),
        (lambda folder: (folder / "texts.safetensors").write_bytes(b"x"), "must be a safetensors file"),
        (lambda folder: (folder / "texts.safetensors").unlink(), "needs the file texts.safetensors"),
        (lambda folder: (folder / "zero_shot.json").write_text("{"), "must be JSON"),
    ],
)
def test_changed_folders_are_refused(tmp_path: Path, edit: Any, message: str) -> None:
    save_zero_shot(made(), tmp_path / "zs")
    edit(tmp_path / "zs")
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load_zero_shot(tmp_path / "zs")
