"""A small random CLIP of transformers' own classes, with a tokenizer made of the captions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from geocell.images.sources import FileImages
from geocell.pretraining.caption_set import CaptionSet
from geocell.pretraining.captions import make_captions
from geocell.pretraining.clip_model import ClipModel
from tests.worlds import make_image


def make_small_clip(folder: Path, captions: Sequence[str], seed: int = 0) -> Path:
    """Save both towers, a tokenizer whose vocabulary ends with the special tokens as CLIP's does, and the processor."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPTokenizer

    bpe = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.train_from_iterator(
        [text.lower() for text in captions],
        trainers.BpeTrainer(
            vocab_size=400,
            end_of_word_suffix="</w>",
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    learned = json.loads(bpe.to_str())["model"]
    vocab = dict(sorted(learned["vocab"].items(), key=lambda item: item[1]))
    for letter in pre_tokenizers.ByteLevel.alphabet():
        vocab.setdefault(letter, len(vocab))
        vocab.setdefault(f"{letter}</w>", len(vocab))
    for token in ("<|startoftext|>", "<|endoftext|>"):
        vocab[token] = len(vocab)
    tokenizer = CLIPTokenizer(vocab=vocab, merges=[tuple(pair) for pair in learned["merges"]])
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = CLIPConfig(
        text_config=shape
        | {
            "vocab_size": len(vocab),
            "max_position_embeddings": 40,
            "bos_token_id": len(vocab) - 2,
            "eos_token_id": len(vocab) - 1,
            "projection_dim": 16,
        },
        vision_config=shape | {"image_size": 28, "patch_size": 14, "projection_dim": 16},
        projection_dim=16,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        CLIPModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    processor = CLIPImageProcessorPil(size={"shortest_edge": 28}, crop_size={"height": 28, "width": 28})
    processor.save_pretrained(folder)
    return folder


class World(NamedTuple):
    """Images with captions, and a model.

    Attributes:
        folder: holds `0.jpg` … and the model in `clip`.
        table: their captions.
    """

    folder: Path
    table: pd.DataFrame

    def clip(self) -> ClipModel:
        """Load the model anew."""
        return ClipModel.load(str(self.folder / "clip"))

    def captions(self) -> CaptionSet:
        """Return the captions, with the images of the folder."""
        return CaptionSet.from_table(self.table, FileImages(str(self.folder)))


def make_world(folder: Path, n: int = 18) -> World:
    """Write n images of noise, of six towns in three countries, and a small CLIP."""
    for number in range(n):
        make_image(folder / f"{number}.jpg", number)
    frame = pd.DataFrame(
        {
            "image": [f"{number}.jpg" for number in range(n)],
            "city": [f"Town{number % 6}" for number in range(n)],
            "country": [("Italy", "Mali", "Peru")[number % 3] for number in range(n)],
        }
    )
    table = make_captions(frame, ["A photo[ close to {city}] in {country}.", "A photo in {country}."])
    make_small_clip(folder / "clip", table["caption"].tolist())
    return World(folder, table)
