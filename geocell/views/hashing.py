"""Hashes of many texts, by a secret key: whoever wrote a file could not choose texts that have one hash."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geocell.files.arrow import arrow_mask, binary_texts

if TYPE_CHECKING:
    import pyarrow

_DIGEST = 16  # bytes of a hash
_MOST = 128  # bytes of a text that is hashed together with others
_BLOCK = 1 << 13  # texts that are hashed together


@dataclass(frozen=True)
class TextKey:
    """A key of hashes; two different texts have one hash with a probability of 2^-128 over the keys.

    The length l and the 32-bit words w_1 … w_m of a text, the last one filled with zeros, make the number
    k_0 + k_1·l + Σ k_(i+1)·w_i modulo 2^64, with 64-bit keys k. Its upper 32 bits are strongly universal (Lemire and
    Kaser, "Strongly universal string hashing is fast", The Computer Journal 57, 2014), and a hash has those of four
    independent rows of keys. Texts of more than 128 bytes have their keyed BLAKE2b.

    Attributes:
        secret: 32 bytes from which all keys are derived. Hashes can be compared where they have the same.
    """

    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    @cached_property
    def _keys(self) -> NDArray[np.uint64]:
        """(2 + 128 / 4, 4) keys."""
        rows = 2 + _MOST // 4
        return np.frombuffer(hashlib.shake_256(self.secret).digest(rows * 4 * 8), dtype="<u8").reshape(rows, 4)

    def hashes(self, texts: pyarrow.Array | pyarrow.ChunkedArray) -> NDArray[np.uint64]:
        """Return the (N, 2) hashes, of 16 bytes each, of N texts without a missing one.

        Raises:
            ValueError: for bytes that are no UTF-8.
        """
        import pyarrow as pa

        binary = binary_texts(texts)
        binary.cast(pa.large_string())  # raises
        out = np.empty((len(texts), 2), dtype=np.uint64)
        there = 0
        for chunk in binary.chunks:
            for first in range(0, len(chunk), _BLOCK):
                block = chunk.slice(first, _BLOCK)
                out[there : there + len(block)] = self._block(block)
                there += len(block)
        return out

    def _block(self, texts: pyarrow.LargeBinaryArray) -> NDArray[np.uint64]:
        """Return the hashes of one block of large_binary."""
        ends, data = _bytes(texts)
        long = np.diff(ends) > _MOST
        if not long.any():
            return self._short(ends, data)
        out = np.empty((len(texts), 2), dtype=np.uint64)
        out[~long] = self._short(*_bytes(texts.filter(arrow_mask(~long))))
        digests = [
            hashlib.blake2b(text, digest_size=_DIGEST, key=self.secret).digest()
            for text in texts.filter(arrow_mask(long)).to_pylist()
        ]
        out[long] = np.frombuffer(b"".join(digests), dtype=np.uint64).reshape(-1, 2)
        return out

    def _short(self, ends: NDArray[np.int64], data: NDArray[np.uint8]) -> NDArray[np.uint64]:
        lengths = np.diff(ends)
        width = -(-int(lengths.max(initial=1)) // 4) * 4
        filled = np.zeros((len(lengths), width), dtype=np.uint8)
        filled[np.arange(width) < lengths[:, None]] = data[ends[0] : ends[-1]]
        sums = filled.view("<u4").astype(np.uint64) @ self._keys[2 : 2 + width // 4]
        sums += self._keys[0] + lengths.astype(np.uint64)[:, None] * self._keys[1]
        sums >>= np.uint64(32)
        return sums.astype(np.uint32).view(np.uint64)


def _bytes(texts: pyarrow.LargeBinaryArray) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return the (N + 1,) ends of texts in their bytes, and these."""
    _, ends, data = texts.buffers()
    if not len(texts):  # which may have no buffer of ends
        return np.zeros(1, dtype=np.int64), np.empty(0, dtype=np.uint8)
    whole = np.frombuffer(ends, dtype=np.int64)
    return whole[texts.offset : texts.offset + len(texts) + 1], np.frombuffer(data or b"", dtype=np.uint8)
