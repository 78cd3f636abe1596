"""Shards of a feature cache: safetensors files with the tensor `features`, and the problems of rows as metadata.

The header is written here because its bytes must be the same every time (safetensors' own writer orders metadata at
random), and read here because rows are read in place. The layout is that of the safetensors format: eight bytes with
the length of a JSON header, the header, and the numbers.
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import os
import struct
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from geocell.files import DamagedFileError, is_local, is_out_of_files, parse_json, too_many_open, write_bytes

FILE_DTYPE = np.dtype(np.float16)  # 2^-11 relative: cosines to the float32 features stay above 0.9999999
_GAP = 1 << 20  # bytes that are read too rather than asked around: as long as a store takes to answer, about
_MAX_HEADER = 100_000_000  # the limit of the format


class ShardHeader(NamedTuple):
    """The header of a shard.

    Attributes:
        shape: (rows, D).
        offset: of the first number in the file, in bytes.
        problems: row of the shard -> why it has no features.
        sha256: of the problems and the numbers.
    """

    shape: tuple[int, int]
    offset: int
    problems: dict[int, str]
    sha256: str


def shard_path(folder: Path, index: int) -> Path:
    """Return the path of shard `index` of a cache."""
    return folder / f"features-{index:05d}.safetensors"


def shard_version(folder: Path, index: int) -> object:
    """Return a value that changes whenever a shard is written again, with equal bytes too; None when it is missing.

    On an object store it tells only whether the shard exists: stores differ in what they report.
    """
    path = shard_path(folder, index)
    if not is_local(path):
        return path.exists() or None
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_ino, stat.st_mtime_ns


def write_shard(folder: Path, index: int, features: NDArray[Any], problems: dict[int, str]) -> None:
    """Write one shard atomically.

    Args:
        folder: the cache.
        index: which shard.
        features: (rows, D) features; rows with a problem are NaN.
        problems: row within the shard -> why it has no features.

    Raises:
        ValueError: when a feature without a problem is not finite in the file's dtype.
        OSError: when the disk is full.
    """
    write_rows(shard_path(folder, index), features, problems, f"shard {index}")


def write_rows(path: Path, features: NDArray[Any], problems: dict[int, str], what: str) -> None:
    """Write rows of features to a file in the layout of a shard; `what` names them in messages. See `write_shard`."""
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(features, dtype=FILE_DTYPE)
    broken = np.flatnonzero(~np.isfinite(stored).all(axis=1))
    unexplained = [int(row) for row in broken if int(row) not in problems]
    if unexplained:
        raise ValueError(
            f"features must be finite float16 numbers, got NaN, infinity or more than 65504 in row {unexplained[0]} of "
            f"{what}: check the encoder and its dtype."
        )
    texts = json.dumps({str(row): text for row, text in sorted(problems.items())})
    data = stored.data.cast("B")
    metadata = {"problems": texts, "sha256": _digest(texts, data)}
    value = {"__metadata__": metadata, "features": _tensor(stored.shape)}
    header = json.dumps(value, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # numbers begin at a multiple of eight
    write_bytes(path, [struct.pack("<Q", len(header)), header, data])


def read_header(path: Path) -> ShardHeader:
    """Return the header of a shard, after comparing it with the size of the file.

    Raises:
        OSError: when too many files are open.
        ValueError: when the file is not a shard, is truncated or has bytes appended.
    """
    try:
        with path.open("rb") as file:
            return _header_of(path, file)
    except OSError as error:
        raise _unreadable(path, error) from error


def _header_of(path: Path, file: BinaryIO) -> ShardHeader:
    try:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        (length,) = struct.unpack("<Q", file.read(8))
        if length > min(size - 8, _MAX_HEADER):
            raise _no_shard(path, f"that claims {length} bytes of a file of {size}")
        value = json.loads(file.read(length))
    except (ValueError, RecursionError, struct.error) as error:
        if isinstance(error, DamagedFileError):
            raise
        raise _no_shard(path, "that cannot be read") from error
    header, tensor = _parsed(path, value, 8 + length)
    if tensor != _tensor(header.shape):
        raise DamagedFileError(
            f"{path} must hold one float16 tensor, got {str(tensor)[:200]}: remove it and encode again."
        )
    expected, got = tensor["data_offsets"][1], size - header.offset
    if got != expected:
        raise DamagedFileError(f"{path} must hold {expected} bytes of features, got {got}: remove it and encode again.")
    return header


def _parsed(path: Path, value: object, offset: int) -> tuple[ShardHeader, dict[str, Any]]:
    """Return a header and the description of its tensor, every type of them checked."""
    for name, of in (("features", value), ("__metadata__", value)):
        if not isinstance(of, dict) or not isinstance(of.get(name), dict):
            raise _no_shard(path, f"without {name!r}")
    fields: dict[str, dict[str, Any]] = cast("dict[str, dict[str, Any]]", value)
    tensor, metadata = fields["features"], fields["__metadata__"]
    shape = tensor.get("shape")
    if not (isinstance(shape, list) and len(shape) == 2 and all(type(n) is int and 0 <= n < 1 << 40 for n in shape)):
        raise _no_shard(path, "without the shape (rows, D)")
    lacking = [key for key in ("problems", "sha256") if not isinstance(metadata.get(key), str)]
    if lacking:
        raise _no_shard(path, f"without {lacking[0]!r}")
    if not metadata["sha256"].isascii():
        raise _no_shard(path, "whose checksum is none")
    try:
        found = parse_json(metadata["problems"])
        problems = {int(row): str(text) for row, text in found.items()}
    except (ValueError, AttributeError, RecursionError) as error:
        raise _no_shard(path, "whose problems cannot be read") from error
    if not all(0 <= row < shape[0] for row in problems):
        raise _no_shard(path, f"with problems of rows beyond its {shape[0]}")
    return ShardHeader((shape[0], shape[1]), offset, problems, metadata["sha256"]), tensor


def _unreadable(path: Path, error: OSError) -> OSError | DamagedFileError:
    if is_out_of_files(error):
        return too_many_open(path)
    return _no_shard(path, f"that cannot be read ({error.strerror or error})")


def _no_shard(path: Path, fault: str) -> DamagedFileError:
    return DamagedFileError(f"{path} must be a shard of a cache, got a header {fault}: remove it and encode again.")


def _tensor(shape: tuple[int, ...]) -> dict[str, Any]:
    """Return how the header of a safetensors file describes the features."""
    return {"dtype": "F16", "shape": list(shape), "data_offsets": [0, math.prod(shape) * FILE_DTYPE.itemsize]}


def shard_problems(path: Path) -> dict[int, str]:
    """Return row of the shard -> why it has no features."""
    return read_header(path).problems


def read_shard(path: Path, out: NDArray[np.float16]) -> None:
    """Read all rows of a shard into `out` (rows, D).

    Raises:
        ValueError: when the shard has another shape, or ends too early.
    """
    header = checked_header(path, out.shape)
    buffer, there = out.data.cast("B"), 0
    with path.open("rb") as file:
        file.seek(header.offset)
        while there < len(buffer):
            read: int = file.readinto(buffer[there:])
            if not read:
                raise ValueError(f"{path} must hold {len(buffer)} bytes of features, got {there}: encode it again.")
            there += read


def read_rows(path: Path, shape: tuple[int, int], rows: NDArray[np.int64]) -> NDArray[np.float16]:
    """Return the (k, D) features of some rows of a shard of `shape`.

    Of an object store others are read too where they are so few that a further request would take longer.
    """
    if is_local(path):
        return np.asarray(map_shard(path, shape)[rows])
    header = checked_header(path, shape)
    if not len(rows):
        return np.empty((0, shape[1]), FILE_DTYPE)
    width = shape[1] * FILE_DTYPE.itemsize
    asked, place = np.unique(rows, return_inverse=True)
    begins = np.flatnonzero((np.diff(asked, prepend=asked[0] - _GAP - 2) - 1) * width > _GAP)  # of runs, in `asked`
    firsts, lasts = asked[begins], asked[np.append(begins[1:], len(asked)) - 1]
    starts, ends = (header.offset + firsts * width).tolist(), (header.offset + (lasts + 1) * width).tolist()
    remote: Any = path  # a path of universal_pathlib
    parts = remote.fs.cat_ranges([remote.path] * len(starts), starts, ends)
    read = np.frombuffer(b"".join(parts), FILE_DTYPE).reshape(-1, shape[1])
    lengths = lasts - firsts + 1
    before = np.repeat(np.cumsum(lengths) - lengths - firsts, np.diff(np.append(begins, len(asked))))
    return np.asarray(read[(asked + before)[place]])


def map_shard(path: Path, shape: tuple[int, int]) -> NDArray[np.float16]:
    """Return the (rows, D) features of a shard on a local disk, mapped into memory and read-only.

    The size of the file is compared with its header through the descriptor that is mapped, since access beyond the end
    of a file ends the process. A file that is replaced later does not matter: the mapping keeps the one it was made of.

    Raises:
        OSError: when too many files are open.
        ValueError: when the file is not a shard of this shape.
    """
    try:
        with path.open("rb") as file:
            header = _with_shape(path, _header_of(path, file), shape)
            if not math.prod(shape):
                return np.empty(shape, FILE_DTYPE)
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise _unreadable(path, error) from error
    return np.frombuffer(mapped, FILE_DTYPE, math.prod(shape), header.offset).reshape(shape)


def check_shard(path: Path, shape: tuple[int, int]) -> ShardHeader:
    """Read a whole shard and compare it with its checksum.

    Raises:
        ValueError: when they differ, or the file is not a shard of this shape.
    """
    header = checked_header(path, shape)
    features = np.empty(shape, FILE_DTYPE)
    read_shard(path, features)
    texts = json.dumps({str(row): text for row, text in header.problems.items()})
    if _digest(texts, features.data.cast("B")) != header.sha256:
        raise ValueError(f"{path} must have the checksum {header.sha256[:12]} of its header, got other bytes.")
    return header


def checked_header(path: Path, shape: tuple[int, ...]) -> ShardHeader:
    """Return the header of a shard that must have a shape."""
    return _with_shape(path, read_header(path), shape)


def _with_shape(path: Path, header: ShardHeader, shape: tuple[int, ...]) -> ShardHeader:
    if header.shape != shape:
        raise ValueError(
            f"{path} must hold features of shape {shape}, got {header.shape}: remove it and run the same "
            "`geocell encode` again."
        )
    return header


def _digest(texts: str, data: memoryview) -> str:
    digest = hashlib.sha256(texts.encode())
    digest.update(data)
    return digest.hexdigest()
