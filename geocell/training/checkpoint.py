"""How far a fit is: its history, its best epoch, and one file from which it goes on after it was killed."""

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
        best_epoch: the epoch with the highest validation balscore, the mean distance deciding between equals; the
            last one where there is no score.
        best_weights: its weights, on the CPU.
    """

    history: list[Mapping[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_weights: dict[str, Tensor] = field(default_factory=dict)

    @property
    def epochs(self) -> int:
        """Epochs done."""
        return int(self.history[-1]["epoch"]) if self.history else 0

    def add(self, row: Mapping[str, float], module: GeoHead) -> None:
        """Note an epoch, and keep its weights if they are the best."""
        best = next((_rank(other) for other in self.history if other["epoch"] == self.best_epoch), (-math.inf,))
        self.history.append(row)
        if _rank(row) > best or math.isnan(row["val_balscore"]):
            self.best_epoch = int(row["epoch"])
            self.best_weights = {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}

    def best_scores(self) -> dict[str, float]:
        """Return the validation scores of the best epoch, without the names' prefix; nothing when there are none."""
        row = next(row for row in self.history if row["epoch"] == self.best_epoch)
        scores = {name.removeprefix("val_"): value for name, value in row.items() if name.startswith("val_")}
        return {name: value for name, value in scores.items() if math.isfinite(value)}


def _rank(row: Mapping[str, float]) -> tuple[float, float]:
    return row["val_balscore"], -row["val_mean_km"]


def write_checkpoint(path: Path, progress: Progress, state: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write the state of a fit after an epoch by atomic rename: safetensors, no pickle.

    Args:
        path: the file.
        progress: how far the fit is.
        state: tensors that the next epoch depends on.
        facts: what the fit is of, JSON; `read_checkpoint` refuses another.
    """
    from safetensors.torch import save_file

    tensors = {f"state.{name}": value.cpu().contiguous() for name, value in state.items()}
    tensors |= {f"best.{name}": value.contiguous() for name, value in progress.best_weights.items()}
    note = {"format": FORMAT, "facts": facts, "history": progress.history, "best_epoch": progress.best_epoch}
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, {"fit": json.dumps(note)})


def read_checkpoint(path: Path, facts: Mapping[str, Any]) -> tuple[Progress, dict[str, Tensor]]:
    """Read what `write_checkpoint` wrote.

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
        raise ValueError(f"{path} must be the state of a fit, got: {error}. Remove it to begin anew.") from error
    if written != FORMAT:
        raise ValueError(f"{path} is of format {written!r}, this geocell reads {FORMAT}: remove it.")
    differs = [key for key in facts if note["facts"].get(key) != json.loads(json.dumps(facts[key]))]
    if differs:
        raise ValueError(
            f"{path} is the state of another fit, with other {', '.join(differs)}: fit as it was begun, or remove it "
            "to begin anew."
        )
    best = {name.removeprefix("best."): value for name, value in tensors.items() if name.startswith("best.")}
    state = {name.removeprefix("state."): value for name, value in tensors.items() if name.startswith("state.")}
    return Progress(note["history"], note["best_epoch"], best), state


def tensors_sha256(state: Mapping[str, Tensor]) -> str:
    """Return the hash of named tensors, which tells whether two fits start alike."""
    import hashlib

    digest = hashlib.sha256()
    for name, value in sorted(state.items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
