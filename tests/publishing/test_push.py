"""Publishing through the local Hub with the real client: what arrives, what comes back, and how it refuses."""

import json
import pickle
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from huggingface_hub import ModelCard, constants

from geocell.evaluation.score import score
from geocell.heads.card_metadata import CardSettings
from geocell.heads.card_text import MAX_CARD_BYTES
from geocell.heads.fit_config import FitConfig
from geocell.heads.hashes import hashes_of
from geocell.heads.head import Head, load_head
from geocell.heads.module import GeoHead
from geocell.partitioners import KMeansPartitioner
from geocell.publishing.push import pull_head, push_head
from tests.local_hub import CUT, TOKEN, Hub
from tests.worlds import make_locations

pytestmark = pytest.mark.loopback

DIM, N = 16, 40


def world() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    latlon = np.stack((rng.uniform(40, 60, N), rng.uniform(0, 20, N)), axis=1)
    return latlon, rng.normal(size=(N, DIM)).astype(np.float32)


def make_head(seed: int = 0, k: int = 6) -> Head:
    latlon, features = world()
    partition = KMeansPartitioner(k=k, seed=0).fit(latlon, "a test")
    module = GeoHead(DIM, k)
    module.head[2].weight.data = torch_normal((k, DIM), seed)
    return Head(module, partition, make_locations(latlon, features).encoder, FitConfig(), {"n_train": N})


def torch_normal(shape: tuple[int, int], seed: int) -> "torch.Tensor":  # noqa: F821
    import torch

    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    head = make_head()
    latlon, features = world()
    head.save(tmp_path / "head", scores=score(head, make_locations(latlon, features), split="test"))
    return tmp_path / "head"


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Pictures of cells take a second each: one test draws one."""
    if "picture" not in request.node.name:
        monkeypatch.setattr("geocell.publishing.push._draw_cells", lambda _head, _out: None)


@pytest.mark.slow
def test_push_pull_and_predict_in_another_process(hub: Hub, folder: Path, tmp_path: Path) -> None:
    done = push_head(folder, "me/head")
    assert done.address == f"{hub.url}/me/head/commit/{hub.repos['me/head'].branches['main']}"
    assert hub.repos["me/head"].messages == ["initial commit", "Geocell head on 6 cells"]
    there = hub.files("me/head")
    assert set(there) == {p.name for p in folder.iterdir()}
    for name in set(there) - {"README.md"}:
        assert there[name] == (folder / name).read_bytes(), name
    np.save(tmp_path / "features.npy", world()[1])
    program = f"""
import numpy as np, geocell as gc
from tests.worlds import make_locations
head = gc.load_head("me/head@{hub.repos["me/head"].branches["main"]}")
features = np.load("{tmp_path}/features.npy")
np.save("{tmp_path}/posterior.npy", head.posterior(make_locations(np.zeros((len(features), 2)), features)))
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])
    latlon, features = world()
    expected = load_head(folder).posterior(make_locations(latlon, features))
    assert np.abs(np.load(tmp_path / "posterior.npy") - expected).max() < 1e-6


def test_offsets_are_part_of_a_head(hub: Hub, folder: Path, tmp_path: Path) -> None:
    head = make_head()
    module = GeoHead(DIM, 6, offsets=True)
    module.load_state_dict({**module.state_dict(), **head.module.state_dict()})
    assert module.offsets is not None
    module.offsets.weight.data = torch_normal((6, 2, DIM), 1)
    moving = replace(head, module=module, config=FitConfig(offsets=1.0))
    moving.save(tmp_path / "moving")
    push_head(tmp_path / "moving", "me/head")
    pull_head("me/head", tmp_path / "copy")
    assert load_head(tmp_path / "copy").sha256 == load_head("me/head").sha256 == moving.sha256
    push_head(folder, "me/head")
    assert "offsets.safetensors" not in hub.files("me/head")  # those of the first head do not stay


