"""Zero-shot classifiers through the local Hub: what arrives, what comes back, and what is refused."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import geocell as gc
from geocell.evaluation.score import score
from geocell.heads.calibration import Calibration
from geocell.heads.card_metadata import CardSettings
from geocell.heads.head import load_head
from geocell.heads.loading import load_head_like
from geocell.heads.source import find_head
from geocell.heads.zero_shot import ZeroShot
from geocell.heads.zero_shot_folder import (
    load_zero_shot,
    save_zero_shot,
    write_zero_shot_calibration,
    write_zero_shot_scores,
)
from geocell.publishing.push import pull_head, push_head
from tests.local_hub import TOKEN, Hub
from tests.publishing.test_push import make_head, world
from tests.worlds import make_locations
from tests.zeroshot.worlds import INFO, made, places

pytestmark = pytest.mark.loopback

KNOWN = Calibration(2.0, {25: 0.1, 200: 0.2, 750: 0.4}, "centroid", {50: 1.0, 90: 2.0})


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "picture" not in request.node.name:
        monkeypatch.setattr("geocell.publishing.push._draw_cells", lambda _head, _out: None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A calibrated and scored classifier, whose encoder is in a folder of this machine."""
    like = replace(made(), encoder=replace(INFO, source="/home/ann/clip"))
    save_zero_shot(like, tmp_path / "zs")
    write_zero_shot_calibration(tmp_path / "zs", KNOWN)
    scores = score(load_zero_shot(tmp_path / "zs"), places(), split="test").to_dict()
    write_zero_shot_scores(tmp_path / "zs", scores, "test")
    (tmp_path / "zs" / "notes.txt").write_text("mine")
    return tmp_path / "zs"


def test_push_and_pull_give_the_same_answers(hub: Hub, folder: Path, tmp_path: Path) -> None:
    done = push_head(folder, "me/zs")
    assert hub.repos["me/zs"].messages[-1] == "Zero-shot classifier over 6 cities"
    assert done.left_out == ("notes.txt",)
    there = hub.files("me/zs")
    assert set(there) == {p.name for p in folder.iterdir()} - {"notes.txt"} | {"README.md"}
    assert all(b"/home/ann" not in content for content in there.values())
    place = pull_head("me/zs", tmp_path / "copy")
    assert place.snapshot is not None
    assert {p.name: p.read_bytes() for p in (tmp_path / "copy").iterdir()} == there
    mine, copy = load_zero_shot(folder), load_zero_shot(tmp_path / "copy")
    assert copy.sha256 == mine.sha256  # so that its scores are still its own
    assert np.abs(copy.posterior(places()) - mine.posterior(places())).max() < 1e-6
    by_name = load_head_like("me/zs")
    assert isinstance(by_name, ZeroShot)
    assert by_name.sha256 == mine.sha256
    assert "balscore" in there["README.md"].decode()
    again = push_head(tmp_path / "copy", "me/zs")  # nothing differs
    assert again.address == done.address


def test_a_head_and_a_classifier_take_each_others_place(hub: Hub, folder: Path, tmp_path: Path) -> None:
    make_head().save(tmp_path / "head")
    push_head(tmp_path / "head", "me/one")
    push_head(folder, "me/one")
    assert not {"config.json", "model.safetensors", "hashes.json"} & set(hub.files("me/one"))
    assert isinstance(load_head_like("me/one"), ZeroShot)
    push_head(tmp_path / "head", "me/one", overwrite=True)
    assert not {"zero_shot.json", "texts.safetensors"} & set(hub.files("me/one"))
    assert load_head("me/one").sha256 == make_head().sha256


def test_a_model_is_not_replaced(hub: Hub, folder: Path) -> None:
    hub.put("me/clip", {"config.json": b'{"model_type": "clip"}', "model.safetensors": b"x"})
    with pytest.raises(ValueError, match="me/clip@main holds a model, which a head would replace"):
        push_head(folder, "me/clip")
    assert set(hub.files("me/clip")) == {"config.json", "model.safetensors"}


def test_a_dry_run_asks_nobody(hub: Hub, folder: Path) -> None:
    done = push_head(folder, "me/zs", dry_run=True, settings=CardSettings("mit"))
    assert hub.requests == []
    assert done.address == ""
    assert done.files["README.md"] == len(done.card.encode())
    assert "license: mit" in done.card


