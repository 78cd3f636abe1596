"""A small CLIP to train from nothing: transformers' own classes, and a tokenizer made of the captions."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

SIDE, PATCH = 64, 16
"""Pixels of its square images, to which a view is squeezed, and of its patches."""

VOCABULARY = 2000
"""Most tokens of captions; single letters that these lack come on top."""

_VISION = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4}
_TEXT = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
_PROJECTION, _TOKENS = 64, 64
_START, _END = "<|startoftext|>", "<|endoftext|>"


def caption_tokenizer(captions: Iterable[str]) -> Any:  # noqa: ANN401 - a class of transformers
    """Return a CLIP tokenizer whose byte pairs are those of some captions; it reads any text."""
    import transformers
    from tokenizers.pre_tokenizers import ByteLevel

    letters = sorted(ByteLevel.alphabet())
    every = [*letters, *(f"{letter}</w>" for letter in letters)]

    clip: Any = transformers.CLIPTokenizer  # which is said to take texts as merges

    def made(merges: list[tuple[str, str]]) -> Any:  # noqa: ANN401 - see above
        tokens = dict.fromkeys([*every, *(first + second for first, second in merges), _START, _END])
        return clip(vocab={token: i for i, token in enumerate(tokens)}, merges=merges)

    # What is trained knows the letters of its texts alone, and reads all others as the end of the text.
    trained = made([]).train_new_from_iterator(captions, VOCABULARY)
    return made([tuple(pair) for pair in json.loads(trained.backend_tokenizer.to_str())["model"]["merges"]])


def small_clip(tokenizer: Any, seed: int = 0) -> Any:  # noqa: ANN401 - classes of transformers
    """Return a CLIP of random weights for a tokenizer: ViT of 4 layers, 128 wide, and 2 layers, 64 wide, for texts."""
    import torch
    import transformers

    ids = {
        "vocab_size": len(tokenizer), "max_position_embeddings": _TOKENS, "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id,
    }  # fmt: skip
    config: Any = transformers.CLIPConfig(
        text_config={**_TEXT, **ids},
        vision_config={**_VISION, "image_size": SIDE, "patch_size": PATCH},
        projection_dim=_PROJECTION,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return transformers.CLIPModel(config)


def save_small_clip(folder: Path, captions: Iterable[str], seed: int = 0) -> Path:
    """Write a CLIP of random weights with its tokenizer and image processor, as transformers loads it.

    Args:
        folder: where; it must not exist.
        captions: what the tokenizer is made of.
        seed: of the weights.

    Returns:
        `folder`.

    Raises:
        FileExistsError: when it does.
    """
    import transformers

    from geocell.files import new_folder

    tokenizer = caption_tokenizer(captions)
    processor: Any = transformers.CLIPImageProcessorPil(size={"height": SIDE, "width": SIDE}, do_center_crop=False)
    with new_folder(folder, marks=("config.json",)) as made:
        small_clip(tokenizer, seed).save_pretrained(made)
        tokenizer.save_pretrained(made)
        processor.save_pretrained(made)
    return folder
