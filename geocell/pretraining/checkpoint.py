"""How far a contrastive training is, in one file from which it continues after it was killed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

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


@dataclass
class Progress:
    """What is done.

    Attributes:
        epoch: of the next step, from 1.
        step: of that epoch, from 0.
        loss: sum of the losses of this epoch's steps, each times its images.
        images: of this epoch that were trained on.
        problems: reference -> why an image could not be read.
        history: one row per epoch, column name -> number.
        saved: scores of the weights that are saved, where they are not those of the last epoch.
    """

    epoch: int = 1
    step: int = 0
    loss: float = 0.0
    images: int = 0
    problems: dict[str, str] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    saved: dict[str, float] = field(default_factory=dict)

    def next_epoch(self) -> None:
        """Begin the next epoch."""
        self.epoch, self.step, self.loss, self.images = self.epoch + 1, 0, 0.0, 0


def write_state(path: Path, progress: Progress, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write the state of a training by atomic rename: safetensors, no pickle.

    Args:
        path: the file.
        progress: what is done.
        tensors: everything that the next step depends on.
        facts: what is trained on what, JSON; `read_state` refuses another.
    """
    from safetensors.torch import save_file

    note = {"format": FORMAT, "facts": facts, "progress": asdict(progress)}
    with atomic_path(path) as temporary:
        save_file(
            {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
            temporary,
            {"pretraining": json.dumps(note)},
        )


@one_sentence()
def read_state(path: Path, facts: Mapping[str, Any]) -> tuple[Progress, dict[str, Tensor]]:
    """Return what `write_state` wrote.

    Raises:
        ValueError: when the file is not one, or of another training; what differs is named.
    """
    from safetensors import safe_open

    what = "the state of a training"
    if not path.is_file():
        raise missing(path, "a training that goes on")
    with reading(path, what), safe_open(path, framework="pt") as file:
        note = parse_json(file.metadata()["pretraining"])
        tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    require_types(note, {"format": int, "facts": dict, "progress": dict}, str(path))
    if note["format"] != FORMAT:
        raise DamagedFileError(f"{path} is of format {note['format']!r}, this geocell reads {FORMAT}: remove it.")
    kinds = {"epoch": int, "step": int, "loss": float, "images": int, "problems": dict, "history": list}
    require_types(note["progress"], kinds, str(path))
    if note["progress"]["epoch"] < 1 or min(note["progress"]["step"], note["progress"]["images"]) < 0:
        raise DamagedFileError(f"{path} counts epochs from 1 and steps from 0, got others: remove it to start again.")
    known = json.loads(json.dumps(facts))
    differs = [name for name in known if note["facts"].get(name) != known[name]]
    if differs:
        raise ValueError(
            f"{path} is the state of another training, with other {', '.join(differs)}: train with the same, or remove "
            "it to start again."
        )
    return Progress(**{name: note["progress"][name] for name in kinds}), tensors
