"""The processes that torchrun started together, as it tells each of them in its environment.

https://docs.pytorch.org/docs/stable/elastic/run.html#environment-variables
"""

from __future__ import annotations

import os


def process_rank() -> int:
    """Return the rank of this process among all that torchrun started; 0 when it is alone."""
    return _number("RANK", 0, 0)


def process_count() -> int:
    """Return how many processes torchrun started, this one included; 1 when it is alone."""
    return _number("WORLD_SIZE", 1, 1)


def local_rank() -> int | None:
    """Return the rank of this process among those of its machine, None when torchrun did not start it."""
    return _number("LOCAL_RANK", 0, 0) if "LOCAL_RANK" in os.environ else None


def local_process_count() -> int:
    """Return how many processes torchrun started on this machine, this one included; 1 when it is alone."""
    return _number("LOCAL_WORLD_SIZE", 1, 1)


def _number(name: str, default: int, least: int) -> int:
    text = os.environ.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and int(text) >= least):
        raise ValueError(
            f"the environment variable {name} must be an integer of at least {least}, as torchrun sets it, got "
            f"{text!r}: unset it, or start the command with torchrun."
        )
    return int(text)
