"""Files of repositories: names, what is fetched and what is not, and commits that meet each other."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.hub import HubName, commit, download, open_repository, pickles
from tests.local_hub import CUT, Hub

WORDS = st.text("abcXYZ019_.-", min_size=1)


@given(WORDS, WORDS, st.none() | st.text("abc019_.-/", min_size=1))
def test_a_name_is_read_as_it_is_written(user: str, repo: str, revision: str | None) -> None:
    name = HubName.parse(f"{user}/{repo}" + ("" if revision is None else f"@{revision}"))
    assert name == HubName(f"{user}/{repo}", revision or "main")
    assert HubName.parse(str(name)) == name


@pytest.mark.parametrize("text", ["head", "me/head@", "me/head/more", "me/he ad", "/me/head", "me/head@v1@v2", ""])
def test_other_texts_are_no_names(text: str) -> None:
    with pytest.raises(ValueError, match="is written user/repo or user/repo@revision, got"):
        HubName.parse(text)


@pytest.mark.loopback
def test_only_what_matches_is_fetched_and_pickles_are_named(hub: Hub) -> None:
    sha = hub.put("me/repo", {"a.json": b"1", "b.csv": b"2", "best.pt": b"3", "old/w.PKL": b"4"})
    snapshot = download(HubName("me/repo"), ["*.json"])
    assert snapshot.commit == sha
    assert [p.name for p in snapshot.folder.iterdir()] == ["a.json"]
    assert pickles(snapshot) == ("best.pt", "old/w.PKL")
    hub.fail("/api/models/me/repo/revision", CUT)
    assert pickles(snapshot) == ()


@pytest.mark.loopback
def test_a_branch_that_moved_is_not_overwritten(hub: Hub) -> None:
    mine, theirs = (open_repository(HubName("me/repo", "dev")) for _ in range(2))
    assert hub.repos["me/repo"].branches["dev"] == mine.commit
    commit(theirs, {"a.txt": b"theirs"}, [], "first")
    with pytest.raises(ConnectionError, match="me/repo@dev changed while it was written to: run the same again"):
        commit(mine, {"a.txt": b"mine"}, [], "second")
    assert hub.files("me/repo", "dev") == {"a.txt": b"theirs"}
    assert hub.files("me/repo") == {}
    again = open_repository(HubName("me/repo", "dev"))
    assert again.files == ("a.txt",)
    commit(again, {"b.txt": b"mine"}, ["a.txt"], "third")
    assert hub.files("me/repo", "dev") == {"b.txt": b"mine"}


@pytest.mark.loopback
def test_the_card_that_is_there_is_read(hub: Hub, tmp_path: Path) -> None:
    hub.put("me/repo", {"README.md": "# Grüße".encode()})
    assert open_repository(HubName("me/repo")).card == "# Grüße"
