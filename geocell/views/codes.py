"""Texts of many rows as whole numbers: each distinct text is held once, and not as an object of Python."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.files.arrow import arrow_bytes, arrow_mask, numpy_values

if TYPE_CHECKING:
    import pyarrow

Ints = NDArray[np.int64]

_DIGEST = 16  # bytes of a text's hash: among 10^9 texts, two have the same one with a probability of 10^-21


@dataclass(frozen=True, eq=False)
class TextCodes:
    """N texts of P distinct ones.

    Attributes:
        codes: (N,) int64, which of the names each is.
        names: (P,) Arrow array of UTF-8 as bytes, every one used; in the order in which they appear unless `ascending`
            made another one.
    """

    codes: Ints
    names: pyarrow.LargeBinaryArray

    @classmethod
    def of(cls, values: TextCodes | Sequence[Any] | NDArray[Any]) -> TextCodes:
        """Return the codes of N values as text."""
        if isinstance(values, TextCodes):
            return values
        texts = [str(value).encode("utf-8", "surrogatepass") for value in values]
        return cls.from_pieces([arrow_bytes(texts)])

    @classmethod
    def from_pieces(cls, pieces: Iterable[pyarrow.Array | pyarrow.ChunkedArray]) -> TextCodes:
        """Return the codes of Arrow arrays of texts without a missing one, one after the other."""
        import pyarrow as pa

        chunks: list[Any] = []
        for piece in pieces:
            whole = piece if isinstance(piece, pa.ChunkedArray) else pa.chunked_array([piece])
            if pa.types.is_dictionary(whole.type):
                whole = whole.cast(whole.type.value_type)
            if not pa.types.is_large_binary(whole.type):
                whole = whole.cast(pa.large_string()).cast(pa.large_binary())
            chunks.extend(whole.chunks)
        column = pa.chunked_array(chunks, pa.large_binary()).dictionary_encode()
        del chunks
        codes = np.empty(len(column), dtype=np.int64)
        first = 0
        for chunk in column.chunks:  # all have the dictionary of the last
            codes[first : first + len(chunk)] = numpy_values(chunk.indices)
            first += len(chunk)
        names = column.chunks[-1].dictionary if column.num_chunks else arrow_bytes([])
        return cls(codes, names)

    def __len__(self) -> int:
        """Return N."""
        return len(self.codes)

    def ascending(self) -> TextCodes:
        """Return the same texts with the names in ascending order: that of their characters' numbers."""
        import pyarrow.compute as pc

        order = pc.array_sort_indices(self.names)
        rank = np.empty(len(order), dtype=np.int64)
        rank[numpy_values(order)] = np.arange(len(order))
        return TextCodes(rank[self.codes], self.names.take(order))

    def name(self, code: int) -> str:
        """Return one name."""
        return str(self.names[code].as_py().decode("utf-8", "surrogatepass"))

    def texts(self, where: NDArray[np.bool_] | None = None) -> list[str]:
        """Return the names, or those of a (P,) mask, as objects of Python."""
        import pyarrow as pa

        chosen = self.names if where is None else self.names.filter(arrow_mask(where))
        try:
            return list(chosen.cast(pa.large_string()).to_pylist())
        except pa.ArrowInvalid:  # half of a surrogate pair, which no file can hold
            return [name.decode("utf-8", "surrogatepass") for name in chosen.to_pylist()]


def text_hashes(texts: pyarrow.Array | pyarrow.ChunkedArray) -> NDArray[np.uint64]:
    """Return the (N, 2) hashes, of 16 bytes each, of N texts without a missing one."""
    digests = [hashlib.blake2b(text.encode(), digest_size=_DIGEST).digest() for text in texts.to_pylist()]
    return np.frombuffer(b"".join(digests), np.uint64).reshape(-1, 2)


def codes_by_hash(pieces: Iterable[pyarrow.Array | pyarrow.ChunkedArray], rows: int) -> tuple[Ints, Ints]:
    """Return which distinct text each row has, numbered as they appear, without keeping any text: 16 bytes per row.

    Args:
        pieces: Arrow arrays of texts without a missing one, one after the other.
        rows: N, how many they are together.

    Returns:
        (N,) codes, and the (P,) row in which each appears first, ascending.
    """
    return codes_of_hashes(map(text_hashes, pieces), rows)


def codes_of_hashes(pieces: Iterable[NDArray[np.uint64]], rows: int) -> tuple[Ints, Ints]:
    """Return the same as `codes_by_hash`, of the `text_hashes` of the pieces.

    Args:
        pieces: (n, 2) hashes, one after the other.
        rows: N, how many they are together.

    Returns:
        (N,) codes, and the (P,) row in which each appears first, ascending.
    """
    hashes = np.empty((rows, 2), dtype=np.uint64)
    there = 0
    for piece in pieces:
        hashes[there : there + len(piece)] = piece
        there += len(piece)
    if there != rows:
        raise ValueError(f"pieces must have {rows} texts together, got {there}.")
    order = np.argsort(hashes[:, 0], kind="stable")
    new, halves = _starts(hashes, order)
    if halves:  # two texts with one half in common
        order = np.lexsort((hashes[:, 1], hashes[:, 0]))
        new, _ = _starts(hashes, order)
    del hashes
    first = order[new]  # the sort is stable, so it is the least of the group
    by_row = np.argsort(first)
    rank = np.empty(len(first), dtype=np.int64)
    rank[by_row] = np.arange(len(first))
    codes = np.empty(rows, dtype=np.int64)
    codes[order] = rank[np.cumsum(new) - 1]
    return codes, first[by_row]


def _starts(hashes: NDArray[np.uint64], order: Ints) -> tuple[NDArray[np.bool_], bool]:
    """Return (N,) where a hash differs from the one before it, and whether only its second half does somewhere."""
    new, halves = np.ones(len(order), dtype=np.bool_), False
    first = hashes[order, 0]
    new[1:] = first[1:] != first[:-1]
    first = hashes[order, 1]
    second = first[1:] != first[:-1]
    halves = bool((second & ~new[1:]).any())
    new[1:] |= second
    return new, halves
