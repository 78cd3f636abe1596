"""Inputs: what is mutated how, by the name of a target, a seed and a number alone; and findings as files."""

from __future__ import annotations

import base64
import hashlib
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fuzz.guard import Fault
from fuzz.mutate import mutated
from fuzz.targets import TARGETS

_BOTH = 0.08
_ABSENT = 0.01


@dataclass(frozen=True)
class Input:
    """Files that differ from the valid ones of a target.

    Attributes:
        target: name of the target.
        seed: of the run.
        number: of the input; 0 is the valid one.
        files: name -> content, None for a file that is lacking.
        signed: whether hashes of cells count as right.
    """

    target: str
    seed: int
    number: int
    files: Mapping[str, bytes | None]
    signed: bool = False


@lru_cache(maxsize=1)
def valid_files(target: str) -> dict[str, bytes]:
    """Return the valid files of a target."""
    return TARGETS[target].contents()


@lru_cache(maxsize=1)
def _mutable(target: str) -> list[str]:
    return TARGETS[target].mutable()


def make_input(target: str, seed: int, number: int) -> Input:
    """Return input `number` of a target: the same for the same arguments, on every machine."""
    rng = random.Random(f"{seed} {target} {number}")
    names, contents = _mutable(target), valid_files(target)
    if number == 0:
        return Input(target, seed, number, {})
    chosen = rng.sample(names, 2) if len(names) > 1 and rng.random() < _BOTH else [rng.choice(names)]
    files = {name: None if rng.random() < _ABSENT else mutated(contents[name], name, rng) for name in chosen}
    return Input(target, seed, number, files, TARGETS[target].signed and rng.random() < 0.5)


def write_finding(folder: Path, found: Input, fault: Fault) -> Path:
    """Write an input and what it showed as one file, which `--replay` reads; return its path."""
    digest = hashlib.sha256(f"{found.target} {fault.signature}".encode()).hexdigest()[:10]
    path = folder / f"{found.target}-{digest}.json"
    files = {name: None if data is None else base64.b64encode(data).decode() for name, data in found.files.items()}
    value = {
        "target": found.target, "seed": found.seed, "number": found.number, "signed": found.signed,
        "kind": fault.kind, "where": fault.where, "text": fault.text.encode("utf-8", "replace").decode(),
        "files": files,
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    return path


def read_finding(path: Path) -> Input:
    """Return the input of a file that `write_finding` wrote."""
    value = json.loads(path.read_text(encoding="utf-8"))
    files = {name: None if text is None else base64.b64decode(text) for name, text in value["files"].items()}
    return Input(value["target"], value["seed"], value["number"], files, value["signed"])
