"""Ids of locations as Arrow text: a few bytes each where a Python string takes 60, looked up all at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from geocell.files.arrow import arrow_mask, arrow_rows, numpy_values
from geocell.views.hashing import TextKey

if TYPE_CHECKING:
    import pyarrow

_MANY = 1 << 17
_PIECE = 1 << 18  # ids that are Python strings at a time


class Ids(Sequence[str]):
    """Location ids, none of them missing; equal to any sequence of the same texts, and hashed by none.

    Attributes:
        texts: (P,) large_string array of Arrow.
    """

    def __init__(self, ids: Iterable[object]) -> None:
        """Take the texts of P values, without a copy where they are Arrow text already.

        Raises:
            ValueError: for a text that UTF-8 does not have, half of a surrogate pair.
        """
        self.texts: Any = ids.texts if isinstance(ids, Ids) else _texts(list(ids) if isinstance(ids, Iterator) else ids)

    def __len__(self) -> int:
        """Return P."""
        return len(self.texts)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Ids: ...
    def __getitem__(self, index: int | slice) -> str | Ids:
        """Return one id, or some."""
        return Ids(self.texts[index]) if isinstance(index, slice) else str(self.texts[index].as_py())

    def __iter__(self) -> Iterator[str]:
        """Yield every id."""
        for first in range(0, len(self), _PIECE):
            yield from self.texts.slice(first, _PIECE).to_pylist()

    def __eq__(self, other: object) -> bool:
        """Return whether the other is a sequence of the same ids."""
        if isinstance(other, Ids):
            return bool(self.texts.equals(other.texts))
        if isinstance(other, tuple | list):
            return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))
        return NotImplemented

    __hash__ = None  # type: ignore[assignment] # as of a list: sequences of all kinds are equal to it

    def __repr__(self) -> str:
        """Return what a tuple of them would say."""
        return repr(tuple(self))

    def take(self, index: NDArray[np.int64] | NDArray[np.bool_]) -> Ids:
        """Return the ids at `index`, or where it is True."""
        texts = self.texts
        return Ids(texts.filter(arrow_mask(index)) if index.dtype == bool else texts.take(arrow_rows(index)))

    def find(self, ids: Ids) -> NDArray[np.int64]:
        """Return for each of (Q,) other ids where it stands here, in the first place of several; −1 where it does not.

        Arrow's table of so many texts takes 150 bytes each; of many, their hashes are sorted and searched instead.
        """
        from pyarrow import compute

        found = self._find_by_hash(ids) if len(self) > _MANY else None
        if found is None:
            places = compute.index_in(ids.texts, value_set=self.texts)
            none = arrow_rows([-1]).cast(places.type)[0]
            found = numpy_values(places.fill_null(none)).astype(np.int64)
        return found

    @property
    def distinct(self) -> bool:
        """Whether no id is there twice."""
        from pyarrow import compute

        if len(self) > _MANY and self._by_hash is not None:
            return True
        return bool(compute.count_distinct(self.texts).as_py() == len(self))

    def _find_by_hash(self, ids: Ids) -> NDArray[np.int64] | None:
        """Return what `find` does, None where two texts have one hash."""
        from pyarrow import compute

        if self._by_hash is None:
            return None
        key, hashes, order = self._by_hash
        found = np.empty(len(ids), dtype=np.int64)
        for first in range(0, len(ids), _PIECE):
            asked = Ids(ids.texts.slice(first, _PIECE))
            wanted = asked._hashes(key)
            by_hash, place = np.argsort(wanted), np.empty(len(wanted), dtype=np.int64)
            place[by_hash] = np.searchsorted(hashes, wanted[by_hash])  # in no order, each would miss the cache
            place = np.minimum(place, len(hashes) - 1)
            there = hashes[place] == wanted
            place = order[place]
            same = compute.equal(self.texts.take(arrow_rows(place[there])), asked.take(there).texts)
            if not compute.all(same, min_count=0).as_py():
                return None
            found[first : first + len(asked)] = np.where(there, place, -1)
        return found

    @cached_property
    def _by_hash(self) -> tuple[TextKey, NDArray[np.uint64], NDArray[np.int64]] | None:
        """A key, the hashes by it in ascending order, and which id each is of; None where two ids have the same."""
        key, hashes = TextKey(), np.empty(len(self), dtype=np.uint64)
        for first in range(0, len(self), _PIECE):
            part = Ids(self.texts.slice(first, _PIECE))
            hashes[first : first + len(part)] = part._hashes(key)
        order = np.argsort(hashes)
        hashes = hashes[order]
        return None if (hashes[1:] == hashes[:-1]).any() else (key, hashes, order)

    def _hashes(self, key: TextKey) -> NDArray[np.uint64]:
        """Return the first half of each hash."""
        return key.hashes(self.texts)[:, 0]


def _texts(ids: Any) -> pyarrow.LargeStringArray:  # noqa: ANN401 - whatever holds texts
    """Return values as text in one Arrow array."""
    import pyarrow as pa

    try:
        array = ids if isinstance(ids, pa.Array | pa.ChunkedArray) else pa.array(ids)
        text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_large_binary)
        if not any(is_text(array.type) for is_text in text) or array.null_count:
            array = pa.array([str(value) for value in ids], pa.large_string())
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):  # of several kinds
        array = pa.array([str(value) for value in ids], pa.large_string())
    array = array.cast(pa.large_string())
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def joined_ids(parts: Sequence[Ids]) -> Ids:
    """Return the ids of several sequences, one after the other."""
    import pyarrow as pa

    return Ids(pa.chunked_array([part.texts for part in parts], pa.large_string()))
