"""Texts to tokens."""

import pytest

from geocell.imagetext.tokens import batches, tokenized
from tests.imagetext.models import clip_tokenizer


def test_batches_are_all_in_order() -> None:
    texts = [str(i) for i in range(300)]
    assert [text for batch in batches(texts) for text in batch] == texts
    assert max(len(batch) for batch in batches(texts)) == 128


def test_no_text_is_cut() -> None:
    tokenizer = clip_tokenizer()
    assert tokenized(tokenizer, ["ab", "abcd"], 6)["input_ids"].shape == (2, 6)
    assert tokenized(tokenizer, ["ab"], 9, whole=True)["input_ids"].shape == (1, 9)
    with pytest.raises(ValueError, match="at most 5 tokens, got 6: shorten 'abcd…'"):
        tokenized(tokenizer, ["ab", "abcd"], 5)
