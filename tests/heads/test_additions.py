"""What is added to the folder of a head; the pinned encoder is tested in tests/publishing/test_named_encoder.py."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from geocell.features.neighbours import NeighbourIndex
from geocell.features.training_places import TrainingPlaces
from geocell.files import write_json
from geocell.heads import additions
from geocell.heads.additions import write_calibration, write_learned
from geocell.heads.folder import write_head
from geocell.heads.head import load_head
from geocell.heads.region import fit_region
from tests.heads.test_calibration import LEARNED
from tests.heads.test_head import make_head, world


def test_other_files_keep_their_hashes(tmp_path: Path) -> None:
    make_head().save(tmp_path / "head")
    path = tmp_path / "head" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    write_calibration(tmp_path / "head", LEARNED)
    with pytest.raises(ValueError, match=r"model\.safetensors must have the sha256"):
        load_head(tmp_path / "head")


def test_what_was_learned_is_added_replaced_and_removed(tmp_path: Path) -> None:
    plain = make_head()
    plain.save(tmp_path / "head")
    before = plain
    for seed, rate in enumerate((0.05, 0.2)):
        after = replace(
            plain,
            calibration=replace(LEARNED, temperature=1.0 + seed),
            neighbours=NeighbourIndex.from_locations(plain, world(seed)),
            places=TrainingPlaces.from_locations(plain, world(seed)),
            region=fit_region(plain, world(), world(1), false_alarms=rate),
        )
        assert write_learned(tmp_path / "head", after, before) == []
        before = load_head(tmp_path / "head")
        assert before.calibration == after.calibration
        for name in ("neighbours", "places", "region"):
            assert getattr(before, name).sha256 == getattr(after, name).sha256
        assert before.sha256 == after.sha256
    last = replace(plain, calibration=LEARNED)
    removed = ["neighbours.safetensors", "places.safetensors", "region.safetensors"]
    assert write_learned(tmp_path / "head", last, before) == removed
    assert write_learned(tmp_path / "head", last, load_head(tmp_path / "head")) == []
    assert not any((tmp_path / "head" / name).exists() for name in removed)
    assert not set(json.loads((tmp_path / "head" / "hashes.json").read_text())["sha256"]) & set(removed)
    assert load_head(tmp_path / "head").sha256 == last.sha256


def test_what_stays_is_not_written_again(tmp_path: Path) -> None:
    head = make_head()
    replace(head, neighbours=NeighbourIndex.from_locations(head, world())).save(tmp_path / "head")
    path = tmp_path / "head" / "neighbours.safetensors"
    before = load_head(tmp_path / "head")
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    write_learned(tmp_path / "head", replace(before, calibration=LEARNED), before)
    with pytest.raises(ValueError, match=r"neighbours\.safetensors must have the sha256"):
        load_head(tmp_path / "head")


@pytest.mark.parametrize("broken", ["calibration.json", "hashes.json"])
@pytest.mark.parametrize("fixed", [False, True])
def test_a_process_that_is_interrupted_leaves_the_head_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, fixed: bool
) -> None:
    """But in the working directory, which can't be replaced: there it leaves a head that loads."""
    head = make_head()
    before = replace(head, neighbours=NeighbourIndex.from_locations(head, world()))
    folder = tmp_path / "head"
    before.save(folder)
    as_it_was = {path.name: path.read_bytes() for path in folder.iterdir()}
    if fixed:
        monkeypatch.chdir(folder)

    def killed(path: Path, value: object) -> None:
        if path.name == broken:
            raise KeyboardInterrupt
        write_json(path, value)

    monkeypatch.setattr(additions, "write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        write_learned(folder, replace(head, calibration=LEARNED), before)
    found = load_head(folder)
    if fixed:
        assert (found.calibration is None) == (broken == "calibration.json")
        assert (found.neighbours is None) == (broken == "hashes.json")
    else:
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == as_it_was
    assert [path.name for path in tmp_path.iterdir()] == ["head"]


def test_a_folder_without_hashes_gets_none(tmp_path: Path) -> None:
    make_head().save(tmp_path / "head")
    (tmp_path / "head" / "hashes.json").unlink()
    write_calibration(tmp_path / "head", LEARNED)
    assert not (tmp_path / "head" / "hashes.json").exists()
    assert load_head(tmp_path / "head").calibration == LEARNED


def test_what_was_learned_does_not_go_into_a_head_that_took_the_place(tmp_path: Path) -> None:
    head = make_head()
    head.save(tmp_path / "head")
    parts = head.parts.weights
    with torch.no_grad():
        weights = {name: value + (name == "head.2.bias") for name, value in parts.items()}
    other = replace(head.parts, weights=weights)
    write_head(other, tmp_path / "head", overwrite=True)
    as_it_was = {path.name: path.read_bytes() for path in (tmp_path / "head").iterdir()}
    with pytest.raises(ValueError, match=r"head must hold the head that was loaded from it, and another one has taken"):
        write_learned(tmp_path / "head", replace(head, calibration=LEARNED), head)
    assert {path.name: path.read_bytes() for path in (tmp_path / "head").iterdir()} == as_it_was
