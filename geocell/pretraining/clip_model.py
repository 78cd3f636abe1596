"""A model of images and texts to train: its two towers, tokenizer and image processor, loaded and saved together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from geocell.encoders.processors import load_processor
from geocell.encoders.tower import load_errors, model_commit, model_config, model_origin, weights_hash

if TYPE_CHECKING:
    from geocell.encoders.processors import Processor

MAX_SCALE = float(np.log(100.0))
"""Largest `logit_scale`, as in CLIP: exp of it is 100."""


@dataclass(frozen=True, eq=False)
class ClipModel:
    """CLIP with everything that its folder holds.

    Attributes:
        model: `transformers.CLIPModel`.
        tokenizer: of its captions.
        processor: of its images.
        name: Hub id, or name of the folder.
        revision: commit, or hash of the weights.
    """

    model: Any
    tokenizer: Any
    processor: Processor
    name: str
    revision: str

    @classmethod
    def load(cls, name: str, revision: str | None = None, backend: str = "pil") -> ClipModel:
        """Load a checkpoint with both towers, from a folder or the Hub, in float32.

        Raises:
            ValueError: when it is no CLIP, or lacks weights.
            OSError: when it cannot be loaded.
        """
        import transformers

        where = model_origin(name)
        with load_errors(name):
            commit = model_commit(name, revision)
            config = model_config(where, commit)
            if config.model_type != "clip":
                raise ValueError(
                    f"{name} must be a CLIP with a tower for images and one for texts, got model type "
                    f"{config.model_type!r}: choose openai/clip-vit-large-patch14-336, say."
                )
            loader: Any = transformers.CLIPModel
            model, report = loader.from_pretrained(
                where, revision=commit, dtype=torch.float32, output_loading_info=True, trust_remote_code=False
            )
            if report["missing_keys"]:
                raise ValueError(
                    f"{name} must hold all weights of a CLIP, got none for {sorted(report['missing_keys'])[0]}."
                )
            auto: Any = transformers.AutoTokenizer
            tokenizer = auto.from_pretrained(where, revision=commit, trust_remote_code=False)
            processor = load_processor(config, where, commit, backend)
        made = cls(model, tokenizer, processor, Path(where).name if commit is None else where, commit or "")
        if commit is None:
            object.__setattr__(made, "revision", weights_hash(Path(where)))
        made.require_captions_differ()
        return made