def test_revisions_are_kept_apart(hub: Hub, folder: Path, tmp_path: Path) -> None:
    push_head(folder, "me/head")
    hub.repos["me/head"].tags["v1"] = hub.repos["me/head"].branches["main"]
    make_head(seed=1).save(tmp_path / "second")
    push_head(tmp_path / "second", "me/head")
    push_head(folder, "me/head@old")
    first, second = load_head(folder).sha256, load_head(tmp_path / "second").sha256
    assert load_head("me/head@v1").sha256 == first
    assert load_head("me/head").sha256 == second
    assert load_head("me/head@old").sha256 == first
    assert "scores.json" not in hub.files("me/head")  # those of the first head do not stay beside the second
    assert "scores.json" in hub.files("me/head", "v1")
    with pytest.raises(ValueError, match="me/head@v1 is a tag, which stays where it is: push to a branch"):
        push_head(folder, "me/head@v1")


def test_pull_gives_the_folder_that_was_pushed(hub: Hub, folder: Path, tmp_path: Path) -> None:
    push_head(folder, "me/head")
    place = pull_head("me/head@main", tmp_path / "copy")
    assert place.snapshot is not None
    assert place.snapshot.commit == hub.repos["me/head"].branches["main"]
    assert {p.name: p.read_bytes() for p in (tmp_path / "copy").iterdir()} == hub.files("me/head")
    assert not any(p.is_symlink() for p in (tmp_path / "copy").iterdir())
    with pytest.raises(FileExistsError, match="--overwrite"):
        pull_head("me/head", tmp_path / "copy")


def test_the_same_again_is_no_commit_and_sends_no_weights(hub: Hub, folder: Path) -> None:
    first = push_head(folder, "me/head")
    hub.requests.clear()
    assert push_head(folder, "me/head").address == first.address
    assert not [r for r in hub.requests if r.method == "PUT" or "/commit/" in r.path]


def test_a_dry_run_asks_nobody(hub: Hub, folder: Path) -> None:
    (folder / "best.pt").write_bytes(b"x")
    result = push_head(folder, "me/head", dry_run=True)
    assert hub.requests == []
    assert result.address == ""
    assert result.left_out == ("best.pt",)
    assert result.files["model.safetensors"] == (folder / "model.safetensors").stat().st_size
    assert result.files["README.md"] == len(result.card.encode())
    assert 'gc.Geolocator.load("me/head")' in result.card


def test_the_picture_of_the_cells_goes_with_it(hub: Hub, folder: Path) -> None:
    push_head(folder, "me/head")
    assert hub.files("me/head")["partition.png"][:4] == b"\x89PNG"
    assert "](partition.png)" in hub.files("me/head")["README.md"].decode()


def test_a_pickle_on_the_hub_is_ignored_with_a_word(hub: Hub, folder: Path) -> None:
    push_head(folder, "me/head")
    hub.put("me/head", {"best.pt": pickle.dumps(print), "sub/model.bin": b"x"})
    with pytest.warns(UserWarning, match=r"me/head@main also holds best\.pt, sub/model\.bin: pickles, not downloaded"):
        head = load_head("me/head")
    assert head.sha256 == load_head(folder).sha256
    assert not hub.asked(r"resolve/.*(best\.pt|model\.bin)")


