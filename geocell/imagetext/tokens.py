"""Texts to tokens, in batches, with no text cut off in silence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from geocell.files import printable

_BATCH = 128


def batches(texts: Sequence[str], size: int = _BATCH) -> Iterator[list[str]]:
    """Yield texts in pieces."""
    for start in range(0, len(texts), size):
        yield list(texts[start : start + size])


def tokenized(tokenizer: Any, texts: Sequence[str], most: int, whole: bool = False) -> Any:  # noqa: ANN401 - transformers
    """Return the tokens of texts as tensors.

    Args:
        tokenizer: of transformers.
        texts: the texts.
        most: the most tokens that the model takes.
        whole: pad every text to that number (SigLIP), and not to the longest.

    Raises:
        ValueError: for a text with more tokens.
    """
    lengths = [len(ids) for ids in tokenizer(list(texts))["input_ids"]]
    if max(lengths) > most:
        longest = printable(texts[lengths.index(max(lengths))])
        raise ValueError(f"a text must have at most {most} tokens, got {max(lengths)}: shorten {longest[:60] + '…'!r}.")
    return tokenizer(
        list(texts), padding="max_length" if whole else True, max_length=most, truncation=True, return_tensors="pt"
    )
