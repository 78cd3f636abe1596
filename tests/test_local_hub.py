"""The local Hub against huggingface_hub's own client: what the tests of publishing stand on."""

import socket
from pathlib import Path

import pytest
from huggingface_hub import CommitOperationAdd, HfApi, errors, hf_hub_download, snapshot_download

from tests.local_hub import CUT, Hub

pytestmark = pytest.mark.loopback


def push(repo_id: str, files: dict[str, bytes], **kw: object) -> str:
    api = HfApi()
    api.create_repo(repo_id, exist_ok=True)
    operations = [CommitOperationAdd(name, content) for name, content in files.items()]
    return str(api.create_commit(repo_id, operations, commit_message="files", **kw).oid)  # type: ignore[call-overload]


def test_what_is_pushed_comes_back_at_each_revision(hub: Hub) -> None:
    first = push("me/repo", {"a.json": b"1", "w.safetensors": b"x" * 1000})
    hub.repos["me/repo"].tags["v1"] = first
    push("me/repo", {"a.json": b"2"})
    for revision, content in {"v1": b"1", first: b"1", "main": b"2"}.items():
        assert Path(hf_hub_download("me/repo", "a.json", revision=revision)).read_bytes() == content
    folder = Path(snapshot_download("me/repo", revision="v1"))
    assert folder.name == first
    assert (folder / "w.safetensors").read_bytes() == b"x" * 1000
    assert [r.method for r in hub.asked(r"^/lfs/")] == ["PUT"]


def test_a_download_goes_on_after_a_cut(hub: Hub) -> None:
    hub.put("me/repo", {"w.safetensors": bytes(range(256)) * 8})
    hub.fail(r"/resolve/.*safetensors", CUT, "GET", times=1)
    assert Path(hf_hub_download("me/repo", "w.safetensors")).read_bytes() == bytes(range(256)) * 8
    assert len(hub.asked(r"/resolve/.*safetensors")) == 3  # HEAD, half of it, the rest


def test_refusals_are_those_of_the_hub(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.put("you/gated", {"a.json": b"1"}, gated=True)
    hub.put("you/open", {"a.json": b"1"})
    hub.put("you/private", {"a.json": b"1"}, private=True)
    with pytest.raises(errors.GatedRepoError, match="gated"):
        hf_hub_download("you/gated", "a.json")
    with pytest.raises(errors.RevisionNotFoundError, match="Revision Not Found"):
        hf_hub_download("you/open", "a.json", revision="v9")
    with pytest.raises(errors.EntryNotFoundError, match="Entry Not Found"):
        hf_hub_download("you/open", "b.json")
    with pytest.raises(errors.RepositoryNotFoundError, match="Not Found"):
        hf_hub_download("you/private", "a.json")
    with pytest.raises(errors.HfHubHTTPError, match="403"):
        push("you/open", {"a.json": b"2"})
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(errors.HfHubHTTPError, match="401"):
        push("me/repo", {"a.json": b"2"})


def test_no_other_address_is_open(hub: Hub) -> None:
    with pytest.raises(RuntimeError, match="tests run offline"):
        socket.create_connection(("192.0.2.1", 80), timeout=1)