def test_offline_works_from_the_cache(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    push_head(folder, "me/head")
    load_head("me/head")
    hub.requests.clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert load_head("me/head").sha256 == load_head(folder).sha256
    assert hub.requests == []
    with pytest.raises(
        FileNotFoundError, match=r"me/head@v2 is not wholly in the local cache, and HF_HUB_OFFLINE is set"
    ):
        load_head("me/head@v2")
    with pytest.raises(ConnectionError, match="me/head@main cannot be written to while HF_HUB_OFFLINE is set: unset"):
        push_head(folder, "me/head")


def test_what_is_cached_works_while_the_hub_is_down(hub: Hub, folder: Path) -> None:
    push_head(folder, "me/head")
    load_head("me/head")
    hub.fail("", 500)
    assert load_head("me/head").sha256 == load_head(folder).sha256


def test_what_is_no_head_is_not_downloaded(hub: Hub) -> None:
    hub.put("you/encoder", {"config.json": b'{"model_type": "clip"}', "model.safetensors": b"x" * 1000})
    with pytest.raises(
        FileNotFoundError, match="you/encoder@main on the Hub is not a head of geocell: `geocell import`"
    ):
        load_head("you/encoder")
    assert not hub.asked(r"resolve/.*safetensors")


def test_another_major_version_is_refused(hub: Hub, folder: Path, tmp_path: Path) -> None:
    push_head(folder, "me/head")
    there = hub.files("me/head")
    newer = json.dumps({**json.loads(there["config.json"]), "format": 2}).encode()
    hashes = json.dumps(hashes_of({**there, "config.json": newer})).encode()
    hub.put("me/head", {"config.json": newer, "hashes.json": hashes})
    with pytest.raises(ValueError, match="a head of format 2, and this geocell reads format 1"):
        pull_head("me/head", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def damaged(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:-64] + b"\xff" * 64)


def other_scores(folder: Path) -> None:
    latlon, features = world()
    scores = score(make_head(seed=1), make_locations(latlon, features), split="test")
    (folder / "scores-val.json").write_text(json.dumps(scores.to_dict()))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damaged, r"model\.safetensors must have the sha256"),
        (other_scores, r"scores-val\.json must be its own, got those of another head on the same cells"),
        (lambda folder: (folder / "scores.json").write_text("{"), r"scores\.json must be JSON, got a syntax error"),
    ],
)
def test_a_damaged_folder_is_not_pushed(hub: Hub, folder: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(folder)
    with pytest.raises(ValueError, match=message):
        push_head(folder, "me/head")
    assert hub.requests == []


@pytest.mark.parametrize(
    ("path", "status", "kind", "message"),
    [
        (r"repos/create", 403, PermissionError, r"may not write to me/head: log in with a token that may"),
        (r"repos/create", 401, PermissionError, r"wants a login for me/head: run `hf auth login`"),
        (r"repos/create", 500, ConnectionError, r"failed with status 500 on me/head@main: run the same again later"),
        (r"repos/create", CUT, ConnectionError, r"could not be reached for me/head@main: check the network"),
        (r"validate-yaml", 500, ConnectionError, r"failed with status 500"),
        (r"preupload", 429, ConnectionError, r"too many requests: wait some minutes"),
        (r"^/lfs/", 500, ConnectionError, r"failed with status 500"),
        (r"^/lfs/", CUT, ConnectionError, r"could not be reached"),
        (r"/commit/", 403, PermissionError, r"may not write to me/head"),
        (r"/commit/", 412, ConnectionError, r"me/head@main changed while it was written to: run the same again"),
        (r"/commit/", CUT, ConnectionError, r"could not be reached"),
        (r"/commit/", 418, ConnectionError, r"refused me/head@main with status 418: asked to fail"),
    ],
)
def test_a_push_that_fails_says_why_and_can_be_repeated(
    hub: Hub, folder: Path, path: str, status: int, kind: type[Exception], message: str
) -> None:
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    hub.fail(path, status)
    with pytest.raises(kind, match=message) as raised:
        push_head(folder, "me/head")
    assert TOKEN not in str(raised.value)
    if path != "/commit/" or status != CUT:  # a commit whose answer was lost is there
        assert all(tree == {} for repo in hub.repos.values() for tree in repo.commits.values())
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    hub.failures.clear()
    sent = [r for r in hub.requests if r.method == "PUT"]
    push_head(folder, "me/head")
    assert set(hub.files("me/head")) == {p.name for p in folder.iterdir()}
    if path == "/commit/":  # the weights arrived the first time
        assert [r for r in hub.requests if r.method == "PUT"] == sent


@pytest.mark.parametrize(
    ("path", "status", "kind", "message"),
    [
        (r"/api/models/me/head/revision", 404, ConnectionError, r"refused me/head@main with status 404"),
        (r"/api/models/me/head/revision", 500, ConnectionError, r"failed with status 500"),
        (r"/api/models/me/head/revision", 403, PermissionError, r"may not read me/head"),
        (r"resolve/.*safetensors", 500, ConnectionError, r"failed with status 500"),
        (r"resolve/.*safetensors", 429, ConnectionError, r"too many requests"),
        (r"resolve/.*safetensors", CUT, ConnectionError, r"could not be reached for me/head@"),
    ],
)
def test_a_pull_that_fails_says_why_and_leaves_nothing(
    hub: Hub, folder: Path, tmp_path: Path, path: str, status: int, kind: type[Exception], message: str
) -> None:
    push_head(folder, "me/head")
    hub.fail(path, status)
    with pytest.raises(kind, match=message):
        pull_head("me/head", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    hub.failures.clear()
    assert load_head(pull_head("me/head", tmp_path / "copy").folder).sha256 == load_head(folder).sha256


def test_names_that_are_not_there(hub: Hub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.put("you/gated", {"config.json": b"{}"}, gated=True)
    push_head(folder, "me/head")
    with pytest.raises(
        FileNotFoundError, match="no folder me/none here, and there is no repository me/none on the Hub"
    ):
        load_head("me/none")
    with pytest.raises(FileNotFoundError, match="me/head has no revision 'v9': its branches and tags are on http"):
        load_head("me/head@v9")
    with pytest.raises(PermissionError, match="you/gated is gated: ask for access on http"):
        load_head("you/gated")
    with pytest.raises(FileNotFoundError, match="a head is a folder or user/repo@revision on the Hub, and there is no"):
        load_head("some/where/else")
    with pytest.raises(FileNotFoundError, match="a push needs the folder of a head"):
        push_head("me/head", "me/other")
    with pytest.raises(PermissionError, match="may not write to you/head"):
        push_head(folder, "you/head")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(PermissionError, match="wants a login for me/head"):
        push_head(folder, "me/head")


def test_private_is_private(hub: Hub, folder: Path) -> None:
    push_head(folder, "me/closed", private=True)
    assert hub.repos["me/closed"].private
    push_head(folder, "me/open")
    with pytest.raises(PermissionError, match="me/open was to be private and is public"):
        push_head(folder, "me/open", private=True)


def test_a_pull_request_leaves_the_branch_alone(hub: Hub, folder: Path) -> None:
    hub.put("you/head", {"a.txt": b"1"})
    done = push_head(folder, "you/head", pr=True)
    assert done.address == f"{hub.url}/you/head/discussions/1"
    assert set(hub.files("you/head")) == {"a.txt"}
    assert "model.safetensors" in hub.files("you/head", "refs/pr/1")


LICENCE = "<!-- generated: licence"


def test_what_a_person_wrote_is_kept(hub: Hub, folder: Path) -> None:
    push_head(folder, "me/head", settings=CardSettings("cc-by-4.0", ("me/images",), "osv5m/osv5m:europe"))
    card = hub.files("me/head")["README.md"].decode()
    card = card.replace(LICENCE, f"Photos by Ann.\n\n{LICENCE}").replace("- geocell\n", "- geocell\n- alps\n")
    hub.put("me/head", {"README.md": card.encode(), "x.txt": b"1"})
    readme = folder / "README.md"
    readme.write_text(f"{readme.read_text()}\nScored by Eve.\n")
    push_head(folder, "me/head")
    card = hub.files("me/head")["README.md"].decode()
    assert f"\n\nPhotos by Ann.\n\n{LICENCE}" in card
    assert card.endswith("\n\nScored by Eve.\n")
    data = ModelCard(card).data
    assert (data.license, data.datasets) == ("cc-by-4.0", ["me/images"])
    assert "alps" in data.tags
    assert data.eval_results[0].dataset_type == "osv5m/osv5m:europe"
    assert "x.txt" in hub.files("me/head")
    readme.write_text(readme.read_text().replace(LICENCE, f"Photos by Bob.\n\n{LICENCE}"))
    with pytest.raises(
        ValueError, match=r"the card of me/head@main has text of its own that differs .* part 'dual': make"
    ):
        push_head(folder, "me/head")
    push_head(folder, "me/head", overwrite=True)
    card = hub.files("me/head")["README.md"].decode()
    assert "Photos by Bob." in card
    assert "Photos by Ann." not in card


def test_a_part_that_was_changed_on_the_hub_or_here_is_not_lost_unasked(hub: Hub, folder: Path) -> None:
    push_head(folder, "me/head")
    card = hub.files("me/head")["README.md"].decode()
    hub.put("me/head", {"README.md": card.replace("## Limits\n", "## Limits\n\nOnly by day.\n").encode()})
    with pytest.raises(
        ValueError, match=r"the card of me/head@main was changed inside .*limits.*; or pass --overwrite"
    ):
        push_head(folder, "me/head")
    assert b"Only by day." in hub.files("me/head")["README.md"]
    push_head(folder, "me/head", overwrite=True)
    assert b"Only by day." not in hub.files("me/head")["README.md"]
    readme = folder / "README.md"
    readme.write_text(readme.read_text().replace("## Limits\n", "## Limits\n\nOnly by night.\n"))
    hub.requests.clear()
    with pytest.raises(ValueError, match=r"head/README\.md was changed inside generated parts"):
        push_head(folder, "me/head", overwrite=True)
    assert hub.requests == []


def test_a_card_of_another_hand_is_kept(hub: Hub, folder: Path) -> None:
    hub.put("me/head", {"README.md": b"---\nlicense: apache-2.0\n---\n"})  # what the Hub's own form makes
    push_head(folder, "me/head")
    assert ModelCard(hub.files("me/head")["README.md"].decode()).data.license == "apache-2.0"
    hub.put("me/head", {"README.md": b"---\nlicense: mit\n---\n# Written by hand\n"})
    push_head(folder, "me/head")
    assert b"# Written by hand\n\n<!-- generated: head " in hub.files("me/head")["README.md"]
    hub.put("me/head", {"README.md": b"---\n: : :\n---\n# Written by hand\n"})
    with pytest.raises(
        ValueError, match=r"the card of me/head@main must begin with a YAML block, .*; or pass --overwrite"
    ):
        push_head(folder, "me/head")
    push_head(folder, "me/head", overwrite=True)
    assert b"Written by hand" not in hub.files("me/head")["README.md"]


@pytest.mark.parametrize("card", [b"# caf\xe9\n", b"x" * (MAX_CARD_BYTES + 1)], ids=["Latin-1", "large"])
def test_a_card_on_the_hub_that_cannot_be_read_is_replaced_when_asked(hub: Hub, folder: Path, card: bytes) -> None:
    hub.put("me/head", {"README.md": card})
    with pytest.raises(ValueError, match=r"the card of me/head@main must .*; or pass --overwrite") as caught:
        push_head(folder, "me/head")
    assert "codec" not in str(caught.value).split("(")[0]
    assert hub.files("me/head")["README.md"] == card
    push_head(folder, "me/head", overwrite=True)
    assert b"<!-- generated: head " in hub.files("me/head")["README.md"]


def test_a_result_on_a_benchmark_goes_with_its_scores(hub: Hub, folder: Path, tmp_path: Path) -> None:
    push_head(folder, "me/head", settings=CardSettings(benchmark="you/bench"))
    assert ".eval_results/you--bench.yaml" in hub.files("me/head")
    make_head(seed=1).save(tmp_path / "second")
    push_head(tmp_path / "second", "me/head")
    assert ".eval_results/you--bench.yaml" not in hub.files("me/head")  # the first head reached that
    hub.requests.clear()
    with pytest.raises(ValueError, match=r"benchmark says what scores\.json was measured on, and there is none in"):
        push_head(tmp_path / "second", "me/head", settings=CardSettings(benchmark="you/bench"))
    assert hub.requests == []


def test_a_pull_does_not_take_a_folder_here_for_the_repository(
    hub: Hub, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push_head(folder, "me/head")
    make_head(seed=1).save(tmp_path / "me" / "head")
    monkeypatch.chdir(tmp_path)
    assert load_head(pull_head("me/head", "copy").folder).sha256 == load_head(folder).sha256
    hub.requests.clear()
    with pytest.raises(FileExistsError, match="--overwrite"):
        pull_head("me/head", "copy")
    assert hub.requests == []


@pytest.mark.parametrize(("source", "revision"), [("/home/ann/tower", "c0ffee"), ("secret/tower", "sha256:12")])
def test_the_path_of_an_encoder_here_is_not_pushed(hub: Hub, tmp_path: Path, source: str, revision: str) -> None:
    head = make_head()
    replace(head, encoder=replace(head.encoder, source=source, revision=revision)).save(tmp_path / "head")
    push_head(tmp_path / "head", "me/head")
    assert json.loads(hub.files("me/head")["config.json"])["encoder"]["source"] == ""
    assert all(source.encode() not in content for content in hub.files("me/head").values())


def test_no_token_leaves_the_login(hub: Hub, folder: Path, tmp_path: Path) -> None:
    push_head(folder, "me/head")
    pull_head("me/head", tmp_path / "copy")
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path
    assert all(TOKEN not in request.path and TOKEN.encode() not in request.body for request in hub.requests)
    assert {r.token for r in hub.requests if not re.search("^/lfs", r.path)} == {TOKEN}


def test_heads_of_the_same_cells_are_told_apart() -> None:
    head = make_head()
    assert head.sha256 == make_head().sha256
    assert head.sha256 != make_head(seed=1).sha256
    assert head.sha256 != replace(head, config=FitConfig(fusion="logit")).sha256
