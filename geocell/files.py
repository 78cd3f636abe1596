"""Reading and writing artefacts: canonical JSON, format numbers, files and folders that appear whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FORMAT = 1
"""The major format number of everything this version writes."""


def canonical_json(value: object) -> str:
    """Return JSON text that depends on the value alone: sorted by nothing but insertion, exact floats, no NaN."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def write_text(path: Path, text: str) -> None:
    """Write a file by atomic rename, so that a reader never sees half of it; make its folder if need be.

    Raises:
        IsADirectoryError: when there is a folder at `path`.
    """
    if path.is_dir():
        raise IsADirectoryError(f"expected a file to write, got the folder {path}: name a file in it.")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: object) -> None:
    """Write indented JSON by atomic rename."""
    write_text(path, json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1) + "\n")


def read_json(path: Path, what: str, *, versioned: bool = True) -> dict[str, Any]:
    """Read a JSON object and check its format number.

    Args:
        path: the file.
        what: what it is, for error messages ("a partition").
        versioned: whether the object carries `"format"`.

    Raises:
        FileNotFoundError: when the file is missing.
        ValueError: when it is not a JSON object, or of another major format.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{what} needs the file {path.name}, and there is none in {path.parent}.")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} must be JSON, got a syntax error: {error}. Write {what} again.") from error
    if not isinstance(value, dict):
        raise ValueError(f"{path} must hold a JSON object, got {type(value).__name__}.")  # noqa: TRY004
    if versioned and value.get("format") != FORMAT:
        raise ValueError(
            f"{path} is {what} of format {value.get('format')!r}, and this geocell reads format {FORMAT}: "
            "use the geocell version that wrote it, or write it again."
        )
    return value


def read_recipe_tables(path: Path, tables: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Read a recipe: a TOML file of known tables that states only what differs from the defaults.

    Args:
        path: the file.
        tables: the tables it may have.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it is not TOML, or has another table.
    """
    if not path.is_file():
        raise FileNotFoundError(f"a recipe must be a TOML file, and there is none at {path}.")
    try:
        recipe = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} must be TOML, got a syntax error: {error}.") from error
    unknown = [key for key, value in recipe.items() if key not in tables or not isinstance(value, dict)]
    if unknown:
        raise ValueError(f"{path} must have tables among {', '.join(tables)}, got {', '.join(unknown)}.")
    return recipe


def require_new(path: Path, overwrite: bool) -> None:
    """Refuse to write over an existing output unless asked.

    Raises:
        FileExistsError: when `path` exists (an empty folder does not count) and `overwrite` is false.
    """
    empty_folder = path.is_dir() and not any(path.iterdir())
    if path.exists() and not empty_folder and not overwrite:
        raise FileExistsError(f"{path} exists: name another --out, or pass --overwrite to replace it.")


@contextmanager
def new_folder(path: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Yield a temporary folder that becomes `path` when the block ends well, and vanishes when it does not.

    Raises:
        FileExistsError: see `require_new`.
    """
    require_new(path, overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        temporary.chmod(0o755)
        yield temporary
        if path.exists():
            old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.old."))
            path.replace(old / "old")
            temporary.replace(path)
            shutil.rmtree(old)
        else:
            temporary.replace(path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
