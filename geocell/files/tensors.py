"""Safetensors files: written with the same bytes every time, and read within bounds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from geocell.files.documents import DamagedFileError, missing
from geocell.files.open_files import is_out_of_files, too_many_open

Shapes = Mapping[str, tuple[tuple[int, ...], str]]
"""Name of a tensor -> its shape and its type, as safetensors writes it (`F32`)."""


def tensor_parts(tensors: Mapping[str, Any], metadata: Mapping[str, str]) -> list[bytes | memoryview]:
    """Return the bytes of a safetensors file in two parts; the library writes several metadata in random order.

    Args:
        tensors: name -> contiguous array of numpy.
        metadata: texts by name, which are sorted.
    """
    from safetensors.numpy import save

    content = memoryview(save(dict(tensors)))
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(bytes(content[8:end])) | {"__metadata__": dict(sorted(metadata.items()))}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the numbers are aligned
    return [len(text).to_bytes(8, "little") + text, content[end:]]


def read_tensors(
    path: Path, what: str, check: Callable[[Mapping[str, str], Shapes], None]
) -> tuple[Mapping[str, str], dict[str, Any]]:
    """Return the metadata and the arrays of a safetensors file, whose layout is checked before any array is read.

    Args:
        path: the file.
        what: what it is, in error messages: "an index of training features".
        check: raises ValueError or KeyError for metadata, names, shapes or types that are not those of such a file.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it is damaged, or `check` refuses it.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise missing(path, what)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            shapes = {name: (tuple(part.get_shape()), part.get_dtype()) for name, part in slices.items()}
            check(metadata, shapes)
            return metadata, {name: file.get_tensor(name) for name in shapes}
    except (SafetensorError, OSError, ValueError, KeyError, RecursionError) as error:
        if is_out_of_files(error, path):
            raise too_many_open(path) from error
        raise damaged_tensors(path, what, error) from error


def damaged_tensors(path: Path, what: str, error: Exception) -> DamagedFileError:
    """Return the error of a safetensors file whose content is not what it should be."""
    return DamagedFileError(
        f"{path} must be {what}, got a damaged one ({str(error).removesuffix('.')}): build it again."
    )
