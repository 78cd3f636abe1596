"""Hashes of a head's files: one flipped byte, files of another head, folders from before there were hashes."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from geocell.cli import main
from geocell.features.neighbours import NeighbourIndex
from geocell.features.training_places import TrainingPlaces
from geocell.heads.calibration import Calibration
from geocell.heads.fit_config import FitConfig
from geocell.heads.hashes import HASHED_FILES, check_hashes, why_not_hashed, write_hashes
from geocell.heads.head import load_head
from geocell.heads.module import GeoHead
from geocell.heads.region import fit_region
from geocell.heads.trained_on import TrainedOn, location_keys
from tests.heads.test_head import CELLS, DIM, make_head, random_module, world

ELSEWHERE = {"cells.geojson", "combination.json", "pool.safetensors"}  # of regions, and of combinations


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    module = GeoHead(DIM, CELLS, offsets=True)
    head = replace(
        make_head(), module=module, config=FitConfig(offsets=1.0), trained_on=TrainedOn(location_keys(world()))
    )
    places = TrainingPlaces.from_locations(head, world())
    head = replace(head, neighbours=NeighbourIndex.from_locations(head, world()), places=places)
    head = replace(head, region=fit_region(make_head(), world(), world(1)))
    learned = Calibration(2.0, {25: 0.1, 200: 0.4, 750: 0.7}, "mean", {50: 0.5, 90: 2.0})
    replace(head, history=({"epoch": 1, "train_loss": 2.5},), calibration=learned).save(tmp_path / "head")
    return tmp_path / "head"


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(bytes(data))


def test_every_file_that_answers_depend_on_is_hashed(saved: Path) -> None:
    hashes = json.loads((saved / "hashes.json").read_text())
    there = {path.name for path in saved.iterdir()}
    assert set(hashes["sha256"]) == there - {"README.md", "hashes.json"}
    assert set(HASHED_FILES) - there == ELSEWHERE
    assert why_not_hashed(saved) == ""
    load_head(saved)


@pytest.mark.parametrize("name", sorted(set(HASHED_FILES) - ELSEWHERE))
def test_one_flipped_bit_is_refused(saved: Path, name: str) -> None:
    flip(saved / name)
    with pytest.raises(ValueError, match=rf"{name} must have the sha256 .*copy the whole folder again"):
        load_head(saved)


def test_the_command_fails_with_one_sentence(saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flip(saved / "model.safetensors")
    assert main(f"score {saved} --cache {tmp_path}/cache".split()) == 1
    message = capsys.readouterr().err
    assert "model.safetensors must have the sha256" in message
    assert len(message.splitlines()) == 1


def test_weights_of_another_head_of_the_same_shape_are_refused(tmp_path: Path) -> None:
    make_head().save(tmp_path / "a")
    replace(make_head(), module=random_module(1)).save(tmp_path / "b")
    shutil.copyfile(tmp_path / "b" / "model.safetensors", tmp_path / "a" / "model.safetensors")
    with pytest.raises(ValueError, match=r"model\.safetensors .*is of another head"):
        load_head(tmp_path / "a")


def test_a_folder_without_hashes_loads_and_is_said_to_be_unchecked(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (saved / "hashes.json").unlink()
    assert len(load_head(saved).partition) == CELLS
    assert "is not hashed" in why_not_hashed(saved)
    assert main(f"plot-history {saved} --out {tmp_path}/h.png".split()) == 1  # other columns; the head is opened first
    assert "is not hashed" in capsys.readouterr().err


def test_readers_of_format_1_find_nothing_new_in_what_they_read(saved: Path) -> None:
    """The version before refuses a config.json with other keys, and looks at no file that it does not know."""
    config = json.loads((saved / "config.json").read_text())
    assert set(config) == {
        "format", "library", "version", "encoder", "dim", "n_cells", "partition_sha256", "fusion", "fit", "training",
    }  # fmt: skip


def test_what_is_optional_may_be_removed(saved: Path) -> None:
    for name in ("history.csv", "trained_on.safetensors"):
        (saved / name).unlink()
    assert load_head(saved).trained_on is None
    (saved / "offsets.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"needs the file offsets\.safetensors"):
        load_head(saved)


def test_a_file_without_a_hash_belongs_to_another_head(saved: Path, tmp_path: Path) -> None:
    make_head().save(tmp_path / "plain")
    shutil.copyfile(saved / "history.csv", tmp_path / "plain" / "history.csv")
    with pytest.raises(ValueError, match=r"history\.csv must have a hash in hashes\.json and has none"):
        load_head(tmp_path / "plain")


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 1}', '{"format": 1, "sha256": 3}', '{"format": 2}'])
def test_damaged_hashes(saved: Path, text: str) -> None:
    (saved / "hashes.json").write_text(text)
    with pytest.raises(ValueError, match=r"hashes\.json"):
        check_hashes(saved)


def test_names_outside_the_folder_are_never_opened(saved: Path) -> None:
    value = json.loads((saved / "hashes.json").read_text())
    value["sha256"] |= {"../secret": "00", "/etc/passwd": "00", "future.json": "00"}
    (saved / "hashes.json").write_text(json.dumps(value))
    load_head(saved)
    write_hashes(saved)
    assert "../secret" not in (saved / "hashes.json").read_text()
