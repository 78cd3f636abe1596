"""Distances of every answer that a benchmark paid for, kept beside its table: a new interval needs no new fit.

One file per benchmark, results/kept/NAME.npz: for each way to deal folds the names, what was chosen, and (P, R, N) km
of P locations in R repeats by N answers, rounded up to whole km, which leaves every "within so many km" as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.common import RESULTS

KEPT = RESULTS / "kept"

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Answers:
    """What a benchmark found for one way to deal folds.

    Attributes:
        distances: name of an answer -> (R, P) km.
        chosen: name -> what was chosen for it, and in how many folds, in words.
    """

    distances: Mapping[str, Floats]
    chosen: Mapping[str, str] = field(default_factory=dict)

    @property
    def repeats(self) -> int:
        """R."""
        return len(next(iter(self.distances.values())))


def keep(name: str, found: Mapping[bool, Answers]) -> None:
    """Write results/kept/NAME.npz.

    Args:
        name: of the benchmark.
        found: whether folds are by place -> the answers.
    """
    arrays: dict[str, Any] = {}
    for by_place, answers in found.items():
        folds, names = "place" if by_place else "location", list(answers.distances)
        stacked = np.stack([answers.distances[case] for case in names], axis=-1)
        arrays[f"{folds}_km"] = np.ceil(stacked).astype(np.uint16).transpose(1, 0, 2)  # alike ones side by side
        arrays[f"{folds}_names"] = np.array(names)
        arrays[f"{folds}_chosen"] = np.array([answers.chosen.get(case, "") for case in names])
    KEPT.mkdir(exist_ok=True)
    np.savez_compressed(KEPT / f"{name}.npz", **arrays)


def kept(name: str) -> dict[bool, Answers]:
    """Return what `keep` wrote, in whole km.

    Raises:
        SystemExit: where it was not written.
    """
    path = KEPT / f"{name}.npz"
    if not path.is_file():
        raise SystemExit(f"{path} is not there: run the benchmark without --again.")
    found: dict[bool, Answers] = {}
    with np.load(path) as arrays:
        for by_place, folds in ((False, "location"), (True, "place")):
            if f"{folds}_km" in arrays:
                names = [str(case) for case in arrays[f"{folds}_names"]]
                km = arrays[f"{folds}_km"].astype(np.float64)
                distances = {case: np.ascontiguousarray(km[:, :, i].T) for i, case in enumerate(names)}
                chosen = {case: str(text) for case, text in zip(names, arrays[f"{folds}_chosen"], strict=True) if text}
                found[by_place] = Answers(distances, chosen)
    return found
