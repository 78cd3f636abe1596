"""How far a fit is: its history, the epoch that is kept, and one file from which it continues after it was killed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geocell.files import (
    FORMAT,
    DamagedFileError,
    atomic_path,
    missing,
    one_sentence,
    parse_json,
    reading,
    require_types,
)
from geocell.heads.fit_config import stored_settings
from geocell.heads.module import GeoHead

_COLUMNS = {"epoch", "train_loss", "val_balscore", "val_mean_km"}
"""Of the history: what the choice of the epoch and the record of a refit need."""


@dataclass
class Progress:
    """What is known after an epoch.

    Attributes:
        history: one row per epoch, column name -> number.
        best_epoch: the epoch that is kept: the one with the highest validation balscore, the mean distance deciding
            between equals, or the last one.
        best_weights: its weights, on the CPU.
        keep_last: whether the last epoch is kept, whatever the scores say; it always is where there are none.
    """

    history: list[Mapping[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)
    keep_last: bool = False

    @property
    def epochs(self) -> int:
        """Epochs done."""
        return int(self.history[-1]["epoch"]) if self.history else 0

    def add(self, row: Mapping[str, float], module: GeoHead) -> None:
        """Note an epoch, and keep its weights if they are to be kept so far."""
        best = next((_rank(other) for other in self.history if other["epoch"] == self.best_epoch), (-math.inf,))
        self.history.append(row)
        if self.keep_last or _rank(row) > best or math.isnan(row["val_balscore"]):
            self.best_epoch = int(row["epoch"])
            self.best_weights = {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}

    def best_scores(self) -> dict[str, float]:
        """Return the validation scores of the epoch that is kept, by names without prefix; nothing without scores."""
        row = next(row for row in self.history if row["epoch"] == self.best_epoch)
        scores = {name.removeprefix("val_"): value for name, value in row.items() if name.startswith("val_")}
        return {name: value for name, value in scores.items() if math.isfinite(value)}


def _rank(row: Mapping[str, float]) -> tuple[float, float]:
    return row["val_balscore"], -row["val_mean_km"]


def write_checkpoint(
    path: Path, progress: Progress, refit: Progress, state: Mapping[str, Tensor], facts: Mapping[str, Any]
) -> None:
    """Write the state of a fit after an epoch by atomic rename: safetensors, no pickle.

    Args:
        path: the file.
        progress: how far the fit is.
        refit: how far its refit is; without epochs until it has begun.
        state: tensors that the next epoch depends on, of the refit once it has begun.
        facts: what the fit is of, JSON; `read_checkpoint` refuses another.
    """
    from safetensors.torch import save_file

    tensors = {f"state.{name}": value.cpu().contiguous() for name, value in state.items()}
    tensors |= {f"best.{name}": value.contiguous() for name, value in progress.best_weights.items()}
    note = {"format": FORMAT, "facts": facts, "history": progress.history, "best_epoch": progress.best_epoch}
    note |= {"refit": refit.history} if refit.history else {}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, {"fit": json.dumps(note)})


@one_sentence()
def read_checkpoint(path: Path, facts: Mapping[str, Any], progress: Progress, refit: Progress) -> dict[str, Tensor]:
    """Read what `write_checkpoint` wrote, into the progress of a fit and of its refit.

    Returns:
        The tensors that the next epoch depends on.

    Raises:
        ValueError: when the file is not one, or of another fit; what differs is named.
    """
    from safetensors import safe_open

    if not path.is_file():
        raise missing(path, "a fit that goes on")
    with reading(path, "the state of a fit"):
        with safe_open(path, framework="pt") as file:
            note = parse_json(file.metadata()["fit"])
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        require_types(note, {"format": int}, str(path))
    if note["format"] != FORMAT:
        raise DamagedFileError(f"{path} is of format {note['format']!r}, this geocell reads {FORMAT}: remove it.")
    with reading(path, "the state of a fit"):
        require_types(note, {"facts": dict, "history": list, "best_epoch": int}, str(path))
        history, again = note["history"], note.get("refit", [])
        _require_history(history, history)
        _require_history(again, history, first=1)
        if note["best_epoch"] not in [row["epoch"] for row in history]:
            raise ValueError(f"the history has no epoch {note['best_epoch']}, which is to be kept")
        written = dict(note["facts"])
        if "settings" in written:
            written["settings"] = stored_settings(written["settings"])
        differs = _differences(written, json.loads(json.dumps(facts)))
    if differs:
        raise ValueError(
            f"{path} is the state of another fit, with other {', '.join(differs)}: fit with the same, or remove it "
            "to start again."
        )
    progress.history, progress.best_epoch = history, note["best_epoch"]
    progress.best_weights = _under("best.", tensors)
    refit.history, refit.best_epoch = again, len(again)
    return _under("state.", tensors)


def _require_history(rows: Sequence[Mapping[str, Any]], like: Sequence[Mapping[str, Any]], first: int = 0) -> None:
    """Raise ValueError unless epochs follow each other, and every row has the same columns of numbers."""
    for row in rows:
        if row.keys() != like[0].keys() or not row.keys() >= _COLUMNS:
            raise ValueError(f"a row of the history has the columns {', '.join(row)}")
        if not all(type(value) in {int, float} for value in row.values()):
            raise ValueError("a row of the history is not all numbers")
    epochs = [row["epoch"] for row in rows]
    if epochs and (epochs[0] not in {first, 1} or epochs != list(range(epochs[0], epochs[0] + len(epochs)))):
        raise ValueError("the epochs of the history do not follow each other")


def _differences(written: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
    """Return what is not as it was written; of the settings, which ones."""
    differs = [name for name in facts if written.get(name) != facts[name]]
    if "settings" not in differs:
        return differs
    before, now = written.get("settings", {}), facts["settings"]
    names = [name for name in {**now, **before} if now.get(name) != before.get(name)]
    return [f"settings ({', '.join(names)})" if name == "settings" else name for name in differs]


def _under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def tensors_sha256(state: Mapping[str, Tensor]) -> str:
    """Return the hash of named tensors, which tells whether two fits start alike."""
    import hashlib

    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
