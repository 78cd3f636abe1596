"""Texts of many rows as whole numbers: each distinct text is held once, and not as an object of Python."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from geocell.files.arrow import arrow_bytes, arrow_mask, binary_texts, numpy_values
from geocell.views.hashing import TextKey

if TYPE_CHECKING:
    import pyarrow

Ints = NDArray[np.int64]

_PIECE = 1 << 20  # rows at a time, of arrays that would take as much memory as the hashes


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
            chunks.extend(binary_texts(piece).chunks)
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


def codes_by_hash(pieces: Iterable[pyarrow.Array | pyarrow.ChunkedArray], rows: int) -> tuple[Ints, Ints]:
    """Return which distinct text each row has, numbered as they appear, without keeping any text: 16 bytes per row.

    Args:
        pieces: Arrow arrays of texts without a missing one, one after the other.
        rows: N, how many they are together.

    Returns:
        (N,) codes, and the (P,) row in which each appears first, ascending.
    """
    return codes_of_hashes(map(TextKey().hashes, pieces), rows)


def codes_of_hashes(pieces: Iterable[NDArray[np.uint64]], rows: int) -> tuple[Ints, Ints]:
    """Return the same as `codes_by_hash`, of the hashes of the pieces by one `TextKey`.

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
    order, new = _grouped(hashes)
    del hashes
    if new.all():
        return np.arange(rows), np.arange(rows)
    begins = np.zeros(rows, dtype=np.bool_)
    begins[order[new]] = True  # rows of a group ascend
    rank = (np.cumsum(begins) - 1)[order[new]]
    group: Ints = np.cumsum(new, dtype=np.int64)
    group -= 1
    codes = np.empty(rows, dtype=np.int64)
    for first in range(0, rows, _PIECE):
        part = slice(first, first + _PIECE)
        codes[order[part]] = rank[group[part]]
    return codes, np.flatnonzero(begins)


def _grouped(hashes: NDArray[np.uint64]) -> tuple[Ints, NDArray[np.bool_]]:
    """Return (N,) rows, those of one hash beside each other and ascending, and where another hash begins.

    What is sorted are numbers with the first bits of a hash and the row below them, which takes a third of the time of
    `argsort`. Hashes with these bits in common are compared whole.
    """
    rows = len(hashes)
    below = np.uint64((1 << max(rows - 1, 0).bit_length()) - 1)
    keys = hashes[:, 0] & ~below
    keys |= np.arange(rows, dtype=np.uint64)
    keys.sort()
    new = np.ones(rows, dtype=np.bool_)
    new[1:] = (keys[1:] ^ keys[:-1]) > below
    keys &= below
    order = keys.view(np.int64)
    mixed = _mixed(hashes, order, new)
    if len(mixed):
        mine = order[mixed]
        mine = mine[np.lexsort((hashes[mine, 1], hashes[mine, 0]))]
        order[mixed] = mine
        new[mixed[1:]] = (hashes[mine[1:]] != hashes[mine[:-1]]).any(axis=1)
    return order, new


def _mixed(hashes: NDArray[np.uint64], order: Ints, new: NDArray[np.bool_]) -> Ints:
    """Return the places in `order` of all groups that have several hashes, ascending."""
    found = []
    for first in range(1, len(order), _PIECE):
        places = first + np.flatnonzero(~new[first : first + _PIECE])
        found.append(places[(hashes[order[places]] != hashes[order[places - 1]]).any(axis=1)])
    differ = np.concatenate(found) if found else np.empty(0, dtype=np.int64)
    if not len(differ):
        return differ
    begins = np.append(np.flatnonzero(new), len(order))
    groups = np.unique(np.searchsorted(begins, differ, side="right"))
    return np.concatenate([np.arange(begins[group - 1], begins[group]) for group in groups.tolist()])
