"""The folder of a combination: read as written, and damaged, hostile or mixed ones."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geocell.heads.combination import load_combination
from geocell.heads.head import load_head
from geocell.heads.loading import load_head_like
from geocell.heads.trained_on import TrainedOn
from tests.heads.test_combination import complete, heads
from tests.heads.test_config_file import ORIGIN
from tests.heads.test_head import world

pytestmark = pytest.mark.usefixtures("one_thread")


def test_it_is_read_as_written(tmp_path: Path) -> None:
    made = complete()
    assert made.calibration is not None
    assert made.pooling.rule == "log"
    made.save(tmp_path / "all")
    again = load_combination(tmp_path / "all")
    assert again.sha256 == made.sha256
    assert np.array_equal(again.posterior(world(5), "cpu"), made.posterior(world(5), "cpu"))
    assert again.record == json.loads(json.dumps(made.record))
    assert (again.calibration, again.pooling) == (made.calibration, made.pooling)
    assert load_head_like(tmp_path / "all").sha256 == made.sha256
    with pytest.raises(ValueError, match=r"expected one head, got the combination .*all: name one of its members"):
        load_head(tmp_path / "all")
    with pytest.raises(FileExistsError, match="exists"):
        made.save(tmp_path / "all")
    made.save(tmp_path / "all", overwrite=True)
    with pytest.raises(FileExistsError, match="replaces only a result of the same command"):
        heads()[0].save(tmp_path / "all", overwrite=True)


def test_the_card_knows_what_the_members_were_fitted_on(tmp_path: Path) -> None:
    made = complete()
    members = [replace(head, training={"n_train": 40, "n_val": 4}) for head in made.members]
    known = TrainedOn(np.arange(50, dtype=np.uint64))

    def card(**changes: Any) -> str:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        replace(made, **{"members": tuple(members), "trained_on": known, **changes}).save(folder)
        assert (
            load_combination(folder).parts.config_json()
            == replace(made, **{"members": tuple(members), "trained_on": known, **changes}).parts.config_json()
        )
        return (folder / "README.md").read_text()

    text = card()
    assert "| fitted on | 50 locations |" in text
    first = members[0].partition
    assert f"| members | {len(first)} kmeans cells (k {first.parameters['k']}" in text
    assert text.count("fitted on 40 locations") == len(members)
    assert "| fitted on | at least 50 locations |" in card(trained_on=replace(known, complete=False))
    assert "| fitted on | at least 40 locations |" in card(trained_on=None)
    assert "| fitted on | not known |" in card(trained_on=None, members=made.members)
    imported = replace(members[0], training={"origin": ORIGIN})
    assert f"imported from {ORIGIN['source']}" in card(members=(imported, *members[1:]))


def edited(folder: Path, **changes: Any) -> None:
    path = folder / "combination.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("combination.json", r"combination\.json must have the sha256"),
        ("pool.safetensors", r"pool\.safetensors must have the sha256"),
        ("neighbours.safetensors", r"neighbours\.safetensors must have the sha256"),
        ("geocell_info.json", r"geocell_info\.json must have the sha256"),
        ("1/model.safetensors", r"1/model\.safetensors must have the sha256"),
    ],
)
def test_a_damaged_file_is_noticed(tmp_path: Path, name: str, words: str) -> None:
    complete().save(tmp_path / "all")
    content = bytearray((tmp_path / "all" / name).read_bytes())
    content[-2] ^= 1
    (tmp_path / "all" / name).write_bytes(content)
    with pytest.raises(ValueError, match=words):
        load_combination(tmp_path / "all")


def test_a_folder_of_parts_that_do_not_belong_together(tmp_path: Path) -> None:
    complete().save(tmp_path / "all")
    folder = tmp_path / "all"
    (folder / "hashes.json").unlink()
    shutil.copytree(folder, tmp_path / "kept")

    def fails(words: str, error: type[Exception] = ValueError) -> None:
        with pytest.raises(error, match=words):
            load_combination(folder)
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / "kept", folder)

    heads(5)[0].save(folder / "1", overwrite=True)
    fails("member 1 in .* is not the one that was written")
    shutil.rmtree(folder / "2")
    fails(r"a head needs the file config\.json", FileNotFoundError)
    (folder / "pool.safetensors").unlink()
    fails(r"a combination needs the file pool\.safetensors", FileNotFoundError)
    (folder / "pool.safetensors").write_bytes(b"x" * 100)
    fails(r"pool\.safetensors must be a safetensors file")
    (folder / "neighbours.safetensors").unlink()
    fails("the nearest training features vote in this combination, and their index is not there")
    edited(folder, members=["x"])
    fails("must list the hashes of 2 to 64 members, got 1")
    edited(folder, members=["x"] * 65)
    fails("must list the hashes of 2 to 64 members, got 65")
    edited(folder, members=["x"] * 4)
    fails("4 members and 3 weights")
    edited(folder, more=1)
    fails("must have the keys format, library, members")
    edited(folder, pooling={"pool": "linear", "weights": [2, -1, 0], "knn": None})
    fails("weights must be from 0 to 1")
    edited(folder, n_candidates=3)
    fails("the candidates in .* must be those of the combination")


@pytest.mark.parametrize(
    ("cells", "places", "words"),
    [
        (np.zeros((3, 5), np.int64), np.ones(40, np.int64), "must hold .*, got"),
        (np.zeros((3, 40), np.int32), np.ones(40, np.int64), "must hold .*, got"),
        (np.full((3, 40), 100), np.ones(40, np.int64), "must name cells of member 0"),
        (np.full((3, 40), -1), np.ones(40, np.int64), "cells from 0 on and places from 1 on"),
        (np.zeros((3, 40), np.int64), np.zeros(40, np.int64), "cells from 0 on and places from 1 on"),
    ],
)
def test_a_hostile_map(tmp_path: Path, cells: np.ndarray, places: np.ndarray, words: str) -> None:
    from safetensors.numpy import save_file

    complete().save(tmp_path / "all")
    (tmp_path / "all" / "hashes.json").unlink()
    save_file({"cells": cells, "places": places}, tmp_path / "all" / "pool.safetensors")
    with pytest.raises(ValueError, match=words):
        load_combination(tmp_path / "all")
