"""How far a fit is: its history, the epoch that is kept, and one file from which it continues after it was killed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from geocell.files import FORMAT, atomic_path
from geocell.heads.module import GeoHead


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


def read_checkpoint(path: Path, facts: Mapping[str, Any], progress: Progress, refit: Progress) -> dict[str, Tensor]:
    """Read what `write_checkpoint` wrote, into the progress of a fit and of its refit.

    Returns:
        The tensors that the next epoch depends on.

    Raises:
        ValueError: when the file is not one, or of another fit; what differs is named.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            note = json.loads(file.metadata()["fit"])
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        written = note["format"]
    except (SafetensorError, TypeError, KeyError, ValueError) as error:
        raise ValueError(f"{path} must be the state of a fit, got: {error}. Remove it to start again.") from error
    if written != FORMAT:
        raise ValueError(f"{path} is of format {written!r}, this geocell reads {FORMAT}: remove it.")
    differs = [key for key in facts if note["facts"].get(key) != json.loads(json.dumps(facts[key]))]
    if differs:
        raise ValueError(
            f"{path} is the state of another fit, with other {', '.join(differs)}: fit with the same ones, or remove "
            "it to start again."
        )
    progress.history, progress.best_epoch = note["history"], note["best_epoch"]
    progress.best_weights = _under("best.", tensors)
    refit.history = note.get("refit", [])
    refit.best_epoch = refit.epochs
    return _under("state.", tensors)


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
