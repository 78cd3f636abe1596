"""S2 cell ids of whole arrays (http://s2geometry.io): ids, parents, tokens, centres and corners.

An id is a face (3 bits), a position on its Hilbert curve (two bits per level) and a 1 bit that ends it, in 64 bits.
The arithmetic is that of the reference library, operation by operation, so that the ids are the same to the last level.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geocell.compute.engines import over_rows
from geocell.geo.geodesy import Floats, latlon_from_unit, unit_vectors
from geocell.partitioners.merging import Ints

Ids = NDArray[np.uint64]

MAX_LEVEL = 30

_BLOCK = 1 << 14  # locations at a time: what is computed on the way stays in the cache of a core
_BITS = 4  # levels of the curve that one step through the tables takes
_POS_TO_IJ = ((0, 1, 3, 2), (0, 2, 3, 1), (3, 2, 0, 1), (3, 1, 0, 2))
_TURN = (1, 0, 0, 3)  # how each quarter of the curve is turned: bit 0 swaps the axes, bit 1 inverts them


@cache
def _tables() -> tuple[Ids, Ids]:
    """Return (1024,) tables of four levels of the curve: iiiijjjj + orientation -> pppppppp + orientation, and back.

    The orientation is in the two lowest bits on both sides.
    """
    to_pos, to_ij = np.zeros(1024, dtype=np.uint64), np.zeros(1024, dtype=np.uint64)
    for base in range(4):
        for pos in range(256):
            i = j = 0
            orientation = base
            for shift in (6, 4, 2, 0):
                quarter = (pos >> shift) & 3
                ij = _POS_TO_IJ[orientation][quarter]
                i, j = 2 * i + (ij >> 1), 2 * j + (ij & 1)
                orientation ^= _TURN[quarter]
            square = (i << 4) | j
            to_pos[(square << 2) | base] = (pos << 2) | orientation
            to_ij[(pos << 2) | base] = (square << 2) | orientation
    return to_pos, to_ij


def _face_uv(vectors: Floats) -> tuple[Ints, Floats, Floats]:
    """Return the face of each vector (the first of its largest components), and u and v on it."""
    x, y, z = vectors.T
    axis = np.argmax(np.abs(vectors), axis=1)
    face = axis + 3 * (np.take_along_axis(vectors, axis[:, None], axis=1)[:, 0] < 0)
    u, v = np.empty(len(x)), np.empty(len(x))
    sides = ((y, z, x), (-x, z, y), (-x, -y, z), (z, y, x), (z, -x, y), (-y, -x, z))
    for number, (a, b, c) in enumerate(sides):
        rows = np.flatnonzero(face == number)
        u[rows], v[rows] = a[rows] / c[rows], b[rows] / c[rows]
    return face, u, v


def _vectors(face: Ints, u: Floats, v: Floats) -> Floats:
    """Return (..., 3) vectors, not of length 1, of places on faces; the inverse of `_face_uv`."""
    one = np.ones_like(u)
    sides = [(one, u, v), (-u, one, v), (-u, -v, one), (-one, -v, -u), (v, -one, -u), (v, u, -one)]
    return np.choose(face[..., None], [np.stack(side, axis=-1) for side in sides])


def _index(uv: Floats) -> Ids:
    """Return the number in 0 … 2³⁰-1 of the leaf cell along one side, by the quadratic projection."""
    root = 0.5 * np.sqrt(1.0 + 3.0 * np.abs(uv))
    st = np.where(uv >= 0.0, root, 1.0 - root)
    return np.clip(np.floor(st * 2.0**MAX_LEVEL), 0, 2**MAX_LEVEL - 1).astype(np.uint64)


def _uv(st: Floats) -> Floats:
    return np.where(st >= 0.5, (4.0 * st**2 - 1.0) / 3.0, (1.0 - 4.0 * (1.0 - st) ** 2) / 3.0)


def s2_ids(latlon: ArrayLike, level: int = MAX_LEVEL) -> Ids:
    """Return the (P,) S2 cell ids of (P, 2) degrees at a level of 0 to 30."""
    ids: Ids = over_rows(_leaves, np.asarray(latlon, dtype=np.float64))
    return s2_parents(ids, level) if level < MAX_LEVEL else ids


def _leaves(places: Floats) -> Ids:
    """Return the (P,) ids of (P, 2) degrees at the finest level."""
    ids = np.empty(len(places), dtype=np.uint64)
    for start in range(0, len(places), _BLOCK):
        ids[start : start + _BLOCK] = _leaf_ids(unit_vectors(places[start : start + _BLOCK]))
    return ids


def _leaf_ids(vectors: Floats) -> Ids:
    face, u, v = _face_uv(vectors)
    i, j = _index(u), _index(v)
    to_pos, _ = _tables()
    state = face.astype(np.uint64) & np.uint64(1)  # the curve of every second face starts swapped
    ids = face.astype(np.uint64) << np.uint64(60)
    for step in range(7, -1, -1):
        shift = np.uint64(_BITS * step)
        square = (((i >> shift) & np.uint64(15)) << np.uint64(6)) | (((j >> shift) & np.uint64(15)) << np.uint64(2))
        entry = to_pos[square | state]
        ids |= (entry >> np.uint64(2)) << np.uint64(2 * _BITS * step)
        state = entry & np.uint64(3)
    return (ids << np.uint64(1)) | np.uint64(1)


def s2_levels(ids: Ids) -> Ints:
    """Return the (R,) levels of cells."""
    lowest = ids & (~ids + np.uint64(1))
    return MAX_LEVEL - np.log2(lowest.astype(np.float64)).astype(np.int64) // 2


def s2_parents(ids: Ids, level: int) -> Ids:
    """Return the (R,) cells of a level that contain cells, and the cell itself where it is not finer."""
    last = np.uint64(1 << (2 * (MAX_LEVEL - level)))
    finer = (ids & (~ids + np.uint64(1))) < last
    return np.where(finer, (ids & ~(last + last - np.uint64(1))) | last, ids)


def s2_ranges(ids: Ids) -> tuple[Ids, Ids]:
    """Return the (R,) lowest and the (R,) highest leaf id in cells."""
    below = (ids & (~ids + np.uint64(1))) - np.uint64(1)
    return ids - below, ids + below


def s2_valid(ids: Ids) -> NDArray[np.bool_]:
    """Return (R,) bool: which numbers are cell ids, on one of six faces and with the lowest 1 bit at an even place."""
    lowest = ids & (~ids + np.uint64(1))
    return np.asarray((ids >> np.uint64(61) < 6) & ((lowest & np.uint64(0x1555555555555555)) != 0))


def s2_token(number: int) -> str:
    """Return the usual text of an id: hexadecimal without the zeros at its end."""
    return f"{number:016x}".rstrip("0")


def _face_ij(ids: Ids) -> tuple[Ints, Ints, Ints, Ints]:
    """Return face, and i, j of the lowest corner and size of cells, in leaf cells."""
    _, to_ij = _tables()
    face = (ids >> np.uint64(61)).astype(np.int64)
    leaf = s2_ranges(ids)[0] >> np.uint64(1)
    state = face.astype(np.uint64) & np.uint64(1)
    i, j = np.zeros(len(ids), dtype=np.int64), np.zeros(len(ids), dtype=np.int64)
    for step in range(7, -1, -1):
        mask = np.uint64(15 if step == 7 else 255)  # the highest step holds two levels and, above them, the face
        entry = to_ij[(((leaf >> np.uint64(2 * _BITS * step)) & mask) << np.uint64(2)) | state]
        i = (i << _BITS) | ((entry >> np.uint64(6)) & np.uint64(15)).astype(np.int64)
        j = (j << _BITS) | ((entry >> np.uint64(2)) & np.uint64(15)).astype(np.int64)
        state = entry & np.uint64(3)
    size = np.int64(1) << (MAX_LEVEL - s2_levels(ids))
    return face, i & -size, j & -size, size


def s2_centres(ids: Ids) -> Floats:
    """Return the (R, 2) degrees of the centres of cells."""
    face, i, j, size = _face_ij(ids)
    s, t = ((side + size / 2) / 2.0**MAX_LEVEL for side in (i, j))
    return latlon_from_unit(_vectors(face, _uv(s), _uv(t)))


def cell_vertices(ids: Ids) -> Floats:
    """Return the (R, 4, 2) degrees of the corners of cells, counter-clockwise; the sides are great circles."""
    face, i, j, size = _face_ij(ids)
    s = np.stack((i, i + size, i + size, i), axis=1) / 2.0**MAX_LEVEL
    t = np.stack((j, j, j + size, j + size), axis=1) / 2.0**MAX_LEVEL
    return latlon_from_unit(_vectors(np.repeat(face[:, None], 4, axis=1), _uv(s), _uv(t)))
