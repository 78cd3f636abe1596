"""The file partition.json: what is read, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geocell.partitioners import H3Partitioner, Partition

POINTS = np.random.default_rng(0).uniform([40, 0], [55, 20], (60, 2))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    H3Partitioner(resolution=2).fit(POINTS).save(tmp_path / "cells")
    return tmp_path / "cells"


def edit(path: Path, **changes: Any) -> None:
    value = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**value, **changes}), encoding="utf-8")


def test_changed_cells_are_refused(folder: Path) -> None:
    name = Partition.load(folder).names[0]
    edit(folder / "geocell_info.json", **{"0": {"centroid_lat": 1.0, "centroid_lon": 2.0, "name": name}})
    with pytest.raises(ValueError, match=r"the cells in .* must hash to \w{12}…, got \w{12}…: .* not of one partition"):
        Partition.load(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "format 2, and this geocell reads format 1"),
        ({"kind": "hexagons"}, r"kind h3, kmeans, .*, got kind 'hexagons': pass --partitioner module:attribute"),
        ({"parameters": []}, r"partition\.json must have an object as 'parameters', got list of 0: copy it again"),
        (
            {"assign": None},
            r"partition\.json must be a partition of kind 'h3', got something else or a damaged file .'assign' must",
        ),
        (
            {"assign": {"resolution": 2}},
            r"damaged file .'cells' is missing.: copy it again from its origin",
        ),
        (
            {"assign": {"resolution": 2, "cells": ["zz"]}},
            r"damaged file .*'zz'.*: copy it again",
        ),
        ({"fitted_on": [1]}, r"partition\.json must have an object as 'fitted_on', got list of 1: copy it again"),
    ],
)
def test_bad_partition_json(changes: dict[str, Any], message: str, folder: Path) -> None:
    edit(folder / "partition.json", **changes)
    with pytest.raises(ValueError, match=message):
        Partition.load(folder)


def test_class_of_raw_must_use_every_class(folder: Path) -> None:
    assign = json.loads((folder / "partition.json").read_text(encoding="utf-8"))["assign"]
    edit(folder / "partition.json", assign={**assign, "class_of_raw": [0] * len(assign["class_of_raw"])})
    with pytest.raises(ValueError, match=r"cell 1 of geocell_info\.json, .*, must be a cell with locations here"):
        Partition.load(folder)
