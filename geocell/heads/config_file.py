"""What the folder of a head says about it beside weights and cells: `config.json` and `history.csv`, read strictly."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from geocell._version import __version__
from geocell.encoders.info import EncoderInfo
from geocell.files import FORMAT, DamagedFileError, parse_json, read_json, reading, require_types
from geocell.heads.fit_config import FitConfig
from geocell.partitioners.base import Partition

CONFIG_FILE = "config.json"
HISTORY_FILE = "history.csv"

_MAX_HISTORY_BYTES = 16 << 20

_TYPES: dict[str, type | tuple[type, ...]] = {
    "format": int,
    "library": str,
    "version": str,
    "encoder": dict,
    "dim": int,
    "n_cells": int,
    "partition_sha256": str,
    "fusion": str,
    "fit": dict,
    "training": dict,
}
# Of what a fit or an import wrote into `training`, the part that cards and pictures show.
_TRAINING_TYPES: dict[str, type | tuple[type, ...]] = {
    "n_train": int,
    "n_val": int,
    "n_train_outside": int,
    "best_epoch": int,
    "epochs_run": int,
    "origin": dict,
}
_ORIGIN_TYPES: dict[str, type | tuple[type, ...]] = {
    "source": str,
    "checkpoint": str,
    "revision": str,
    "sha256": str,
    "license": str,
    "published": dict,
}


def config_json(
    encoder: EncoderInfo, partition: Partition, config: FitConfig, training: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the content of `config.json`; see `geocell.heads.folder.HeadParts` for the arguments."""
    origin = "origin" in training  # the fit was somebody else's, and only its fusion is known
    return {
        "format": FORMAT,
        "library": "geocell",
        "version": __version__,
        "encoder": encoder.to_dict(),
        "dim": encoder.dim,
        "n_cells": len(partition),
        "partition_sha256": partition.sha256,
        "fusion": config.fusion,
        "fit": {"fusion": config.fusion} if origin else config.to_dict(),
        "training": dict(training),
    }


def read_config(folder: Path) -> dict[str, Any]:
    """Read `config.json`: exactly its keys, every value of its type.

    Raises:
        FileNotFoundError: when it is missing.
        ValueError: when it is damaged, or of another format.
    """
    path = folder / CONFIG_FILE
    config = read_json(path, "a head")
    if set(config) != set(_TYPES):
        raise DamagedFileError(
            f"{path} must have the keys {', '.join(sorted(_TYPES))}, got {', '.join(sorted(config))}: write the head "
            "again."
        )
    require_types(config, _TYPES, str(path))
    training = config["training"]
    require_types(training, {k: v for k, v in _TRAINING_TYPES.items() if k in training}, f"{path} training")
    if "best_epoch" in training:
        require_types(training, {"epochs_run": int}, f"{path} training")
    if training.get("refit") is not None:
        require_types(training["refit"], {"n_train": int, "epochs": int}, f"{path} refit")
    if "origin" in training:
        require_types(training["origin"], _ORIGIN_TYPES, f"{path} origin")
        published = training["origin"]["published"]
        for numbers in (published, published.get("within", {})):
            known = {name: float for name in numbers if name != "within"} if isinstance(numbers, dict) else {}
            require_types(numbers, known, f"{path} published scores")
    return config


def history_csv(history: Sequence[Mapping[str, float]]) -> str:
    """Return the content of `history.csv`: one line of names, and one per epoch."""
    rows = [",".join(json.dumps(value) for value in row.values()) for row in history]
    return "\n".join([",".join(history[0]), *rows]) + "\n"


def read_history(folder: Path) -> tuple[dict[str, float], ...]:
    """Read `history.csv`, nothing where there is none.

    Raises:
        ValueError: when it is damaged.
    """
    path = folder / HISTORY_FILE
    if not path.is_file():
        return ()
    with reading(path, "a line of names, and one of numbers for every epoch"):
        names, *lines = (line.split(",") for line in bounded_text(path, _MAX_HISTORY_BYTES).splitlines())
        rows = tuple({n: _number(text) for n, text in zip(names, line, strict=True)} for line in lines)
        if not rows:
            raise ValueError("no epoch")
    return rows


def bounded_text(path: Path, max_bytes: int, where: str = "") -> str:
    """Return the text of a UTF-8 file, which is refused before it is read when it is larger.

    Args:
        path: the file.
        max_bytes: its largest size.
        where: names it in error messages, instead of its path.

    Raises:
        DamagedFileError: when it is.
        UnicodeDecodeError: when it is not UTF-8.
    """
    with path.open("rb") as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise DamagedFileError(
            f"{where or path} must have at most {max_bytes:,} bytes, and it is larger: copy it again."
        )
    return content.decode("utf-8")


def _number(text: str) -> float:
    value = parse_json(text)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{text} is no number")  # noqa: TRY004 - one kind of error
    return value
