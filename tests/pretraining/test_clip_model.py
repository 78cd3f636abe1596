import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from geocell.pretraining.clip_model import ClipModel
from tests.pretraining.captioned_photos import World
from tests.worlds import make_clip


def test_a_folder_holds_all_that_is_needed(world: World) -> None:
    clip = world.clip()
    assert clip.name == "clip"
    assert clip.revision.startswith("sha256:")
    assert clip.processor.transform(Image.new("RGB", (50, 40))).shape == (56, 56, 3)
    tokens = clip.tokenize(["A photo in Mali.", "A photo close to Town1 in Mali."])
    assert tokens["input_ids"].shape == tokens["attention_mask"].shape
    assert tokens["attention_mask"].sum(dim=1)[0] < tokens["attention_mask"].sum(dim=1)[1]


def test_long_captions_are_refused(world: World) -> None:
    with pytest.raises(ValueError, match="a text must have at most 77 tokens, got"):
        world.clip().tokenize(["town " * 200])


def test_a_tower_of_images_alone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must be a model of images and texts"):
        ClipModel.load(str(make_clip(tmp_path / "tower")))


def test_a_token_that_never_occurs_is_refused(world: World, tmp_path: Path) -> None:
    """transformers would pool the first token of every caption, without an error."""
    folder = tmp_path / "clip"
    shutil.copytree(world.folder / "clip", folder)
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["eos_token_id"] = 49407
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="same embedding"):
        ClipModel.load(str(folder))


def test_missing_weights_are_refused(world: World, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "clip"
    shutil.copytree(world.folder / "clip", folder)
    weights = load_file(folder / "model.safetensors")
    weights.pop("text_projection.weight")
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"must hold the weights of both towers, got none for text_projection\.weight"):
        ClipModel.load(str(folder))


def test_no_model_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="expected a Hub id"):
        ClipModel.load(str(tmp_path / "nothing"))


def test_what_is_saved_is_what_was_trained(world: World, tmp_path: Path) -> None:
    clip = world.clip()
    with torch.no_grad():
        clip.model.logit_scale.fill_(1.25)
    clip.save(tmp_path / "out")
    again = ClipModel.load(str(tmp_path / "out"))
    assert again.model.logit_scale.item() == 1.25
    assert again.processor.identity == clip.processor.identity
    pixels = clip.processor.transform(Image.fromarray(np.full((30, 40, 3), 99, np.uint8)))
    assert np.array_equal(again.processor.transform(Image.fromarray(np.full((30, 40, 3), 99, np.uint8))), pixels)
    assert (
        again.tokenize(["A photo in Peru."])["input_ids"].tolist()
        == clip.tokenize(["A photo in Peru."])["input_ids"].tolist()
    )
