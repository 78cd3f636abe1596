"""What commands share: how results are printed, and how they say that flags do not go together."""

from __future__ import annotations

import json
import re
import shutil
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from geocell.files import DamagedFileError, printable, remove_leftovers


class UsageError(ValueError):
    """Flags that do not make a command: exit status 2."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C ended a command; the message says what is kept and how to continue. Exit status 130."""


def emit(result: Mapping[str, Any], text: str, as_json: bool) -> None:
    """Print the result on standard output: one JSON object, or text; names in it cannot steer the terminal."""
    print(_printable_json(result) if as_json else printable(text, lines=True))


def note(text: str) -> None:
    """Say something beside the result, on standard error, in one line."""
    print(printable(text), file=sys.stderr)


def _printable_json(result: Mapping[str, Any]) -> str:
    """Return strict JSON in which what `printable` would replace is escaped, so that no name changes."""
    text = json.dumps(result, ensure_ascii=False, indent=1, allow_nan=False)
    return re.sub(r"[^\n -~]", lambda found: _escaped(found[0]), text)


def _escaped(character: str) -> str:
    return character if printable(character) == character else f"\\u{ord(character):04x}"


@contextmanager
def fitted_to_terminal() -> Iterator[None]:
    """Fold the tables of the block to the terminal that standard output is; elsewhere they stay as wide as they are."""
    if not sys.stdout.isatty():
        yield
        return
    from geocell.reports.tables import fitted_to

    with fitted_to(shutil.get_terminal_size().columns):
        yield


@contextmanager
def said_warnings() -> Iterator[None]:
    """Say the warnings of the library itself, plain ones, as notes; those of other libraries stay quiet."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        if warning.category is UserWarning:
            note(str(warning.message))


@contextmanager
def usage_errors() -> Iterator[None]:
    """Make a ValueError or ImportError of the block one of usage: a flag was given a value that it cannot have.

    A package that is not installed, and a damaged file, stay failures.
    """
    try:
        yield
    except (ModuleNotFoundError, DamagedFileError):
        raise
    except (ValueError, ImportError) as error:
        raise UsageError(str(error)) from error


def require_state(state: Path, what: str, resume: bool, overwrite: bool) -> None:
    """Refuse to continue without the state of a fit or a training, or to discard one unasked.

    What a killed process left beside it is removed.
    """
    remove_leftovers(state)
    if resume and not state.is_file():
        raise FileNotFoundError(f"--resume needs the state of a {what}, and there is none at {state}: leave it out.")
    if state.exists() and not (overwrite or resume):
        raise FileExistsError(
            f"{state} is the state of an interrupted {what}: continue it with --resume, or pass --overwrite to start "
            "again."
        )
