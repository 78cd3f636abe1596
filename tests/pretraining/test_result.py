import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from geocell.encoders import load_encoder
from geocell.imagetext import load_image_text
from geocell.pretraining.checkpoint import Progress
from geocell.pretraining.clip_model import ClipModel
from geocell.pretraining.pretrain import pretrain
from geocell.pretraining.result import model_card, read_history, save_trained
from tests.pretraining.captioned_photos import World
from tests.pretraining.test_pretrain import CONFIG, same, weights

pytestmark = pytest.mark.usefixtures("one_thread")
ROW = {"epoch": 1, "lr": 0.5, "images": 18, "train_loss": 1.25, "scale": 10.0, "val_country": 0.25}


def test_the_folder_is_what_was_trained(world: World, tmp_path: Path) -> None:
    clip = world.clip()
    with torch.no_grad():
        clip.model.visual_projection.weight.mul_(2.0)
    progress = Progress(history=[ROW], problems={"=1.jpg": "no such file"})
    save_trained(tmp_path / "m", clip, world.captions(), CONFIG, progress)
    assert same(weights(ClipModel.load(str(tmp_path / "m"))), weights(clip))
    assert load_encoder(str(tmp_path / "m"), device="cpu").info.dim == clip.model.config.vision_config.hidden_size
    assert load_image_text(str(tmp_path / "m"), device="cpu").text(["a"]).shape == (1, 24)
    assert pd.read_csv(tmp_path / "m" / "history.csv").to_dict("records") == [ROW]
    assert (tmp_path / "m" / "problems.csv").read_text() == "image,problem\n'=1.jpg,no such file\n"
    record = json.loads((tmp_path / "m" / "pretraining.json").read_text())
    assert record["start"] == {"name": "clip", "revision": clip.revision}
    assert (record["n_images"], record["n_captions"], record["n_problems"]) == (18, 36, 1)
    assert record["settings"] == CONFIG.to_dict()
    assert read_history(tmp_path / "m") == [ROW]


def test_a_folder_is_replaced_when_asked_and_only_one_of_its_kind(world: World, tmp_path: Path) -> None:
    clip, captions, progress = world.clip(), world.captions(), Progress(history=[ROW])
    save_trained(tmp_path / "m", clip, captions, CONFIG, progress)
    with pytest.raises(FileExistsError, match="pass --overwrite"):
        save_trained(tmp_path / "m", clip, captions, CONFIG, progress)
    save_trained(tmp_path / "m", clip, captions, CONFIG, progress, overwrite=True)
    (tmp_path / "m" / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"would delete notes.txt"):
        save_trained(tmp_path / "m", clip, captions, CONFIG, progress, overwrite=True)
    with pytest.raises(FileExistsError, match=r"lacks pretraining.json"):
        save_trained(world.folder / "clip", clip, captions, CONFIG, progress, overwrite=True)


def test_interpolated_weights_are_scored_again(world: World) -> None:
    start, whole, half = weights(world.clip()), world.clip(), world.clip()
    config = replace(CONFIG, epochs=1)
    pretrain(whole, world.captions(), config)
    seen: list[float] = []

    def validate(clip: ClipModel) -> dict[str, float]:
        seen.append(float(clip.model.logit_scale.detach()))
        return {"country": float(len(seen))}

    done = pretrain(half, world.captions(), replace(config, interpolate=0.5), validate=validate)
    assert done.saved == {"country": 2.0}
    assert done.history[0]["val_country"] == 1.0
    for name, value in weights(half).items():
        torch.testing.assert_close(value, torch.lerp(start[name], weights(whole)[name], 0.5), msg=name)


def test_the_card_says_what_was_done() -> None:
    record = {
        "geocell": "1", "start": {"name": "user/clip", "revision": "abc"}, "n_images": 20, "n_captions": 20,
        "settings": replace(CONFIG, lora=4, interpolate=0.5, batch=32, accumulate=12).to_dict(),
        "history": [ROW], "saved": {"country": 0.5}, "held_out": ["Peru"],
    }  # fmt: skip
    card = model_card(record)
    assert "base_model: user/clip" in card
    assert "contrastive batches of 20," in card  # there are no more images
    assert "LoRA of rank 4. The weights are 0.5 of the way" in card
    assert "No image of Peru was trained on." in card
    assert "| country | 50.0 % |" in card
    assert "| country | 25.0 % |" in model_card({**record, "saved": {}})


def test_history_of_what_is_no_such_folder(tmp_path: Path) -> None:
    assert read_history(tmp_path) is None
    (tmp_path / "pretraining.json").write_text('{"format": 1, "history": [{"epoch": 1}]}')
    with pytest.raises(ValueError, match="train_loss"):
        read_history(tmp_path)
