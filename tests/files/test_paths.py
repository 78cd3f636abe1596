"""Paths and URLs of object stores."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.files.paths import as_place, is_local


@pytest.mark.parametrize("text", ["a/b", "/a/b", "C-3/x", "a:b", "1s:/x"])
def test_what_has_no_scheme_is_a_path(text: str) -> None:
    assert as_place(text) == Path(text)
    assert is_local(as_place(text))


@pytest.mark.parametrize("text", ["file:///a/b", "file:/a/b"])
def test_urls_of_files_are_paths(text: str) -> None:
    assert as_place(text) == Path("/a/b")


@given(st.from_regex(r"[a-z0-9]{1,8}(/[a-z0-9]{1,8}){0,3}", fullmatch=True))
def test_a_url_survives_being_a_path(name: str) -> None:
    pytest.importorskip("upath")
    place = as_place(f"memory://bucket/{name}")
    assert not is_local(place)
    assert str(as_place(Path(f"memory://bucket/{name}"))) == str(place)
    assert str(place / "x").endswith(f"{name}/x")


def test_a_store_is_written_and_read_as_a_folder_is() -> None:
    pytest.importorskip("upath")
    place = as_place("memory://paths/here")
    place.mkdir(parents=True, exist_ok=True)
    (place / "a.txt").write_text("content")
    assert as_place("memory://paths/here/a.txt").read_text() == "content"
    assert [path.name for path in place.iterdir()] == ["a.txt"]
