"""The protocol of models of images and texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from geocell.encoders.info import EncoderInfo
from geocell.imagetext.projection import Float32, Projection


@runtime_checkable
class ImageTextModel(Protocol):
    """A frozen model whose images and texts are embedded in one space of d numbers, with cached image features."""

    @property
    def info(self) -> EncoderInfo:
        """The encoder whose (N, D) features `project` takes."""
        ...

    @property
    def text_identity(self) -> str:
        """What the embeddings of texts depend on: the model, its revision, its tokenizer. Caches are keyed by it."""
        ...

    @property
    def projection(self) -> Projection:
        """The projection of features, with the scale and bias of logits."""
        ...

    @property
    def logit_scale(self) -> float:
        """The factor of the cosines."""
        ...

    def text(self, texts: Sequence[str]) -> Float32:
        """Return the (n, d) embeddings of n texts, of norm 1.

        Raises:
            ValueError: for no text, one that is empty, or one that is too long for the model.
        """
        ...

    def project(self, pooled: NDArray[np.floating]) -> Float32:
        """Return the (N, d) embeddings of (N, D) features, of norm 1."""
        ...


def require_texts(texts: Sequence[str]) -> list[str]:
    """Return texts that can be embedded.

    Raises:
        ValueError: for none, or one that is empty.
        TypeError: for one text alone, or something else.
    """
    if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
        raise TypeError(f"texts must be a list of texts, got {type(texts).__name__}: put one text in a list.")
    if not texts:
        raise ValueError("expected at least one text, got none.")
    if empty := [row for row, text in enumerate(texts) if not text.strip()]:
        raise ValueError(f"a text must have at least one word, got an empty one at position {empty[0]}.")
    return list(texts)


def require_distinct(embed: NDArray[np.floating], name: str) -> None:
    """Refuse a model that gives two captions the same embedding.

    CLIP pools the token whose id is `eos_token_id`. Where that id never occurs, it pools the first token, which knows
    nothing of the caption, and raises no error.

    Args:
        embed: (2, d) embeddings of two captions.
        name: of the model.

    Raises:
        ValueError: when they are equal.
    """
    if float(np.abs(embed[0] - embed[1]).max()) < 1e-5:
        raise ValueError(
            f"{name} gives two different captions the same embedding: the eos_token_id of its text_config must be the "
            "id that its tokenizer puts at the end of a text; correct it in config.json, or use another model."
        )


CAPTIONS = ("A Street View photo in France.", "A Street View photo from Tokyo.")
"""The two captions of `require_distinct`."""
