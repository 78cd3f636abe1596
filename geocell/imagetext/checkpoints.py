"""CLIP and SigLIP checkpoints of transformers: the text tower, and the projection of the vision tower's features."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geocell.compute.devices import choose_device
from geocell.encoders.augmented import split_pooling
from geocell.encoders.info import NOT_PINNED, EncoderInfo
from geocell.encoders.tower import commit_of, describe_tower, is_folder, load_errors, model_config, model_origin
from geocell.encoders.tower import weights_hash as hash_of_weights
from geocell.encoders.trust import ModelError
from geocell.imagetext.projection import Float32, Projection, unit_rows
from geocell.imagetext.protocol import CAPTIONS, require_distinct, require_texts
from geocell.imagetext.tokens import batches, tokenized

_LEAST_TOKENS = 16
POOLED, PROJECTED = "pooler_output", "projection"
FAMILIES = {"clip": "CLIPModel", "siglip": "SiglipModel"}
"""Model type of a configuration -> the class of transformers that has both towers."""


class CheckpointModel:
    """The text tower and the projection of a CLIP or SigLIP checkpoint.

    Both towers are loaded by the class of the whole model, and the vision tower is let go: images are encoded by
    `geocell encode`, with the same weights.

    Attributes:
        name: Hub id or folder.
        device: where texts are embedded.
    """

    def __init__(
        self, name: str, revision: str | None = None, device: str = "auto", info: EncoderInfo | None = None
    ) -> None:
        """Load weights and tokenizer.

        Args:
            name: Hub id or local folder.
            revision: branch, tag or commit on the Hub.
            device: where texts are embedded.
            info: the encoder of features that are there already; that of the checkpoint itself when omitted.

        Raises:
            ValueError: for a model without a text tower, features that have no projection, or captions that it cannot
                tell apart.
            OSError: when the weights can't be loaded.
        """
        self.name, self.device = name, choose_device(device)
        where = model_origin(name)
        os.environ.setdefault("DISABLE_SAFETENSORS_CONVERSION", "1")  # a request to the Hub that nobody asked for
        with load_errors(name):
            commit = None if is_folder(name) else commit_of(where, revision)
            model = whole_model(where, commit, name)
            self._tokenizer = load_tokenizer(where, commit)
        text = model.config.text_config
        self._most, self._whole = int(text.max_position_embeddings), model.config.model_type == "siglip"
        self._text_model = model.text_model.eval().requires_grad_(False).to(self.device)
        head = getattr(model, "text_projection", None)
        self._text_head = None if head is None else head.requires_grad_(False).to(self.device)
        self._info = info or replace(describe_tower(name, revision), dim=int(model.config.vision_config.hidden_size))
        self._projection = _projection(model, self._info, name)
        version = hash_of_weights(Path(where)) if commit is None else commit
        self.text_identity = f"{Path(where).name if commit is None else where} {version} {_hash(self._tokenizer)}"
        require_distinct(self.text(CAPTIONS), name)

    @property
    def info(self) -> EncoderInfo:
        """The vision tower of the checkpoint."""
        return self._info

    @property
    def projection(self) -> Projection:
        """`visual_projection` and `logit_scale` of the checkpoint."""
        return self._projection

    @property
    def logit_scale(self) -> float:
        """The factor of the cosines."""
        return self._projection.scale

    def text(self, texts: Sequence[str]) -> Float32:
        """Return the (n, d) embeddings of n texts; see `ImageTextModel.text`."""
        import torch

        found = []
        for batch in batches(require_texts(texts)):
            tokens = tokenized(self._tokenizer, batch, self._most, self._whole).to(self.device)
            kept = {name: tokens[name] for name in ("input_ids", "attention_mask") if name in tokens}
            with torch.inference_mode():
                pooled = self._text_model(**kept).pooler_output
                found.append((pooled if self._text_head is None else self._text_head(pooled)).float().cpu().numpy())
        return unit_rows(np.concatenate(found), "embeddings of texts")

    def project(self, pooled: NDArray[np.floating]) -> Float32:
        """Return the (N, d) embeddings of (N, D) features."""
        return self._projection(pooled)


def checkpoint_for(info: EncoderInfo, device: str = "auto", source: str | None = None) -> CheckpointModel:
    """Load the checkpoint whose vision tower made features, and refuse another.

    Args:
        info: the encoder that a cache or a head records.
        device: where texts are embedded.
        source: where to load it from instead.

    Raises:
        ValueError: when other weights are there, or the model has no text tower.
        OSError: when the weights can't be loaded.
    """
    where = source or info.source or info.name
    if is_folder(where):
        found = hash_of_weights(Path(where).expanduser())
        if info.revision.startswith("sha256:") and info.revision != found:
            raise ValueError(
                f"the features are of {info.name} with the weights {info.revision[:19]}…, and {where} holds "
                f"{found[:19]}…: pass the folder that they were made with."
            )
        return CheckpointModel(where, None, device, info)
    return CheckpointModel(where, None if info.revision == NOT_PINNED else info.revision, device, info)


def whole_model(where: str, commit: str | None, name: str, *, vision: bool = False) -> Any:  # noqa: ANN401 - a class of transformers
    """Return both towers of a checkpoint, in float32.

    Args:
        where: Hub id or folder.
        commit: on the Hub, None for a folder.
        name: of the model, for messages.
        vision: whether its vision tower is needed too.

    Raises:
        ValueError: when it has no text tower, or lacks weights that are needed.
    """
    import torch
    import transformers

    config = model_config(where, commit)
    if config.model_type not in FAMILIES:
        raise ModelError(
            f"{name} must be a model of images and texts ({', '.join(FAMILIES)}), got model type "
            f"{config.model_type!r}, which has no text tower: zero-shot needs one, StreetCLIP say."
        )
    loader: Any = getattr(transformers, FAMILIES[config.model_type])
    model, report = loader.from_pretrained(
        where, revision=commit, dtype=torch.float32, output_loading_info=True, trust_remote_code=False
    )
    if lost := [key for key in sorted(report["missing_keys"]) if vision or not key.startswith("vision_model.")]:
        towers = "both towers" if vision else "its text tower"
        raise ModelError(f"{name} must hold the weights of {towers}, got none for {lost[0]}.")
    return model


def load_tokenizer(where: str, commit: str | None) -> Any:  # noqa: ANN401 - a class of transformers
    """Return the tokenizer of a checkpoint.

    Raises:
        OSError: when it has none.
    """
    from transformers import AutoTokenizer

    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(where, revision=commit, trust_remote_code=False)
    except (ValueError, KeyError) as error:
        first = next(iter(str(error).splitlines()), type(error).__name__)
        raise OSError(f"no tokenizer: {first}") from error
    if len(tokenizer) < _LEAST_TOKENS:  # without its files, transformers makes one that knows special tokens alone
        raise OSError("it has no files of a tokenizer")
    return tokenizer


def _projection(model: Any, info: EncoderInfo, name: str) -> Projection:  # noqa: ANN401 - a class of transformers
    base, _ = split_pooling(info.pooling)
    if base not in {POOLED, PROJECTED, NOT_PINNED}:
        raise ValueError(
            f"zero-shot reads the pooling {POOLED} or {PROJECTED} of {name}, got features of {info.pooling!r}: encode "
            f"the images with --pooling {POOLED}."
        )
    head = None if base == PROJECTED else getattr(model, "visual_projection", None)
    matrix = None if head is None else head.weight.detach().float().cpu().numpy()
    dim = model.config.projection_dim if base == PROJECTED else model.config.vision_config.hidden_size
    if info.dim != dim:
        raise ValueError(f"{name} has features of {dim:,} numbers, got {info.dim:,}: they are of another model.")
    bias = getattr(model, "logit_bias", None)
    return Projection(
        matrix,
        float(model.logit_scale.detach().exp()),
        0.0 if bias is None else float(bias.detach()),
        independent=bias is not None,
    )


def _hash(tokenizer: Any) -> str:  # noqa: ANN401 - a class of transformers
    """Return what identifies a tokenizer: a local folder may have another one beside the same weights."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    text = backend.to_str() if backend is not None else repr(sorted(tokenizer.get_vocab().items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
