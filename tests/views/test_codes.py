"""Texts as whole numbers."""

import hashlib

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocell.views import codes as module
from geocell.views.codes import TextCodes, codes_by_hash

TEXTS = st.lists(st.text(st.characters(codec="utf-8"), max_size=3), max_size=30)


@given(TEXTS, st.integers(1, 7))
def test_hashes_number_texts_as_they_appear(texts: list[str], size: int) -> None:
    pieces = [pa.array(texts[first : first + size], pa.string()) for first in range(0, len(texts), size)]
    codes, first = codes_by_hash(pieces, len(texts))
    expected, names = pd.factorize(np.array(texts, dtype=object))
    assert codes.tolist() == expected.tolist()
    assert [texts[row] for row in first] == list(names)


def test_texts_with_half_a_hash_in_common_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    class Half:
        def __init__(self, text: bytes, digest_size: int) -> None:
            self.text, self.size = text, digest_size

        def digest(self) -> bytes:
            return b"\0" * 8 + self.text.ljust(self.size - 8, b"\0")

    monkeypatch.setattr(hashlib, "blake2b", Half)
    codes, first = codes_by_hash([pa.array(["b", "a", "b", "c", "a", "b"])], 6)
    assert codes.tolist() == [0, 1, 0, 2, 1, 0]
    assert first.tolist() == [0, 1, 3]
    assert module.hashlib is hashlib


def test_pieces_have_the_rows_that_were_said() -> None:
    with pytest.raises(ValueError, match="must have 3 texts together, got 2"):
        codes_by_hash([pa.array(["a", "b"])], 3)


@given(st.lists(st.text(max_size=3), max_size=30))  # with halves of surrogate pairs, as Python's texts may have
def test_ascending_codes_are_those_of_numpy(texts: list[str]) -> None:
    coded = TextCodes.of(texts).ascending()
    assert coded.texts() == sorted(set(texts))
    assert [coded.name(int(code)) for code in coded.codes] == texts


def test_pieces_of_any_type_of_text_are_one() -> None:
    pieces = [
        pa.array(["b", "a"], pa.string()),
        pa.chunked_array([["a"], ["c"]], pa.large_string()),
        pa.array(["c", "é"]).dictionary_encode(),
    ]
    coded = TextCodes.from_pieces(pieces)
    assert coded.codes.tolist() == [0, 1, 1, 2, 2, 3]
    assert coded.texts() == ["b", "a", "c", "é"]
    assert len(coded) == 6
    assert TextCodes.of(coded) is coded
    assert TextCodes.of([]).texts() == []
    assert TextCodes.of([7, "7"]).texts() == ["7"]
