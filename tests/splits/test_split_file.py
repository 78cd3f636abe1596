"""The bytes of splits.json: written in pieces as they would be at once, and read in pieces where that is its layout."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.features.ids import Ids
from geocell.files import DamagedFileError, json_text
from geocell.splits import split_file
from geocell.splits.split_file import read_splits, split_parts

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=4) | st.sampled_from(
    [",\n", "\n  ]", ": [\n   ", '"']
)
MEMBERS = st.dictionaries(TEXT, st.lists(TEXT, max_size=9), max_size=4)
RECORD = {"format": 1, "seed": 0, "buffer_km": 1.5, "protocol": "by location"}


@given(members=MEMBERS, piece=st.integers(1, 5), size=st.integers(1, 30))
def test_pieces_are_the_bytes_of_the_whole(
    members: dict[str, list[str]], piece: int, size: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(split_file, "_PIECE", piece)
        patch.setattr(split_file, "_BYTES", size)
        value = {**RECORD, "splits": members}
        written = b"".join(split_parts(RECORD, {name: Ids(ids) for name, ids in members.items()}))
        assert written.decode() == json_text(value)
        path = tmp_path_factory.mktemp("splits") / "s.json"
        path.write_bytes(written)
        found = read_splits(path)
        assert found == value
        assert all(isinstance(ids, Ids) or not ids for ids in found["splits"].values())


@pytest.mark.parametrize(
    "content",
    [
        json.dumps({**RECORD, "splits": {"train": ["a"], "val": []}}),
        json.dumps({**RECORD, "splits": {"train": ["a"]}}, indent=2),
        json.dumps({**RECORD, "more": {"x": ["a"]}, "splits": {"train": ["b"]}}, indent=1),
        json.dumps({**RECORD, "splits": {"train": [["a"]]}}, indent=1),
        json.dumps({**RECORD, "splits": {"train": ["a"], "val": 0, "test": None}}, indent=1),
        '{\n "format": 1,\n "splits": {\n  "a": [\n   "x"\n  ],\n  "a": [\n   "y"\n  ]\n }\n}\n',
    ],
)
def test_a_file_of_another_layout_is_read_as_json(tmp_path: Path, content: str) -> None:
    path = tmp_path / "s.json"
    path.write_text(content)
    assert read_splits(path) == json.loads(content)


@pytest.mark.parametrize(
    "content",
    [
        "",
        json.dumps({**RECORD, "splits": {"train": ["\ud800"]}}, indent=1),
        json_text({**RECORD, "splits": {"train": ["a", "b"]}})[:-9],
        json_text({**RECORD, "format": 9, "splits": {"train": ["a"]}}),
        json_text({**RECORD, "splits": {"train": ["a"]}}).replace('"a"', '"a\n  ],\n'),
        json_text({**RECORD, "splits": {"train": ["a", "b"]}}).replace(",\n   ", "\n   "),
    ],
)
def test_damage_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "s.json"
    path.write_text(content)
    with pytest.raises(DamagedFileError, match=r"s\.json"):
        read_splits(path)


def test_what_is_parsed_at_a_time_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split_file, "_PARSED", 100)
    path = tmp_path / "s.json"
    path.write_text(json_text({**RECORD, "splits": {"train": [0]}}).replace("   0", "   " + ",".join(["0"] * 200)))
    assert split_file._pieces(path) is None
    assert read_splits(path)["splits"] == {"train": [0] * 200}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "s.json")
    with pytest.raises(FileNotFoundError, match=r"s\.json"):
        read_splits(tmp_path / "s.json")
