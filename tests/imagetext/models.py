"""Small random models of images and texts, saved by transformers' own classes with a tokenizer of single characters."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.encoders.towers import SIZES, SQUARE

SPECIALS = ("<|startoftext|>", "<|endoftext|>")


def _characters() -> list[str]:
    """Return the 256 characters that byte-level tokenizers write bytes as."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(c) for c in kept] + [chr(256 + i) for i in range(256 - len(kept))]


def clip_tokenizer() -> Any:
    """Return a CLIP tokenizer without merges, its special tokens last as in the published vocabulary."""
    import transformers

    letters = _characters()
    vocab = {token: i for i, token in enumerate([*letters, *(f"{letter}</w>" for letter in letters), *SPECIALS])}
    return transformers.CLIPTokenizer(vocab=vocab, merges=[])


def make_image_text(folder: Path, family: str = "clip", seed: int = 0, **text_config: Any) -> Path:
    """Save a small random model of a family with image processor and tokenizer, and return the folder."""
    import tokenizers
    import torch
    import transformers as t

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        text = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
        if family == "clip":
            tokenizer = clip_tokenizer()
            ids = {"bos_token_id": 512, "eos_token_id": 513, "vocab_size": 514, "initializer_factor": 8.0}
            text_of = {**text, **ids, **text_config}
            vision = {**SIZES, "initializer_factor": 4.0, "projection_dim": 24}
            config: Any = t.CLIPConfig(text_config=text_of, vision_config=vision, projection_dim=24)
            model: Any = t.CLIPModel(config)
            processor: Any = t.CLIPImageProcessorPil(size={"shortest_edge": 56}, crop_size=SQUARE)
        else:
            letters = {token: i for i, token in enumerate(["</s>", "<unk>", *(chr(c) for c in range(32, 127))])}
            inner = tokenizers.Tokenizer(tokenizers.models.WordLevel(letters, unk_token="<unk>"))  # noqa: S106
            inner.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
            tokenizer = t.PreTrainedTokenizerFast(tokenizer_object=inner, pad_token="</s>", unk_token="<unk>")  # noqa: S106
            ids = {"vocab_size": len(letters), "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
            text_of = {**text, **ids, "projection_size": 32, **text_config}
            config = t.SiglipConfig(text_config=text_of, vision_config=SIZES)
            model = t.SiglipModel(config)
            with torch.no_grad():
                model.logit_scale.fill_(2.0)
                model.logit_bias.fill_(-1.5)
            processor = t.SiglipImageProcessorPil(size=SQUARE)
        model.save_pretrained(folder)
    processor.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def plain_probabilities(folder: str, images: list[Image.Image], texts: list[str]) -> np.ndarray:
    """Return what transformers' documentation says to do: logits per image, then softmax or sigmoid."""
    import torch
    import transformers

    model = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    siglip = model.config.model_type == "siglip"
    padding = {"padding": "max_length", "max_length": 64} if siglip else {"padding": True}
    tokens = tokenizer(texts, return_tensors="pt", **padding)
    tokens = {name: tokens[name] for name in ("input_ids", "attention_mask")}
    pixels = transformers.AutoImageProcessor.from_pretrained(folder, backend="pil")(images, return_tensors="pt")
    with torch.no_grad():
        logits = model(**tokens, **pixels).logits_per_image
    return np.asarray((torch.sigmoid(logits) if siglip else logits.softmax(1)).numpy())
