import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from geocell.pretraining.lora import merge_lora, require_peft, with_lora
from geocell.pretraining.pretrain import pretrain
from tests.pretraining.captioned_photos import World
from tests.pretraining.test_pretrain import CONFIG, same, weights

pytestmark = pytest.mark.usefixtures("one_thread")
needs_peft = pytest.mark.skipif(importlib.util.find_spec("peft") is None, reason="peft is not installed")


@needs_peft
def test_only_projections_scale_and_added_matrices_are_trained(world: World) -> None:
    model = world.clip().model
    with_lora(model, 2)
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert {"logit_scale", "visual_projection.weight", "text_projection.weight"} <= trained
    rest = trained - {"logit_scale", "visual_projection.weight", "text_projection.weight"}
    assert rest
    assert all("lora_" in name and "self_attn" in name for name in rest)


@needs_peft
def test_added_matrices_are_merged_into_the_weights(world: World) -> None:
    clip, start = world.clip(), weights(world.clip())
    wrapped = with_lora(clip.model, 2)
    layer = clip.model.vision_model.encoder.layers[0].self_attn.q_proj
    with torch.no_grad():
        layer.lora_B["default"].weight.fill_(0.5)
    added = layer.lora_B["default"].weight @ layer.lora_A["default"].weight  # of alpha / rank = 1
    merged = merge_lora(wrapped)
    assert merged is clip.model
    end = weights(clip)
    assert end.keys() == start.keys()
    name = "vision_model.encoder.layers.0.self_attn.q_proj.weight"
    torch.testing.assert_close(end[name], start[name] + added.detach())
    assert [key for key in end if not torch.equal(end[key], start[key])] == [name]


@needs_peft
def test_training_leaves_all_but_attention_and_projections(world: World, tmp_path: Path) -> None:
    clip, start = world.clip(), weights(world.clip())
    config = replace(CONFIG, epochs=1, lora=2)
    pretrain(clip, world.captions(), config, state=tmp_path / "state")
    end = weights(clip)
    changed = {name for name in end if not torch.equal(end[name], start[name])}
    assert any("self_attn" in name for name in changed)
    assert all("self_attn" in name or "projection" in name or name == "logit_scale" for name in changed)
    assert (tmp_path / "state").stat().st_size < sum(value.nbytes for value in end.values())
    again = world.clip()
    pretrain(again, world.captions(), config, state=tmp_path / "state")  # it has ended: its weights, merged again
    assert same(weights(again), end)


def test_without_peft(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "geocell-heads\[lora\]"'):
        require_peft()
