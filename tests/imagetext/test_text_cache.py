"""Embeddings of texts on the disk."""

from pathlib import Path

import numpy as np
import pytest

from geocell.imagetext.text_cache import embed_texts, text_cache_folder
from tests.zeroshot.worlds import Words


def test_equal_texts_are_embedded_once(tmp_path: Path) -> None:
    model = Words()
    found = embed_texts(model, ["a b", "c", "a b"])
    assert model.passes == [["a b", "c"]]
    assert np.array_equal(found, model.text(["a b", "c", "a b"]))
    kept = embed_texts(model, ["a b", "c", "a b"], tmp_path / "new" / "folder")
    assert np.array_equal(kept, found)
    assert len(model.passes) == 3
    assert np.array_equal(embed_texts(model, ["a b", "c", "c"], tmp_path / "new" / "folder"), found[[0, 1, 1]])
    assert len(model.passes) == 3


def test_a_damaged_file_is_made_again(tmp_path: Path) -> None:
    model = Words()
    expected = embed_texts(model, ["a", "b"], tmp_path)
    (path,) = tmp_path.iterdir()
    for damage in (b"", b"x" * 100, path.read_bytes()[:-4]):
        path.write_bytes(damage)
        assert np.array_equal(embed_texts(model, ["a", "b"], tmp_path), expected)
    assert len(model.passes) == 4
    embed_texts(model, ["a", "b"], tmp_path)
    assert len(model.passes) == 4


def test_another_model_has_another_file(tmp_path: Path) -> None:
    embed_texts(Words(), ["a", "b"], tmp_path)
    embed_texts(Words(seed=1), ["a", "b"], tmp_path)
    embed_texts(Words(), ["b", "a"], tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_where_commands_keep_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GEOCELL_CACHE", str(tmp_path / "a"))
    assert text_cache_folder() == tmp_path / "a" / "texts"
    monkeypatch.delenv("GEOCELL_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    assert text_cache_folder() == tmp_path / "b" / "geocell" / "texts"


def test_a_folder_that_cannot_be_written_costs_time_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    model = Words()
    with pytest.warns(UserWarning, match="embeddings of texts must be kept in .*file.*: set GEOCELL_CACHE to a folder"):
        found = embed_texts(model, ["a", "b"], tmp_path / "file" / "texts")
    assert np.array_equal(found, model.text(["a", "b"]))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
