"""The cases behind the defaults of a fit: which epoch is kept, on what is trained, and with which settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.ablation_cases import CLUSTERS, MORE, Case
from geocell.partitioners import KMeansPartitioner, Partitioner

PUBLISHED: Mapping[str, Any] = {
    "epochs": 80, "keep": "best", "patience": 15, "lr": 1e-3, "weight_decay": 0.01, "dropout": 0.3,
    "label_smoothing": 0.1, "weight_exponent": 1.0,
}  # fmt: skip
"""Where the search starts: settings that published heads have, learning rate and weight decay from `search.py`."""

PLAIN = "plain loop, best of 80 epochs"
START = "best of 80 epochs"
WINDOW = 9
"""Epochs over which a validation score is averaged."""

BASE_EPOCHS = 20
"""Of the cases that change one setting."""


def _kept(keep: str, epochs: int) -> Case:
    """Return a case that differs in the epoch that is kept alone."""
    fit = {**PUBLISHED, "epochs": epochs, "keep": keep}
    return Case(f"{keep} of {epochs} epochs", "epoch", fit, candidate=True)


def _whole(name: str, changes: Mapping[str, Any], partitioner: Partitioner = CLUSTERS) -> Case:
    """Return a case that trains on validation locations too, for a fixed number of epochs."""
    fit = {**PUBLISHED, "keep": "last", "epochs": BASE_EPOCHS, **changes}
    return Case(name, "settings", fit, partitioner, validate=False, candidate=True)


DEFAULT = f"last of {BASE_EPOCHS} epochs"
REFIT = BASE = f"last of {BASE_EPOCHS} epochs, refit"
BEST_REFIT = "best of 80 epochs, refit"
QUICK = (PLAIN, START, DEFAULT, REFIT)

CASES = (
    Case(PLAIN, "floor", PUBLISHED, plain=True),
    *(_kept("best", epochs) for epochs in (80, 20)),
    *(_kept("last", epochs) for epochs in (80, 40, 20, 10)),
    *(
        Case(
            f"best of {epochs} epochs, smoothed over {WINDOW}",
            "epoch",
            {**PUBLISHED, "epochs": epochs, "keep": "last"},
            smooth=WINDOW,
            candidate=True,
        )
        for epochs in (80, 20)
    ),
    *(
        Case(f"best of {epochs} epochs, refit", "refit", {**PUBLISHED, "epochs": epochs, "refit": True}, candidate=True)
        for epochs in (80, 20)
    ),
    *(
        Case(
            f"last of {epochs} epochs, refit",
            "refit",
            {**PUBLISHED, "epochs": epochs, "keep": "last"},
            validate=False,  # the first fit would decide nothing
            candidate=True,
        )
        for epochs in (80, 40, 20, 10)
    ),
    *(_whole(f"weight_exponent {value:g}", {"weight_exponent": value}) for value in (0.5, 0.0)),
    *(_whole(f"dropout {value:g}", {"dropout": value}) for value in (0.1, 0.5)),
    *(_whole(f"label_smoothing {value:g}", {"label_smoothing": value}) for value in (0.0,)),
    *(_whole(f"lr {value:g}", {"lr": value}) for value in (3e-4, 3e-3)),
    *(_whole(f"weight_decay {value:g}", {"weight_decay": value}) for value in (0.1,)),
    *(_whole(f"{k} cells", {}, KMeansPartitioner(k=k, seed=0)) for k in (48, 128)),
    _whole("weight_exponent 0.5, 128 cells", {"weight_exponent": 0.5}, MORE),
    _whole("weight_exponent 0.5, dropout 0.1", {"weight_exponent": 0.5, "dropout": 0.1}),
    _whole("weight_exponent 0.5, dropout 0.1, 128 cells", {"weight_exponent": 0.5, "dropout": 0.1}, MORE),
    _whole("weight_exponent 0.5, label_smoothing 0", {"weight_exponent": 0.5, "label_smoothing": 0.0}),
    _whole("weight_exponent 0.5, lr 0.0003, 80 epochs", {"weight_exponent": 0.5, "lr": 3e-4, "epochs": 80}),
    _whole("haversine 0.01", {"haversine": 0.01}),
)
"""Everything that was tried; the best is chosen from all candidates on folds that it is not scored on."""
