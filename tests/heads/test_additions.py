"""What is added to the folder of a head; the pinned encoder is tested in tests/publishing/test_named_encoder.py."""

from pathlib import Path

import pytest

from geocell.features.neighbours import NeighbourIndex
from geocell.heads.additions import write_calibration, write_neighbours
from geocell.heads.head import load_head
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


def test_an_index_is_added_and_replaced(tmp_path: Path) -> None:
    head = make_head()
    head.save(tmp_path / "head")
    for locations in (world(), world(1)):
        index = NeighbourIndex.from_locations(head, locations)
        write_neighbours(tmp_path / "head", index)
        found = load_head(tmp_path / "head").neighbours
        assert found is not None
        assert found.sha256 == index.sha256


def test_a_folder_without_hashes_gets_none(tmp_path: Path) -> None:
    make_head().save(tmp_path / "head")
    (tmp_path / "head" / "hashes.json").unlink()
    write_calibration(tmp_path / "head", LEARNED)
    assert not (tmp_path / "head" / "hashes.json").exists()
    assert load_head(tmp_path / "head").calibration == LEARNED
