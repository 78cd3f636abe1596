"""Reading JSON and TOML of known form within bounds, and the JSON that is written."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from geocell.files.text import printable, sentence

FORMAT = 1
"""The major format number of everything this version writes."""

MAX_JSON_BYTES = 256 << 20
"""Size of the largest JSON file that is read unless a caller says otherwise: four million cells, about."""

_MAX_ITEMS = 40_000_000
"""Objects, lists and commas of a JSON file: each takes up to 72 bytes of memory, and the whole at most 3 GB."""

_MAX_TOML_BYTES = 256 << 10
_TOKENS = 1 << 16  # of JSON that are written at a time
_MAX_DEPTH = 64
"""Nesting of objects and lists; the deepest format here, GeoJSON, has ten levels."""
_TOO_DEEP = f"must be nested at most {_MAX_DEPTH} deep, and is deeper"
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")

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
    """A file is not what it should be. The message names it and is whole, on one line of bounded length."""

    def __init__(self, message: str) -> None:
        """Take the message, of which `sentence` is kept: it may repeat what somebody wrote into the file."""
        super().__init__(sentence(message))


def canonical_json(value: object) -> str:
    """Return compact JSON: keys in insertion order, exact floats, no NaN."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def json_text(value: object) -> str:
    """Return the indented JSON that files of this package hold."""
    return "".join(json_pieces(value))


def json_pieces(value: object) -> Iterator[str]:
    """Yield the text of `json_text` in pieces, so that a large one is never whole in memory."""
    tokens = json.JSONEncoder(ensure_ascii=False, allow_nan=False, indent=1).iterencode(value)
    while piece := "".join(islice(tokens, _TOKENS)):
        yield piece
    yield "\n"


def missing(path: Path, what: str) -> FileNotFoundError:
    """Return the error of a file that is not there, which `what` needs ("a partition")."""
    return FileNotFoundError(
        f"{what} needs the file {path.name}, and there is none in {path.absolute().parent}: check the folder, or copy "
        "the file again from its origin."
    )


def read_json(path: Path, what: str, *, versioned: bool = True, max_bytes: int = MAX_JSON_BYTES) -> dict[str, Any]:
    """Read a JSON object of bounded size and depth, and check its format number.

    Args:
        path: the file.
        what: what it is, for error messages ("a partition").
        versioned: whether the object carries `"format"`.
        max_bytes: a larger file is refused before it is read.

    Raises:
        FileNotFoundError: when the file is missing.
        DamagedFileError: when it is not a JSON object, too large, too deep, or of another major format.
    """
    value = read_json_value(path, what, max_bytes=max_bytes)
    if not isinstance(value, dict):
        raise DamagedFileError(f"{path} must hold a JSON object, got {_short(value)}: {_AGAIN}")
    if versioned and value.get("format") != FORMAT:
        raise DamagedFileError(
            f"{path} is {what} of format {_short(value.get('format'))}, and this geocell reads format {FORMAT}: "
            "use the geocell version that wrote it, or write it again."
        )
    return value


def read_json_value(path: Path, what: str, *, max_bytes: int = MAX_JSON_BYTES) -> Any:  # noqa: ANN401 - any JSON
    """Read a JSON value of bounded size and depth, whatever it is: a file of somebody else's.

    Args:
        path: the file.
        what: what it is, for error messages.
        max_bytes: a larger file is refused before it is read.

    Raises:
        FileNotFoundError: when the file is missing.
        DamagedFileError: when it is not JSON, too large or too deep.
    """
    if not path.is_file():
        raise missing(path, what)
    try:
        return parse_json(_bounded_text(path, max_bytes))
    except DamagedFileError:
        raise
    except UnicodeDecodeError as error:
        raise DamagedFileError(f"{path} must be JSON in UTF-8, got other bytes ({error}): {_AGAIN}") from error
    except ValueError as error:
        raise DamagedFileError(f"{path} {error}: {_AGAIN}") from error


def parse_json(text: str) -> Any:  # noqa: ANN401 - any JSON
    """Return the value of a JSON text of somebody else's; its size was bounded before.

    Raises:
        ValueError: for a syntax error, a value that is nested too deep, a whole number that no float is as large as, or
            half of a surrogate pair, which no file that is written from the value could hold. The message lacks its
            subject.
    """
    try:
        value = json.loads(text, parse_int=_whole_number)
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    except json.JSONDecodeError as error:
        raise ValueError(f"must be JSON, got a syntax error ({error})") from error
    _require_shallow(value)
    if _SURROGATE.search(text):
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise ValueError("must hold whole characters, got half of a surrogate pair") from error
    return value


