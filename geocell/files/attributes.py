"""`module:attribute`: how a user names code of their own."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def import_attribute(name: str, what: str) -> Any:  # noqa: ANN401 - whatever has that name
    """Import the attribute that `module:attribute` names. For what a user typed, never for what a file says.

    Args:
        name: `module:attribute`.
        what: what is expected there, for the error message ("a partitioner").

    Raises:
        ImportError: when there is no such module or attribute, or the module fails on import.
    """
    module, _, attribute = name.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise ImportError(f"expected {what} at {name} (module:attribute), got: {reason}.") from error
