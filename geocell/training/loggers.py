"""Where a fit may report its epochs besides its own history: one function per tool, `log(row)`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args

LogTo = Literal["trackio", "wandb", "tensorboard"]
"""The tools that are known by name; `fit_head(log=…)` takes any function."""

Log = Callable[[Mapping[str, float]], None]
"""Called with each row of the history, in order."""


def open_log(tool: LogTo, name: str, settings: Mapping[str, Any], folder: Path) -> tuple[Log, Callable[[], None]]:
    """Begin a run in a tool.

    Args:
        tool: its name.
        name: of the run.
        settings: of the fit.
        folder: where tensorboard writes; the others have their own place.

    Returns:
        The function that takes a row, and the one that ends the run.

    Raises:
        ImportError: when the tool is not installed.
        ValueError: for another name.
    """
    if tool not in get_args(LogTo):
        raise ValueError(f"log_to must be one of {', '.join(get_args(LogTo))}, got {tool!r}.")
    try:
        module = import_module("torch.utils.tensorboard" if tool == "tensorboard" else tool)
    except ImportError as error:
        raise ImportError(f"logging to {tool} needs it installed: run pip install {tool}.") from error
    if tool == "tensorboard":
        writer = module.SummaryWriter(str(folder))

        def write(row: Mapping[str, float]) -> None:
            for key, value in _known(row).items():
                writer.add_scalar(key, value, int(row["epoch"]))

        return write, writer.close
    module.init(project="geocell", name=name, config=dict(settings))
    return lambda row: module.log(_known(row), step=int(row["epoch"])), module.finish


def _known(row: Mapping[str, float]) -> dict[str, float]:
    return {key: value for key, value in row.items() if key != "epoch" and math.isfinite(value)}
