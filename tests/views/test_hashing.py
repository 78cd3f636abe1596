"""Hashes of texts are those of whole numbers of Python, and differ where texts do."""

from __future__ import annotations

import hashlib
import pickle

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import geocell.views.hashing
from geocell.views.hashing import TextKey

KEY = TextKey(bytes(range(32)))
CHARACTERS = st.one_of(st.characters(codec="utf-8"), st.sampled_from("\0ab"))
TEXT = st.one_of(
    st.text(CHARACTERS, max_size=9),
    st.tuples(st.text(CHARACTERS, max_size=9), st.integers(0, 30), CHARACTERS).map(lambda t: t[0] * t[1] + t[2]),
    st.integers(120, 136).map("x".__mul__),
)
TEXTS = st.lists(TEXT, max_size=20)


def slow(text: str) -> bytes:
    """Return the hash of a text by the formula, one number at a time."""
    data = text.encode()
    if len(data) > 128:
        return hashlib.blake2b(data, digest_size=16, key=KEY.secret).digest()
    stream = hashlib.shake_256(KEY.secret).digest(34 * 4 * 8)
    keys = [int.from_bytes(stream[8 * i : 8 * i + 8], "little") for i in range(34 * 4)]
    words = [len(data), *(int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4))]
    parts = b""
    for column in range(4):
        total = keys[column] + sum(word * keys[4 * (1 + i) + column] for i, word in enumerate(words))
        parts += (total % 2**64 >> 32).to_bytes(4, "little")
    return parts


def of(texts: list[str], kind: pa.DataType | None = None) -> list[bytes]:
    return [row.tobytes() for row in KEY.hashes(pa.array(texts, kind or pa.string()))]


@given(TEXTS)
def test_they_are_those_of_the_formula(texts: list[str]) -> None:
    assert of(texts) == [slow(text) for text in texts]


@given(TEXTS, st.integers(1, 5), st.integers(1, 5))
def test_pieces_blocks_and_types_do_not_change_them(texts: list[str], size: int, block: int) -> None:
    expected = of(texts)
    whole = pa.array([*texts, "", *texts], pa.string())
    part = whole.slice(len(texts) + 1)
    pieces = pa.chunked_array([part.slice(first, size) for first in range(0, len(part), size)], pa.string())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(geocell.views.hashing, "_BLOCK", block)
        for column in (part, pieces, pieces.dictionary_encode(), part.cast(pa.large_string())):
            assert [row.tobytes() for row in KEY.hashes(column)] == expected


@given(st.sets(TEXT, max_size=20))
def test_different_texts_have_different_ones(texts: set[str]) -> None:
    assert len(set(of(list(texts)))) == len(texts)


def test_zeros_at_the_end_and_the_start_count() -> None:
    texts = ["", "\0", "\0\0", "\0" * 4, "\0" * 5, "a", "a\0", "\0a", "\0" * 128, "\0" * 129]
    assert len(set(of(texts))) == len(texts)


def test_every_bit_is_used() -> None:
    hashes = TextKey(b"k" * 32).hashes(pa.array([f"L{i:09d}" for i in range(4096)]))
    bits = np.unpackbits(hashes.view(np.uint8), axis=1).mean(axis=0)
    assert bits.shape == (128,)
    assert np.abs(bits - 0.5).max() < 0.05  # 6 standard deviations


def test_every_key_has_its_own_hashes_and_shows_no_secret() -> None:
    first, second = TextKey(), TextKey()
    texts = pa.array(["a", "b" * 200])
    assert not (first.hashes(texts) == second.hashes(texts)).any()
    assert (pickle.loads(pickle.dumps(first)).hashes(texts) == first.hashes(texts)).all()  # noqa: S301 - our own
    assert repr(first) == "TextKey()"


def test_bytes_that_are_no_utf8_are_refused() -> None:
    broken = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff"]).buffers())
    with pytest.raises(ValueError, match="UTF8"):
        KEY.hashes(broken)
