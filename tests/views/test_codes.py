"""Texts as whole numbers."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import geocell.views.codes
from geocell.views.codes import TextCodes, codes_by_hash, codes_of_hashes

CHARACTERS = st.one_of(st.characters(codec="utf-8"), st.sampled_from("\0ab"))
TEXTS = st.lists(st.one_of(st.text(CHARACTERS, max_size=3), st.integers(125, 131).map("é".__mul__)), max_size=30)


@given(TEXTS, st.integers(1, 7))
def test_hashes_number_texts_as_they_appear(texts: list[str], size: int) -> None:
    pieces = [pa.array(texts[first : first + size], pa.string()) for first in range(0, len(texts), size)]
    codes, first = codes_by_hash(pieces, len(texts))
    expected, names = pd.factorize(np.array(texts, dtype=object))
    assert codes.tolist() == expected.tolist()
    assert [texts[row] for row in first] == list(names)


@pytest.mark.parametrize("piece", [2, 1 << 20])
@given(
    pairs=st.lists(st.tuples(st.sampled_from([0, 1, 1 << 40, (1 << 40) + 1, 1 << 63]), st.integers(0, 2)), max_size=40)
)
def test_hashes_alike_in_part_are_told_apart(pairs: list[tuple[int, int]], piece: int) -> None:
    hashes = np.array(pairs, dtype=np.uint64).reshape(-1, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(geocell.views.codes, "_PIECE", piece)
        codes, first = codes_of_hashes([hashes[:7], hashes[7:]], len(pairs))
    seen = list(dict.fromkeys(pairs))
    assert codes.tolist() == [seen.index(pair) for pair in pairs]
    assert first.tolist() == [pairs.index(pair) for pair in seen]


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