def _whole_number(digits: str) -> int:
    if len(digits) > sys.float_info.max_10_exp:  # else whoever compares, rounds or prints it as a float fails on it
        raise ValueError(f"must have numbers of at most {sys.float_info.max_10_exp} digits, got {len(digits):,}")
    return int(digits)


def _bounded_text(path: Path, max_bytes: int) -> str:
    """Return the text of a UTF-8 file that is no larger than allowed."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        # Python takes memory for all that is asked for; the file may grow meanwhile.
        content = file.read(min(max_bytes, size or max_bytes) + 1)
    if len(content) > max_bytes:
        raise DamagedFileError(f"{path} must have at most {max_bytes:,} bytes, and it is larger: {_AGAIN}")
    if sum(content.count(character) for character in (b"[", b"{", b",")) > _MAX_ITEMS:
        raise DamagedFileError(f"{path} must have at most {_MAX_ITEMS:,} items, and it has more: {_AGAIN}")
    return content.decode("utf-8")


def _require_shallow(value: object) -> None:
    """Refuse a value nested so deep that Python's own recursion would fail on it somewhere later."""
    level = [value]
    for _ in range(_MAX_DEPTH):
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise ValueError(_TOO_DEEP)


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
    """Turn every exception that the content of a file causes into one that names the file.

    Args:
        where: the file.
        what: what it must be ("a partition").

    Raises:
        DamagedFileError: when the block fails at its content. What already names a file (DamagedFileError, OSError)
            passes as it is, and so does a missing library.
    """
    try:
        yield
    except (DamagedFileError, ImportError, OSError):
        raise
    except Exception as error:  # libraries have exceptions of their own, and hostile files bring out all of them
        text = str(error).removesuffix(".")
        reason = printable(text if isinstance(error, ValueError) and text else f"{type(error).__name__}: {text}")
        raise DamagedFileError(
            f"{where} must be {what}, got something else or a damaged file ({reason}): {_AGAIN}"
        ) from error


@contextmanager
def one_sentence() -> Iterator[None]:
    """Give the ValueError of a reader of files the message that a person can read, as `sentence` does.

    It decorates readers whose messages repeat names and values of a file.

    Raises:
        DamagedFileError: instead of a ValueError with a long message, or one that a terminal would obey.
    """
    try:
        yield
    except ValueError as error:
        text = str(error)
        if type(error) is ValueError and sentence(text) != text:
            raise DamagedFileError(text) from error
        raise


def _is_a(value: object, choice: type) -> bool:
    if isinstance(value, bool):
        return False
    if choice is float:  # an int of 400 digits is no number that can be computed with
        return isinstance(value, int | float) and abs(value) <= sys.float_info.max
    return isinstance(value, choice)


def _names(choices: Sequence[type]) -> str:
    return " or ".join(_JSON_NAMES[choice] for choice in choices)


def _short(value: object) -> str:
    """Return a JSON value as an error message shows it."""
    if isinstance(value, list | dict):
        return f"{type(value).__name__} of {len(value)}"
    text = printable(json.dumps(value, ensure_ascii=False))
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
    import tomllib

    if not path.is_file():
        raise FileNotFoundError(f"a recipe must be a TOML file, and there is none at {path}.")
    try:
        recipe = tomllib.loads(_bounded_text(path, _MAX_TOML_BYTES))
    except DamagedFileError:
        raise
    except RecursionError as error:
        raise DamagedFileError(f"{path} {_TOO_DEEP}: {_AGAIN}") from error
    except (ValueError, LookupError, TypeError) as error:
        raise DamagedFileError(f"{path} must be TOML, got a syntax error: {error}.") from error
    try:
        _require_shallow(recipe)
    except ValueError as error:
        raise DamagedFileError(f"{path} {error}: {_AGAIN}") from error
    unknown = [key for key, value in recipe.items() if key not in tables or not isinstance(value, dict)]
    if unknown:
        raise DamagedFileError(f"{path} must have tables among {', '.join(tables)}, got {', '.join(unknown)}.")
    return recipe