def test_pull_replaces_what_is_of_its_kind(hub: Hub, folder: Path, tmp_path: Path) -> None:
    push_head(folder, "me/zs")
    pull_head("me/zs", tmp_path / "copy")
    with pytest.raises(FileExistsError, match="--overwrite"):
        pull_head("me/zs", tmp_path / "copy")
    pull_head("me/zs", tmp_path / "copy", overwrite=True)
    with pytest.raises(FileExistsError, match=r"notes\.txt"):
        pull_head("me/zs", folder, overwrite=True)


def edit(**values: object) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "zero_shot.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change


def other_scores(folder: Path) -> None:
    write_zero_shot_scores(folder, score(made(), places(), split="val").to_dict(), "val")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (edit(scale=3.0), "and a file was changed"),
        (other_scores, r"scores-val\.json must be its own"),
        (lambda folder: (folder / "texts.safetensors").write_bytes(b"x"), "must be a safetensors file"),
        (lambda folder: (folder / "scores.json").write_text("{"), r"scores\.json must be JSON"),
    ],
)
def test_a_damaged_folder_is_not_pushed(hub: Hub, folder: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(folder)
    with pytest.raises(ValueError, match=message):
        push_head(folder, "me/zs")
    assert hub.requests == []


def test_a_damaged_repository_is_not_pulled(hub: Hub, folder: Path, tmp_path: Path) -> None:
    push_head(folder, "me/zs")
    value = json.loads(hub.files("me/zs")["zero_shot.json"])
    hub.put("me/zs", {"zero_shot.json": json.dumps({**value, "scale": 3.0}).encode()})
    with pytest.raises(ValueError, match="and a file was changed"):
        pull_head("me/zs", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_what_a_push_needs(hub: Hub, tmp_path: Path) -> None:
    save_zero_shot(made(), tmp_path / "zs")
    with pytest.raises(ValueError, match=r"benchmark says what scores\.json was measured on"):
        push_head(tmp_path / "zs", "me/zs", settings=CardSettings(benchmark="me/bench"))
    unknown = replace(made(), encoder=replace(INFO, revision="unknown"))
    save_zero_shot(unknown, tmp_path / "unknown")
    with pytest.raises(ValueError, match="nobody could load the encoder"):
        push_head(tmp_path / "unknown", "me/zs")
    assert hub.requests == []


def test_a_picture_goes_with_it(hub: Hub, folder: Path) -> None:
    pytest.importorskip("matplotlib")
    push_head(folder, "me/zs")
    assert hub.files("me/zs")["partition.png"].startswith(b"\x89PNG")
    assert "![The candidate cities](partition.png)" in hub.files("me/zs")["README.md"].decode()


def test_no_pickle_is_fetched_and_the_source_says_so(hub: Hub, folder: Path) -> None:
    push_head(folder, "me/zs")
    hub.put("me/zs", {"x.pkl": b"1"})
    source = find_head("me/zs")
    assert "x.pkl: pickles, not downloaded" in source.remark
    assert not hub.asked(r"resolve/.*x\.pkl")
    assert all(TOKEN not in request.path for request in hub.requests)


def test_public_names(hub: Hub, folder: Path, tmp_path: Path) -> None:
    gc.push_head(folder, "me/zs")
    source = gc.pull_head("me/zs")
    assert source.snapshot is not None
    assert source.folder == source.snapshot.folder


def test_a_combination_with_a_classifier(hub: Hub, tmp_path: Path) -> None:
    head = make_head()
    like = replace(made(), encoder=replace(head.encoder, source="/home/ann/clip"))
    both = gc.combine([replace(head, encoder=like.encoder), like])
    both.save(tmp_path / "both")
    push_head(tmp_path / "both", "me/both")
    there = hub.files("me/both")
    assert {"1/zero_shot.json", "1/texts.safetensors", "0/model.safetensors", "0/hashes.json"} <= set(there)
    assert "1/hashes.json" not in there
    assert all(b"/home/ann" not in content for content in there.values())
    pull_head("me/both", tmp_path / "copy")
    copy = gc.load_combination(tmp_path / "copy")
    assert copy.sha256 == both.sha256
    latlon, features = world()
    asked = make_locations(latlon, features)
    assert np.abs(copy.posterior(asked) - both.posterior(asked)).max() < 1e-6
    save_zero_shot(like, tmp_path / "zs")
    push_head(tmp_path / "zs", "me/both")
    assert not any("/" in name for name in hub.files("me/both"))  # no member stays
