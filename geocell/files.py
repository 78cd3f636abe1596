"""Reading and writing artefacts: canonical JSON, format numbers, files and folders that appear whole or not at all."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import shutil
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

FORMAT = 1
"""The major format number of everything this version writes."""


_AGAIN = "copy it again from its origin, or make it again."
_JSON_NAMES: dict[type, str] = {
    str: "a text",
    int: "a whole number",
    float: "a number",
    dict: "an object",
    list: "a list",
    type(None): "null",
}


class DamagedFileError(ValueError):
    """A file is not what it should be. The message names it and is whole."""


def canonical_json(value: object) -> str:
    """Return JSON text that depends on the value alone: sorted by nothing but insertion, exact floats, no NaN."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def as_place(path: Path | str) -> Path:
    """Return a path; for a URL such as `s3://bucket/folder` one of universal_pathlib, which is used the same way.

    Raises:
        ImportError: when universal_pathlib or the library of the URL's scheme is not installed.
    """
    scheme = re.match(r"([a-z][a-z0-9+.-]+):/+(.*)", str(path))  # a Path has made one slash of two
    if scheme is None:
        return Path(path)
    if scheme[1] == "file":
        return Path("/", scheme[2])
    try:
        from upath import UPath
    except ImportError as error:
        raise ImportError(f'{path} needs universal_pathlib: run `pip install "geocell-heads[remote]"`.') from error
    place: Any = UPath(f"{scheme[1]}://{scheme[2]}")
    return cast("Path", place)


def is_local(path: Path) -> bool:
    """Return whether a path is one of this machine's file system."""
    return isinstance(path, Path)


def write_bytes(path: Path, parts: Sequence[bytes | memoryview]) -> None:
    """Write a file that appears complete or not at all: by atomic rename, or as one object of an object store.

    Raises:
        OSError: when the disk is full; nothing is left behind then.
    """
    if not is_local(path):
        path.write_bytes(b"".join(parts))
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise OSError(
                f"the disk of {path.parent} is full: make room and run the same command again; what was finished is "
                "kept, and nothing is half written."
            ) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a file by atomic rename, so that a reader never sees half of it; make its folder if need be.

    Raises:
        IsADirectoryError: when there is a folder at `path`.
    """
    if path.is_dir():
        raise IsADirectoryError(f"expected a file to write, got the folder {path}: name a file in it.")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, [text.encode()])


def write_json(path: Path, value: object) -> None:
    """Write indented JSON by atomic rename."""
    write_text(path, json_text(value))


def json_text(value: object) -> str:
    """Return the indented JSON that files of this package hold."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def missing(path: Path, what: str) -> FileNotFoundError:
    """Return the error of a file that is not there, which `what` needs ("a partition")."""
    return FileNotFoundError(
        f"{what} needs the file {path.name}, and there is none in {path.absolute().parent}: check the folder, or copy "
        "the file again from its origin."
    )


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
        raise missing(path, what)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{path} must be JSON, got a syntax error ({error}): {_AGAIN}") from error
    if not isinstance(value, dict):
        raise DamagedFileError(f"{path} must hold a JSON object, got {_short(value)}: {_AGAIN}")
    if versioned and value.get("format") != FORMAT:
        raise DamagedFileError(
            f"{path} is {what} of format {value.get('format')!r}, and this geocell reads format {FORMAT}: "
            "use the geocell version that wrote it, or write it again."
        )
    return value


def require_types(value: object, types: Mapping[str, type | tuple[type, ...]], where: str) -> None:
    """Refuse a JSON object that lacks a key, or has a value of another type.

    Args:
        value: the object.
        types: key -> what its value must be: str, int, float (any finite number), dict or list, or several of them;
            further keys are not looked at.
        where: its place, for error messages.

    Raises:
        ValueError: when it does.
    """
    if not isinstance(value, dict):
        raise DamagedFileError(f"{where} must be a JSON object, got {_short(value)}: {_AGAIN}")
    for key, expected in types.items():
        choices = expected if isinstance(expected, tuple) else (expected,)
        if key not in value:
            raise DamagedFileError(f"{where} must have {key!r}, {_names(choices)}, and lacks it: {_AGAIN}")
        if not any(_is_a(value[key], choice) for choice in choices):
            raise DamagedFileError(
                f"{where} must have {_names(choices)} as {key!r}, got {_short(value[key])}: {_AGAIN}"
            )


@contextmanager
def reading(where: object, what: str) -> Iterator[None]:
    """Say which file is not what it should be, whatever Python raises at a content of another form.

    Args:
        where: the file.
        what: what it must be ("a partition").

    Raises:
        ValueError: when the block fails at its content. What already names a file passes as it is.
    """
    try:
        yield
    except DamagedFileError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise DamagedFileError(
            f"{where} must be {what}, got something else or a damaged file ({reason}): {_AGAIN}"
        ) from error


def _is_a(value: object, choice: type) -> bool:
    if isinstance(value, bool):
        return False
    return isinstance(value, int | float) and math.isfinite(value) if choice is float else isinstance(value, choice)


def _names(choices: Sequence[type]) -> str:
    return " or ".join(_JSON_NAMES[choice] for choice in choices)


def _short(value: object) -> str:
    """Return a JSON value as an error message shows it."""
    if isinstance(value, list | dict):
        return f"{type(value).__name__} of {len(value)}"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}…"


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
