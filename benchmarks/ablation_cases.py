"""The cases of the ablation: what is fitted, and what each is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from geocell.partitioners import H3Partitioner, KDTreePartitioner, KMeansPartitioner, Partitioner

DEFAULT = "default"
PLAIN = "plain loop"
NEAREST = "nearest neighbour"
CLUSTERS = KMeansPartitioner(k=64, seed=0)


@dataclass(frozen=True)
class Case:
    """One line of the table.

    Attributes:
        name: what it is called.
        group: what it is about.
        fit: fields of `FitConfig` that differ from the defaults; its decoder answers, and selects the epoch.
        partitioner: of the cells.
        base: the case it differs from by one change.
        second: fields of a second stage that starts from the first; empty for one stage.
        validate: whether an eighth of the training folds selects the epoch, or is trained on too.
        heads: how many seeds are averaged.
        candidate: whether the best is chosen from it.
        plain: whether the plain loop fits it.
        smooth: epochs over which validation scores are averaged before the best is taken; 0 for the fit's own choice.
    """

    name: str
    group: str
    fit: Mapping[str, Any] = field(default_factory=dict)
    partitioner: Partitioner = CLUSTERS
    base: str = DEFAULT
    second: Mapping[str, Any] = field(default_factory=dict)
    validate: bool = True
    heads: int = 1
    candidate: bool = False
    plain: bool = False
    smooth: int = 0


def _with_decay(value: float, base: str, partitioner: Partitioner) -> Case:
    """Return a hierarchy whose levels are not weighed equally."""
    name = base.replace("hierarchy 1.0", f"hierarchy 1.0, hierarchy_decay {value:g}")
    return Case(name, "hierarchy", {"hierarchy": 1.0, "hierarchy_decay": value}, partitioner, base)


MORE = KMeansPartitioner(k=128, seed=0)
H3 = H3Partitioner(resolution=2)
TREE = KDTreePartitioner(max_count=10)
OFFSETS = {"offsets": 1.0, "decode": "offset"}
"""One weight is enough: the regression shares no weights with the logits, and AdamW does not mind its scale."""

CASES = (
    Case(DEFAULT, "default", candidate=True),
    Case(PLAIN, "floor", plain=True),
    *(Case(f"haversine {value}", "loss", {"haversine": value}) for value in (0.001, 0.003, 0.01)),
    *(Case(f"expected_distance {value}", "loss", {"expected_distance": value}) for value in (0.001, 0.003)),
    Case("second stage, haversine 0.01", "loss", second={"epochs": 10, "haversine": 0.01}),
    *(Case(f"weight_exponent {value}", "weights", {"weight_exponent": value}) for value in (0.0, 0.5)),
    *(Case(f"weight_cap {value:g}", "weights", {"weight_cap": value}) for value in (1.0, 1000.0)),
    *(Case(f"label_smoothing {value:g}", "smoothing", {"label_smoothing": value}) for value in (0.0, 0.2)),
    *(Case(f"smoothing_km {value}", "smoothing", {"smoothing_km": value}) for value in (75, 200)),
    Case("smoothing_km 75, not normalised", "smoothing", {"smoothing_km": 75, "smoothing_normalized": False}),
    Case("H3 resolution 2", "hierarchy", partitioner=H3),
    *(Case(f"hierarchy {value}", "hierarchy", {"hierarchy": value}, H3, "H3 resolution 2") for value in (0.3, 1.0)),
    *(_with_decay(value, "hierarchy 1.0", H3) for value in (0.3, 3.0)),
    Case("k-d tree", "hierarchy", partitioner=TREE),
    Case("hierarchy 1.0, k-d tree", "hierarchy", {"hierarchy": 1.0}, TREE, "k-d tree"),
    *(_with_decay(value, "hierarchy 1.0, k-d tree", TREE) for value in (0.3, 3.0)),
    *(Case(f"fusion {value}", "views", {"fusion": value}) for value in ("logit", "attention")),
    Case("view_dropout 0.5", "views", {"view_dropout": 0.5}),
    *(Case(f"dropout {value}", "regularisation", {"dropout": value}) for value in (0.1, 0.6)),
    Case("ema 0.9", "averaging", {"ema": 0.9}),
    Case("ensemble of 5 seeds", "averaging", heads=5),
    *(Case(f"{k} cells", "cells", partitioner=KMeansPartitioner(k=k, seed=0)) for k in (32, 128)),
    Case("offsets 1, decode offset", "offsets", OFFSETS),
    Case("32 cells, offsets 1, decode offset", "offsets", OFFSETS, KMeansPartitioner(k=32, seed=0), "32 cells"),
    Case("H3 resolution 2, offsets 1, decode offset", "offsets", OFFSETS, H3, "H3 resolution 2"),
    Case("validation trained on", "whole", validate=False, candidate=True),
    Case("the same, dropout 0.1", "whole", {"dropout": 0.1}, validate=False, candidate=True),
    Case("the same, 128 cells", "whole", {}, MORE, validate=False, candidate=True),
    Case(
        "the same, 128 cells, weight_exponent 0.5",
        "whole",
        {"weight_exponent": 0.5},
        MORE,
        validate=False,
        candidate=True,
    ),
    Case(
        "the same, 128 cells, weight_exponent 0.5, offsets 1, decode offset",
        "whole",
        {"weight_exponent": 0.5, **OFFSETS},
        MORE,
        "the same, 128 cells, weight_exponent 0.5",
        validate=False,
        candidate=True,
    ),
)
BY_PLACE = (
    DEFAULT, PLAIN, "haversine 0.001", "haversine 0.01", "weight_exponent 0.5", "label_smoothing 0", "smoothing_km 75",
    "dropout 0.1", "fusion logit", "ensemble of 5 seeds", "128 cells", "offsets 1, decode offset",
)  # fmt: skip
"""Cases with folds by place too, besides the candidates."""

QUICK = (DEFAULT, PLAIN, "haversine 0.01", "fusion logit", "validation trained on")
