"""What is added to the folder of a head; the pinned encoder is tested in tests/publishing/test_named_encoder.py."""

from pathlib import Path

import pytest

from geocell.features.neighbours import NeighbourIndex
from geocell.heads.additions import write_calibration, write_neighbours, write_region
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


def test_an_index_is_added_and_replaced(tmp_path: Path) -> None:
    head = make_head()
    head.save(tmp_path / "head")
    for locations in (world(), world(1)):
        index = NeighbourIndex.from_locations(head, locations)
        write_neighbours(tmp_path / "head", index)
        found = load_head(tmp_path / "head").neighbours
        assert found is not None
        assert found.sha256 == index.sha256


def test_a_region_is_added_replaced_and_removed(tmp_path: Path) -> None:
    head = make_head()
    head.save(tmp_path / "head")
    for rate in (0.05, 0.2):
        region = fit_region(make_head(), world(), world(1), false_alarms=rate)
        write_region(tmp_path / "head", region)
        found = load_head(tmp_path / "head")
        assert found.region is not None
        assert found.region.sha256 == region.sha256
        assert found.sha256 != head.sha256
    for _ in range(2):
        write_region(tmp_path / "head", None)
        assert load_head(tmp_path / "head").sha256 == head.sha256
    assert not (tmp_path / "head" / "region.safetensors").exists()


def test_a_folder_without_hashes_gets_none(tmp_path: Path) -> None:
    make_head().save(tmp_path / "head")
    (tmp_path / "head" / "hashes.json").unlink()
    write_calibration(tmp_path / "head", LEARNED)
    assert not (tmp_path / "head" / "hashes.json").exists()
    assert load_head(tmp_path / "head").calibration == LEARNED
