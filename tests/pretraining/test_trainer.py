from collections.abc import Callable

import pytest
import torch

from geocell.pretraining.config import PretrainConfig
from geocell.pretraining.trainer import Piece, Trainer
from tests.pretraining.captioned_photos import World

pytestmark = pytest.mark.usefixtures("one_thread")

CAPTIONS = ["A photo in Mali.", "A photo in Peru.", "A photo close to Town1 in Mali."]
CPU = torch.device("cpu")


def piece(world: World) -> Piece:
    generator = torch.Generator().manual_seed(4)
    return Piece(torch.randn((3, 3, 56, 56), generator=generator), world.clip().tokenize(CAPTIONS))


def test_embeddings_are_those_of_transformers(world: World) -> None:
    clip = world.clip()
    trainer = Trainer(clip, PretrainConfig(device="cpu"), CPU)
    batch = piece(world)
    images, texts = trainer.embed(batch)
    expected = clip.model(pixel_values=batch.pixels, **batch.tokens)
    torch.testing.assert_close(images, expected.image_embeds)
    torch.testing.assert_close(texts, expected.text_embeds)


def test_a_step_is_that_of_the_plain_loop(world: World) -> None:
    """With own positives and one piece: transformers' own loss, and AdamW with decay on matrices alone."""
    clip, plain = world.clip(), world.clip()
    config = PretrainConfig(batch=3, accumulate=1, positives="own", device="cpu", weight_decay=0.1)
    trainer = Trainer(clip, config, CPU)
    fields = torch.arange(3)[:, None]
    batch = piece(world)
    value = trainer.step([batch], fields, torch.ones_like(fields).bool(), lr=1e-2)
    model = plain.model.train()
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": 0.1},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-2)
    loss = model(pixel_values=batch.pixels, **batch.tokens, return_loss=True).loss
    loss.backward()
    optimizer.step()
    assert value == pytest.approx(float(loss.detach()), rel=1e-6)
    for (name, one), (_, other) in zip(clip.model.named_parameters(), model.named_parameters(), strict=True):
        if not name.endswith("k_proj.bias"):  # of no effect on the output: AdamW divides rounding by rounding
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5, msg=name)


def test_a_state_without_a_weight(world: World) -> None:
    trainer = Trainer(world.clip(), PretrainConfig(device="cpu"), CPU)
    with pytest.raises(KeyError, match="weight"):
        trainer.load_state({})


def test_a_state_from_before_the_first_step(world: World) -> None:
    """As it is written when no image of the first steps could be read."""
    config, batch, fields = PretrainConfig(device="cpu"), piece(world), torch.arange(3)[:, None]
    first, second = Trainer(world.clip(), config, CPU), Trainer(world.clip(), config, CPU)
    second.load_state(first.state())
    for trainer in (first, second):
        trainer.step([batch], fields, torch.ones_like(fields).bool(), lr=1e-2)
    assert all(torch.equal(p, second.trained[name]) for name, p in first.trained.items())
    assert any("adam." in name for name in second.state())


def test_a_state_without_a_moment(world: World) -> None:
    trainer = Trainer(world.clip(), PretrainConfig(device="cpu"), CPU)
    fields = torch.arange(3)[:, None]
    trainer.step([piece(world)], fields, torch.ones_like(fields).bool(), lr=1e-2)
    state = trainer.state()
    del state["adam.exp_avg.logit_scale"]
    with pytest.raises(KeyError, match=r"adam\.exp_avg\.logit_scale"):
        trainer.load_state(state)


def test_low_precision_is_on_request(world: World) -> None:
    batch = piece(world)
    exact, _ = Trainer(world.clip(), PretrainConfig(device="cpu"), CPU).embed(batch)
    low, _ = Trainer(world.clip(), PretrainConfig(device="cpu", precision="bfloat16"), CPU).embed(batch)
    assert low.dtype == exact.dtype == torch.float32
    assert not torch.equal(low, exact)
    torch.testing.assert_close(low, exact, atol=0.05, rtol=0.1)


@pytest.mark.parametrize("pieces", [1, 3])
def test_checkpointing_gives_the_same_gradients(world: World, pieces: int) -> None:
    """Every layer of both towers runs once more in the backward pass, and no gradient differs."""
    batch = piece(world)
    rows = torch.arange(3).tensor_split(pieces)
    parts = [Piece(batch.pixels[r], {name: value[r] for name, value in batch.tokens.items()}) for r in rows]
    fields = torch.arange(3)[:, None]
    slopes, calls = [], []
    for checkpointing in (False, True):
        clip = world.clip()
        clip.model.double()
        parts = [Piece(part.pixels.double(), part.tokens) for part in parts]
        config = PretrainConfig(batch=3, accumulate=1, device="cpu", gradient_checkpointing=checkpointing)
        trainer = Trainer(clip, config, CPU)
        counted = dict.fromkeys(("vision_model", "text_model"), 0)

        def count(tower: str, counted: dict[str, int] = counted) -> Callable[..., None]:
            def hook(*_: object) -> None:
                counted[tower] += 1

            return hook

        for tower in counted:
            for layer in getattr(clip.model, tower).encoder.layers:
                layer.self_attn.register_forward_hook(count(tower))
        trainer.step(parts, fields, torch.ones_like(fields).bool(), lr=1e-9)
        slopes.append({name: p.grad.clone() for name, p in trainer.trained.items()})
        calls.append(counted)
    layers = {tower: len(getattr(clip.model, tower).encoder.layers) for tower in calls[0]}
    passes = 1 if pieces == 1 else 2 * pieces  # with pieces, a first pass without gradients
    assert calls[0] == {tower: passes * n for tower, n in layers.items()}
    assert calls[1] == {tower: (passes + pieces) * n for tower, n in layers.items()}
    assert slopes[0].keys() == slopes[1].keys()
    for name, slope in slopes[0].items():
        torch.testing.assert_close(slopes[1][name], slope, rtol=1e-10, atol=1e-14, msg=name)
