"""One shard of a feature cache: a safetensors file with the tensor `features`, and in its metadata what is wrong.

The header is written here because its bytes must be the same every time (safetensors' own writer orders metadata at
random), and read here because rows are read in place. The layout is that of the safetensors format: eight bytes with
the length of a JSON header, the header, and the numbers.
"""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from geocell.files import is_local, write_bytes

FILE_DTYPE = np.dtype(np.float16)  # 2^-11 relative: cosines to the float32 features stay above 0.9999999
_MAX_HEADER = 100_000_000  # the limit of the format: what claims more is no shard


class ShardHeader(NamedTuple):
    """What the header of a shard says.

    Attributes:
        shape: (rows, D).
        offset: of the first number in the file.
        problems: row of the shard -> why it has no features.
        sha256: of the problems and the numbers.
    """

    shape: tuple[int, int]
    offset: int
    problems: dict[int, str]
    sha256: str


def shard_path(folder: Path, index: int) -> Path:
    """Return where shard `index` of a cache is."""
    return folder / f"features-{index:05d}.safetensors"


def shard_version(folder: Path, index: int) -> object:
    """Return what changes as a shard is written again, with equal bytes too; None when it is not there.

    On an object store it says no more than that it is there: stores differ in what they tell.
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
    """Write one shard, which appears complete or not at all.

    Args:
        folder: the cache.
        index: which shard.
        features: (rows, D) features; rows with a problem are NaN.
        problems: row within the shard -> why it has no features.

    Raises:
        ValueError: when a feature without a problem is not finite in the file's dtype.
        OSError: when the disk is full.
    """
    with np.errstate(over="ignore"):
        stored = np.ascontiguousarray(features, dtype=FILE_DTYPE)
    broken = np.flatnonzero(~np.isfinite(stored).all(axis=1))
    unexplained = [int(row) for row in broken if int(row) not in problems]
    if unexplained:
        raise ValueError(
            f"features must be finite float16 numbers, got NaN, infinity or more than 65504 in row {unexplained[0]} of "
            f"shard {index}: check the encoder and its dtype."
        )
    texts = json.dumps({str(row): text for row, text in sorted(problems.items())})
    data = stored.data.cast("B")
    metadata = {"problems": texts, "sha256": _digest(texts, data)}
    value = {"__metadata__": metadata, "features": _tensor(stored.shape)}
    header = json.dumps(value, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # numbers begin at a multiple of eight
    write_bytes(shard_path(folder, index), [struct.pack("<Q", len(header)), header, data])


def read_header(path: Path) -> ShardHeader:
    """Return what the header of a shard says.

    Raises:
        ValueError: when the file is no shard.
    """
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            value = json.loads(file.read(min(length, _MAX_HEADER)))
        tensor, metadata = value["features"], value["__metadata__"]
        rows, dim = tensor["shape"]
        problems = {int(row): str(text) for row, text in json.loads(metadata["problems"]).items()}
        header = ShardHeader((rows, dim), 8 + length, problems, metadata["sha256"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        fault = "that cannot be read"
        if isinstance(error, KeyError):
            fault = f"without {error}"
        elif isinstance(error, OSError):
            fault += f" ({error.strerror or error})"
        raise ValueError(
            f"{path} must be a shard of a cache, got a header {fault}: remove it and encode again."
        ) from error
    if tensor != _tensor(header.shape):
        raise ValueError(f"{path} must hold one float16 tensor, got {tensor}. Remove it and encode again.")
    return header


def _tensor(shape: tuple[int, ...]) -> dict[str, Any]:
    """Return how the header of a safetensors file describes the features."""
    return {"dtype": "F16", "shape": list(shape), "data_offsets": [0, int(np.prod(shape)) * FILE_DTYPE.itemsize]}


def shard_problems(path: Path) -> dict[int, str]:
    """Return row of the shard -> why it has no features."""
    return read_header(path).problems


def read_shard(path: Path, out: NDArray[np.float16]) -> None:
    """Read all rows of a shard into `out` (rows, D).

    Raises:
        ValueError: when the shard has another shape, or ends too early.
    """
    header = _checked_header(path, out.shape)
    buffer, there = out.data.cast("B"), 0
    with path.open("rb") as file:
        file.seek(header.offset)
        while there < len(buffer):
            read: int = file.readinto(buffer[there:])
            if not read:
                raise ValueError(f"{path} must hold {len(buffer)} bytes of features, got {there}: encode it again.")
            there += read


def read_rows(path: Path, shape: tuple[int, int], rows: NDArray[np.int64]) -> NDArray[np.float16]:
    """Return the (k, D) features of some rows of a shard of `shape`, reading no others."""
    header = _checked_header(path, shape)
    if is_local(path):
        mapped = np.memmap(path, FILE_DTYPE, "r", header.offset, shape)
        return np.asarray(mapped[rows])
    width = shape[1] * FILE_DTYPE.itemsize
    starts = (header.offset + rows * width).tolist()
    remote: Any = path  # a path of universal_pathlib
    parts = remote.fs.cat_ranges([remote.path] * len(starts), starts, [start + width for start in starts])
    return np.frombuffer(b"".join(parts), FILE_DTYPE).reshape(len(rows), shape[1])


def check_shard(path: Path, shape: tuple[int, int]) -> ShardHeader:
    """Read a whole shard and compare it with its checksum.

    Raises:
        ValueError: when they differ, or the shard is none or has another shape.
    """
    header = _checked_header(path, shape)
    features = np.empty(shape, FILE_DTYPE)
    read_shard(path, features)
    texts = json.dumps({str(row): text for row, text in header.problems.items()})
    if _digest(texts, features.data.cast("B")) != header.sha256:
        raise ValueError(f"{path} must have the checksum {header.sha256[:12]} of its header, got other bytes.")
    return header


def _checked_header(path: Path, shape: tuple[int, ...]) -> ShardHeader:
    header = read_header(path)
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
