from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from geocell.pretraining.clip_model import ClipModel
from geocell.quickstart.small_clip import SIDE, caption_tokenizer, save_small_clip

CAPTIONS = ["A Street View photo in Italy.", "A Street View photo from Kraków.", "A Street View photo in Poland."] * 3


def test_the_tokenizer_knows_its_captions_and_reads_any_text() -> None:
    tokenizer = caption_tokenizer(CAPTIONS)
    ids = tokenizer("A Street View photo in Italy.")["input_ids"]
    assert ids[0] == tokenizer.bos_token_id
    assert ids[-1] == tokenizer.eos_token_id
    assert "italy</w>" in tokenizer.convert_ids_to_tokens(ids)
    other = "Ærøskøbing, 東京"
    assert tokenizer.decode(tokenizer(other)["input_ids"][1:-1]).replace(" ", "") == other.lower().replace(" ", "")
    assert tokenizer.eos_token_id != tokenizer.bos_token_id


def test_it_is_a_clip_that_pretrain_takes(tmp_path: Path) -> None:
    clip = ClipModel.load(str(save_small_clip(tmp_path / "clip", CAPTIONS)))  # refuses captions it cannot tell apart
    assert clip.model.config.model_type == "clip"
    assert clip.model.num_parameters() < 1_000_000
    assert clip.model.config.text_config.eos_token_id == clip.tokenizer.eos_token_id
    images = clip.embed_images(torch.zeros((2, 3, SIDE, SIDE)))
    torch.testing.assert_close(images.norm(dim=1), torch.ones(2))


def test_one_seed_one_model(tmp_path: Path) -> None:
    state = torch.get_rng_state()
    first, same, other = (
        load_file(save_small_clip(tmp_path / name, CAPTIONS, seed) / "model.safetensors")
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert torch.equal(torch.get_rng_state(), state)
    name = "visual_projection.weight"
    assert torch.equal(first[name], same[name])
    assert not torch.equal(first[name], other[name])


def test_what_is_there_is_not_replaced(tmp_path: Path) -> None:
    save_small_clip(tmp_path / "clip", CAPTIONS)
    with pytest.raises(FileExistsError, match="clip"):
        save_small_clip(tmp_path / "clip", CAPTIONS)
