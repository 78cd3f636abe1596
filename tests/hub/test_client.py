"""Files of repositories: what is fetched and what is not, and commits that meet each other."""

from pathlib import Path

import pytest

from geocell.hub.client import commit, download, open_repository, pickles
from geocell.hub.names import HubName
from tests.local_hub import CUT, Hub


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
def test_the_card_that_is_there_is_fetched(hub: Hub, tmp_path: Path) -> None:
    hub.put("me/repo", {"README.md": "# Grüße".encode()})
    card = open_repository(HubName("me/repo")).card
    assert card is not None
    assert card.read_text(encoding="utf-8") == "# Grüße"
    hub.put("me/other", {"a.json": b"1"})
    assert open_repository(HubName("me/other")).card is None
