"""A model of images and texts to train: its two towers, tokenizer and image processor, loaded and saved together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from geocell.encoders.processors import load_processor
from geocell.encoders.tower import commit_of, load_errors, model_config, model_origin, weights_hash

if TYPE_CHECKING:
    from geocell.encoders.processors import Processor


@dataclass(frozen=True, eq=False)
class ClipModel:
    """CLIP with everything that its folder holds.

    Attributes:
        model: `transformers.CLIPModel`.
        tokenizer: of its captions.
        processor: of its images.
        image_settings: the same as an object of transformers, to be saved.
        name: Hub id, or name of the folder.
        revision: commit, or hash of the weights.
    """

    model: Any
    tokenizer: Any
    processor: Processor
    image_settings: Any
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
            commit = None if Path(where).is_dir() else commit_of(where, revision)
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
            images: Any = transformers.AutoImageProcessor
            settings = images.from_pretrained(where, revision=commit, backend="pil", trust_remote_code=False)
        known = (Path(where).resolve().name, weights_hash(Path(where))) if commit is None else (where, commit)
        made = cls(model, tokenizer, processor, settings, *known)
        made.require_captions_differ()
        return made

    def tokenize(self, captions: Sequence[str]) -> dict[str, Tensor]:
        """Return what the text tower takes of captions; what is longer than it reads is cut off."""
        most = int(self.model.config.text_config.max_position_embeddings)
        tokens = self.tokenizer(list(captions), padding=True, truncation=True, max_length=most, return_tensors="pt")
        return {name: tokens[name] for name in ("input_ids", "attention_mask")}

    def save(self, folder: Path) -> None:
        """Write weights, tokenizer and image processor into a folder, as transformers reads them."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        self.image_settings.save_pretrained(folder)

    def require_captions_differ(self) -> None:
        """Refuse a text tower that gives every caption the same embedding.

        CLIP reads the embedding of a caption at its end token; where the configuration names a token that the tokenizer
        never makes, it reads the same place of every caption, without an error.
        """
        with torch.no_grad():
            pooled = self.model.text_model(**self.tokenize(["a photo of a street in Paris", "two"])).pooler_output
        if torch.allclose(pooled[0], pooled[1]):
            raise ValueError(
                f"{self.name} gives different captions the same embedding: its eos_token_id is none of its tokenizer's."
            )
