"""Models that pretrain trained, through the local Hub: what arrives, what comes back, and what is refused."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard

from geocell.cli import main
from geocell.encoders import load_encoder
from geocell.heads.card_metadata import CardSettings
from geocell.imagetext import load_image_text
from geocell.pretraining.checkpoint import Progress
from geocell.pretraining.result import save_trained
from geocell.publishing.push import pull_head, push_head
from geocell.publishing.trained_models import is_trained_model
from tests.local_hub import Hub
from tests.pretraining.captioned_photos import make_world
from tests.pretraining.test_pretrain import CONFIG
from tests.publishing.test_push import make_head

pytestmark = [pytest.mark.loopback, pytest.mark.usefixtures("one_thread")]
ROW = {"epoch": 1, "lr": 0.5, "images": 18, "train_loss": 1.25, "scale": 10.0, "val_country": 0.25}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a trained model, some of whose images could not be read."""
    world = make_world(tmp_path_factory.mktemp("world"))
    clip, folder = world.clip(), tmp_path_factory.mktemp("trained") / "clip"
    with torch.no_grad():
        clip.model.visual_projection.weight.mul_(2.0)
    progress = Progress(history=[ROW], problems={"secret/1.jpg": "no such file"})
    save_trained(folder, clip, world.captions(), CONFIG, progress, held_out=("Peru",))
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "clip"))


def embeddings(name: str) -> list[np.ndarray]:
    model = load_image_text(name, device="cpu")
    pooled = np.random.default_rng(0).normal(size=(5, model.info.dim)).astype(np.float32)
    encoder = load_encoder(name, device="cpu")
    pixels = np.stack([encoder.preprocess(image) for image in images()])
    return [model.text(["a street in France", "Peru"]), model.project(pooled), encoder(pixels)]


def images() -> list[Any]:
    from PIL import Image

    rng = np.random.default_rng(1)
    return [Image.fromarray(rng.integers(0, 256, (70, 80, 3), dtype=np.uint8)) for _ in range(2)]


def test_push_and_pull_give_the_same_model(hub: Hub, folder: Path, made: Path, tmp_path: Path) -> None:
    done = push_head(folder, "me/clip", settings=CardSettings(datasets=("me/photos",)))
    assert hub.repos["me/clip"].messages[-1] == "CLIP trained on 18 images"
    assert done.left_out == ("problems.csv",)
    there = hub.files("me/clip")
    assert set(there) == {p.name for p in folder.iterdir()} - {"problems.csv"}
    assert all(str(made.parent).encode() not in content for content in there.values())
    place = pull_head("me/clip", tmp_path / "copy")
    assert place.snapshot is not None
    assert {p.name: p.read_bytes() for p in (tmp_path / "copy").iterdir()} == there
    for mine, copy in zip(embeddings(str(folder)), embeddings(str(tmp_path / "copy")), strict=True):
        assert np.abs(mine - copy).max() < 1e-6
    for mine, by_name in zip(embeddings(str(folder)), embeddings("me/clip"), strict=True):
        assert np.abs(mine - by_name).max() < 1e-6
    card = ModelCard(there["README.md"].decode())
    card.validate()
    assert (card.data.library_name, card.data.license, card.data.datasets) == ("transformers", "other", ["me/photos"])
    assert card.data.pipeline_tag == "zero-shot-image-classification"
    assert "| country | 25.0 % |" in card.text
    assert "No image of Peru was trained on." in card.text
    assert "--encoder me/clip`" in card.text
    assert push_head(tmp_path / "copy", "me/clip").address == done.address  # nothing differs


