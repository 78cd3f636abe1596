"""Reporting epochs to other tools, which are stood in for here."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from geocell.training.loggers import open_log

ROWS = [
    {"epoch": 1, "lr": 0.1, "train_loss": 2.0, "val_balscore": float("nan")},
    {"epoch": 2, "lr": 0.05, "train_loss": 1.5, "val_balscore": 0.3},
]


@pytest.mark.parametrize("tool", ["trackio", "wandb"])
def test_a_row_is_one_step(tool: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    fake = SimpleNamespace(
        init=lambda **kw: calls.append(kw),
        log=lambda values, step: calls.append((step, values)),
        finish=lambda: calls.append("end"),
    )
    monkeypatch.setitem(sys.modules, tool, fake)
    log, close = open_log(tool, "head", {"lr": 0.1}, tmp_path)
    for row in ROWS:
        log(row)
    close()
    assert calls == [
        {"project": "geocell", "name": "head", "config": {"lr": 0.1}},
        (1, {"lr": 0.1, "train_loss": 2.0}),
        (2, {"lr": 0.05, "train_loss": 1.5, "val_balscore": 0.3}),
        "end",
    ]


def test_tensorboard_has_one_scalar_per_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    writer = SimpleNamespace(add_scalar=lambda *args: calls.append(args), close=lambda: calls.append("end"))
    fake = SimpleNamespace(SummaryWriter=lambda folder: calls.append(folder) or writer)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", fake)
    log, close = open_log("tensorboard", "head", {}, tmp_path / "head.log")
    log(ROWS[0])
    close()
    assert calls == [str(tmp_path / "head.log"), ("lr", 0.1, 1), ("train_loss", 2.0, 1), "end"]


def test_a_tool_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ImportError, match="logging to wandb needs it installed: run pip install wandb"):
        open_log("wandb", "head", {}, tmp_path)
    with pytest.raises(ValueError, match="log_to must be one of trackio, wandb, tensorboard, got 'paper'"):
        open_log("paper", "head", {}, tmp_path)  # type: ignore[arg-type]
