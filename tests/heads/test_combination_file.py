"""Which files of a folder or a repository belong to a combination."""

from dataclasses import replace
from pathlib import Path

import pytest

from geocell.evaluation.combine import combine
from geocell.heads.combination_file import combination_files, files_in, is_of_combination
from tests.heads.test_head import make_head, random_module


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    combine([make_head(), replace(make_head(), module=random_module(1))]).save(tmp_path / "all")
    return tmp_path / "all"


def test_only_its_own_files_belong_to_it(folder: Path) -> None:
    (folder / "notes.txt").write_text("mine")
    (folder / "2").mkdir()
    (folder / "2" / "config.json").write_text("{}")
    (folder / "0" / "notes.txt").write_text("mine")
    found = files_in(folder)
    assert {"combination.json", "pool.safetensors", "geocell_info.json", "0/model.safetensors", "1/config.json"} <= set(
        found
    )
    assert not {"notes.txt", "2/config.json", "0/notes.txt", "0/README.md"} & set(found)
    assert all(path.is_file() for path in found.values())
    make_head().save(folder.parent / "head")
    assert "combination.json" not in files_in(folder.parent / "head")
    assert set(files_in(folder.parent / "head")) == {path.name for path in (folder.parent / "head").iterdir()}


def test_names_in_a_repository(folder: Path) -> None:
    assert all(is_of_combination(name) for name in files_in(folder))
    assert {"1/model.safetensors", "combination.json"} <= set(combination_files(folder))
    for name in ("0/notes.txt", "x/config.json", "0/0/config.json", "100/config.json", "../config.json", "best.pt"):
        assert not is_of_combination(name)
