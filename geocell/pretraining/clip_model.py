"""A model of images and texts to train: its two towers, tokenizer and image processor, loaded and saved together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from geocell.encoders.processors import load_processor
from geocell.encoders.tower import commit_of, is_folder, load_errors, model_origin, weights_hash
from geocell.encoders.trust import ModelError
from geocell.imagetext.checkpoints import load_tokenizer, whole_model
from geocell.imagetext.protocol import CAPTIONS, require_distinct
from geocell.imagetext.tokens import batches, tokenized

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
    def load(cls, name: str, revision: str | None = None) -> ClipModel:
        """Load a checkpoint with both towers, from a folder or the Hub, in float32.

        Raises:
            ValueError: when it is no CLIP, lacks weights, or gives all captions the same embedding.
            OSError: when it cannot be loaded.
        """
        import transformers

        where = model_origin(name)
        with load_errors(name):
            commit = None if is_folder(name) else commit_of(where, revision)
            model = whole_model(where, commit, name, vision=True)
            if model.config.model_type != "clip":
                raise ModelError(f"{name} must be a CLIP to be trained, got model type {model.config.model_type!r}.")
            tokenizer = load_tokenizer(where, commit)
            processor = load_processor(model.config, where, commit, "pil")
            images: Any = transformers.AutoImageProcessor
            settings = images.from_pretrained(where, revision=commit, backend="pil", trust_remote_code=False)
        known = (Path(where).resolve().name, weights_hash(Path(where))) if commit is None else (where, commit)
        made = cls(model, tokenizer, processor, settings, *known)
        with torch.no_grad():
            require_distinct(made.embed_captions(made.tokenize(CAPTIONS)).numpy(), name)
        return made

    def tokenize(self, captions: Sequence[str]) -> dict[str, Tensor]:
        """Return what the text tower takes of captions.

        Raises:
            ValueError: for a caption with more tokens than it reads.
        """
        most = int(self.model.config.text_config.max_position_embeddings)
        tokens = tokenized(self.tokenizer, captions, most)
        return {name: tokens[name] for name in ("input_ids", "attention_mask")}

    def normalised(self, pixels: NDArray[Any]) -> Tensor:
        """Return the (b, 3, H, W) input of the vision tower, of (b, H, W, 3) bytes, on the model's device."""
        rules, device = self.processor.normalisation, self.model.device
        mean, std = (torch.tensor(values, device=device).view(-1, 1, 1) for values in (rules.mean, rules.std))
        moved = torch.from_numpy(pixels.copy()).to(device).permute(0, 3, 1, 2)
        return (moved.to(torch.float32) * rules.scale - mean) / std

    def embed_images(self, pixels: Tensor) -> Tensor:
        """Return the (b, d) embeddings of length 1 of (b, 3, H, W) normalised images."""
        return _unit(self.model.visual_projection(self.model.vision_model(pixel_values=pixels).pooler_output))

    def embed_captions(self, tokens: Mapping[str, Tensor]) -> Tensor:
        """Return the (b, d) embeddings of length 1 of the tokens of captions."""
        return _unit(self.model.text_projection(self.model.text_model(**tokens).pooler_output))

    def require_captions_fit(self, captions: Iterable[str]) -> None:
        """Refuse a caption with more tokens than the text tower reads, before anything is trained."""
        for batch in batches(list(dict.fromkeys(captions))):
            self.tokenize(batch)

    def save(self, folder: Path) -> None:
        """Write weights, tokenizer and image processor into a folder, as transformers reads them."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        self.image_settings.save_pretrained(folder)


def _unit(embeddings: Tensor) -> Tensor:
    """Return embeddings of length 1, at least in float32."""
    at_least = embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))
    return torch.nn.functional.normalize(at_least, dim=-1)