def test_what_a_person_wrote_is_kept(hub: Hub, folder: Path) -> None:
    readme = folder / "README.md"
    readme.write_text(f"{readme.read_text()}\nPhotos by Ann.\n")
    push_head(folder, "me/clip", settings=CardSettings("cc-by-4.0"))
    card = hub.files("me/clip")["README.md"].decode()
    assert card.endswith("\n\nPhotos by Ann.\n")
    push_head(folder, "me/clip")
    assert "license: cc-by-4.0" in hub.files("me/clip")["README.md"].decode()
    readme.write_text(readme.read_text().replace("# A CLIP trained", "# My CLIP trained"))
    with pytest.raises(ValueError, match="was changed inside generated parts"):
        push_head(folder, "me/clip")


def test_a_head_and_a_model_do_not_take_each_others_place(hub: Hub, folder: Path, tmp_path: Path) -> None:
    make_head().save(tmp_path / "head")
    push_head(folder, "me/clip")
    with pytest.raises(ValueError, match="me/clip@main holds a model, which a head would replace"):
        push_head(tmp_path / "head", "me/clip")
    push_head(tmp_path / "head", "me/head")
    with pytest.raises(ValueError, match="me/head@main holds a head, which a trained model would replace"):
        push_head(folder, "me/head")


def test_pull_replaces_what_is_of_its_kind(hub: Hub, folder: Path, tmp_path: Path) -> None:
    push_head(folder, "me/clip")
    pull_head("me/clip", tmp_path / "copy")
    with pytest.raises(FileExistsError, match="--overwrite"):
        pull_head("me/clip", tmp_path / "copy")
    pull_head("me/clip", tmp_path / "copy", overwrite=True)
    assert is_trained_model(tmp_path / "copy")
    hub.put("me/clip", {"pytorch_model.bin": b"1"})
    source = pull_head("me/clip")
    assert "pytorch_model.bin: pickles, not downloaded" in source.remark
    assert not hub.asked(r"resolve/.*pytorch_model\.bin")


def record(**values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "pretraining.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return change


def other_type(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_type": "bert"}))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (record(n_images="many"), "must have a whole number as 'n_images'"),
        (record(history=[]), "must have an epoch"),
        (record(saved={"country": "x"}), "must have a number as 'country'"),
        (record(start={"name": "x"}), "'revision', a text, and lacks it"),
        (record(settings={}), "and lacks it"),
        (other_type, "must be of a CLIP, got model type 'bert'"),
        (lambda folder: (folder / "model.safetensors").unlink(), "needs the file model.safetensors"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"x"), "must be a safetensors file"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "tokenizer"),
        (lambda folder: (folder / "pretraining.json").write_text("{"), "must be JSON"),
    ],
)
def test_a_damaged_folder_is_not_pushed(hub: Hub, folder: Path, damage: Callable[[Path], None], message: str) -> None:
    damage(folder)
    with pytest.raises((ValueError, OSError), match=message):
        push_head(folder, "me/clip")
    assert hub.requests == []


def test_a_damaged_repository_is_not_pulled(hub: Hub, folder: Path, tmp_path: Path) -> None:
    push_head(folder, "me/clip")
    hub.put("me/clip", {"model.safetensors": b"x"})
    with pytest.raises(ValueError, match="must be a safetensors file"):
        pull_head("me/clip", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_there_is_no_benchmark_of_it(hub: Hub, folder: Path) -> None:
    with pytest.raises(ValueError, match="a trained model has none"):
        push_head(folder, "me/clip", settings=CardSettings(benchmark="me/bench"))
    assert hub.requests == []


def test_the_commands(hub: Hub, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["push", str(folder), "me/clip", "--dry-run"]) == 0
    assert hub.requests == []
    shown = capsys.readouterr()
    assert "model.safetensors" in shown.out
    assert "not sent: problems.csv" in shown.err
    assert main(["push", str(folder), "me/clip", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["files"]["pretraining.json"] > 0
    assert main(["pull", "me/clip", "--out", str(tmp_path / "copy")]) == 0
    assert (tmp_path / "copy" / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert main(["score", "me/clip", "--cache", str(tmp_path)]) == 1  # it is no head
    assert "is not a head of geocell" in capsys.readouterr().err
