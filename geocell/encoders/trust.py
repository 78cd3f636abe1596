"""Model folders and repositories are data: none of their files may name code that is then run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from geocell.files import sentence

_MAX_SIDE = 8192
_COUNTS = (
    (re.compile(r"layers?$|depths?$|blocks?$"), 1000, "layers of a kind"),
    (re.compile(r"(?<!vocab_)sizes?$|dims?$|channels$|width$"), 1 << 17, "numbers a side"),
)
"""Keys of settings in transformers and timm that say how large a model is, the most that is taken, and of what."""


class ModelError(ValueError):
    """A model cannot be used: it is of another kind, damaged, or names code. The message is whole."""

    def __init__(self, message: str) -> None:
        """Take the message, of which `sentence` is kept: it may repeat what stands in the model's files."""
        super().__init__(sentence(message))


def require_data_only(settings: Mapping[str, Any], where: str, file: str) -> None:
    """Refuse the settings of a model or an image processor that name code of their own.

    transformers asks on standard input whether to import the modules of an `auto_map`, and loads attention kernels
    from the repository that `attn_implementation` names; timm opens other checkpoints that `model_args` or an
    `architecture` with a scheme name.

    Args:
        settings: content of a JSON file of the model.
        where: Hub id or folder of the model.
        file: what the settings are, for the message.

    Raises:
        ModelError: when they do.
    """
    named = next(_code(settings), "")
    if named:
        raise ModelError(
            f"{where} must be weights and settings alone, and its {file} names code to run ({named}): code of a model "
            "is never run from here; load it in a module of your own and pass --encoder module:attribute."
        )


def require_sizes(settings: Mapping[str, Any], where: str) -> None:
    """Refuse the settings of an image processor that would make images of any size.

    Raises:
        ModelError: for a side that is no number of pixels from 1 to 8,192.
    """
    for key in ("size", "crop_size", "pad_size"):
        sides = settings.get(key)
        numbers = sides.values() if isinstance(sides, Mapping) else sides if isinstance(sides, list) else [sides]
        for side in numbers:
            if side is not None and not (type(side) in {int, float} and 1 <= side <= _MAX_SIDE):
                raise ModelError(
                    f"{where} must have an image processor with {key} from 1 to {_MAX_SIDE:,} pixels, got "
                    f"{side!r:.60}: copy the model again from its origin."
                )


def require_architecture(settings: object, where: str) -> None:
    """Refuse the settings of a model that ask for more or wider layers than any model has.

    Layers are made before a weight is read, so numbers alone could take all time and memory.

    Raises:
        ModelError: for more than 1,000 layers of a kind, or a side of more than 131,072.
    """
    for key, value in settings.items() if isinstance(settings, Mapping) else ():
        require_architecture(value, where)
        numbers = [n for n in (value if isinstance(value, list) else [value]) if type(n) in {int, float}]
        for pattern, most, words in _COUNTS:
            if pattern.search(str(key)) and any(n > most for n in numbers):
                raise ModelError(
                    f"{where} must have at most {most:,} {words}, got {key} = {value!r:.60}: copy the model again "
                    "from its origin."
                )


def _code(value: object) -> Iterator[str]:
    """Yield what names code, at any depth."""
    if isinstance(value, list):
        for item in value:
            yield from _code(item)
    if not isinstance(value, Mapping):
        return
    for key, item in value.items():
        if (key in {"auto_map", "custom_pipelines"} and item) or (
            "attn_implementation" in str(key) and re.search(r"[/:]", str(item))
        ):
            yield str(key)
        elif key == "architecture" and ":" in str(item):
            yield f"{key} {str(item)[:40]}"
        elif key == "model_args" and isinstance(item, Mapping) and any("checkpoint" in str(name) for name in item):
            yield "model_args"
        else:
            yield from _code(item)
