"""Damaged and hostile partitions: every kind of file, mutated in every place, is refused by one clean error or read."""

import json
import random
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geocell.files import DamagedFileError
from geocell.partitioners import Partition
from geocell.partitioners.cell_polygons import class_areas_km2, class_polygons
from geocell.partitioners.partition_file import require_hash
from tests.partitioners.test_contract import EXAMPLES

POINTS = np.random.default_rng(7).uniform([42, 2], [54, 18], (40, 2))
PROBES = np.array([[45.0, 5.0], [-90.0, 0.0], [90.0, 180.0], [0.0, -180.0], [53.9, 17.9]])
FILES = ("partition.json", "geocell_info.json", "cells.geojson")


def _as_if_found(hash_: Any, folder: Path, _found: str, written: str) -> None:
    """Check the hash as if whoever changed the files had written the right one."""
    require_hash(folder, hash_, written)


class Raw(str):
    """Text that stands in a file as it is: no JSON value of Python has this form."""


HOSTILE: list[Any] = [
    None, True, False, 0, 1, -1, 2, 15, 16, 31, 0.5, -0.0, 1e308, -1e308, 3e6, 180.0000001, 2**31, 2**53, 2**63, 2**64,
    -(2**63), 10**30, 10**400, float("nan"), float("inf"), float("-inf"), "", "0", "x", "-1", "1e999", "h3", "\ud800",
    "\x1b[31m", "x" * 5000, [], [[]], [[], []], [[[]]], [None], [0], [0.5, 0.5], [[0, 0]], [[0, 0], [0, 0]], {},
    {"": 0}, {"0": None}, {"type": "Polygon", "coordinates": []}, {"type": "MultiPolygon", "coordinates": [[], [[]]]},
]  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value inside a JSON value, of long lists only the first and the last items."""
    found = [path]
    if isinstance(value, dict):
        for key in list(value)[:6] + list(value)[-2:]:
            found += places(value[key], (*path, key))
    elif isinstance(value, list):
        for index in sorted({*range(min(4, len(value))), len(value) - 1} - {-1}):
            found += places(value[index], (*path, index))
    return found


def mutated(value: Any, data: st.DataObject) -> Any:
    """Return a copy of a JSON value with one thing changed."""
    value = json.loads(json.dumps(value))
    path = data.draw(st.sampled_from(places(value)))
    if not path:
        return data.draw(st.sampled_from(HOSTILE))
    parent = value
    for key in path[:-1]:
        parent = parent[key]
    change = data.draw(st.sampled_from(["replace", "remove", "repeat", "swap", "nest", "shift"]))
    old = parent[path[-1]]
    if change == "remove":
        del parent[path[-1]]
    elif change == "repeat" and isinstance(parent, list):
        parent.insert(path[-1], old)
    elif change == "swap" and isinstance(parent, list):
        parent.reverse()
    elif change == "nest":
        parent[path[-1]] = [old]
    elif change == "shift" and isinstance(old, int | float):
        parent[path[-1]] = old + data.draw(st.sampled_from([1, -1, 0.5, 90, 360, 2**40]))
    else:
        parent[path[-1]] = data.draw(st.sampled_from(HOSTILE))
    return value


@pytest.fixture(scope="module")
def saved(world_shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Kind -> the folder of a partition."""
    root = tmp_path_factory.mktemp("saved")
    for kind, example in EXAMPLES.items():
        example.make(POINTS, world_shapes, 2).fit(POINTS).save(root / kind)
    return {kind: root / kind for kind in EXAMPLES}


def use(partition: Partition) -> None:
    """Ask a partition that was accepted for all that it promises."""
    assignment = partition.locate(PROBES) if partition.can_assign else None
    if assignment is not None:
        assert ((assignment.cells < len(partition)) & (assignment.cells != -1)).all()
    assert len(partition.names) == len(partition.labels) == len(partition.centroids)
    assert set(partition.ancestors) == set(partition.ancestor_names)
    assert isinstance(partition.outside_rule + partition.centroid_rule + repr(partition), str)
    partition.nearest(PROBES)
    if partition.can_assign:
        assert len(class_polygons(partition)) == len(class_areas_km2(partition)) == len(partition)


@pytest.mark.parametrize("kind", EXAMPLES)
@pytest.mark.parametrize("signed", [False, True], ids=["changed", "signed"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_mutated_partition_is_refused_cleanly_or_whole(
    kind: str, signed: bool, saved: dict[str, Path], data: st.DataObject
) -> None:
    """`signed`: whoever changes the cells writes their hash too, so that the hash refuses nothing."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        copy = Path(folder) / "cells"
        shutil.copytree(saved[kind], copy)
        path = copy / data.draw(st.sampled_from([name for name in FILES if (copy / name).is_file()]))
        value = mutated(json.loads(path.read_text(encoding="utf-8")), data)
        path.write_text(json.dumps(value), encoding="utf-8")
        if signed:
            written = json.loads((copy / "partition.json").read_text(encoding="utf-8"))
            if isinstance(written, dict):
                written_hash = written.get("sha256")
                signed_hash = partial(_as_if_found, written_hash)
                patch.setattr("geocell.partitioners.base.require_hash", signed_hash)
        try:
            partition = Partition.load(copy)
        except (ValueError, FileNotFoundError) as error:
            assert type(error) in {DamagedFileError, ValueError, FileNotFoundError}  # no subclass of some library
            assert "\x1b" not in str(error)
            return
        use(partition)


@pytest.mark.parametrize("kind", EXAMPLES)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_flipped_and_missing_bytes_are_refused_cleanly(kind: str, saved: dict[str, Path], seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "cells"
        shutil.copytree(saved[kind], copy)
        path = copy / chance.choice([name for name in FILES if (copy / name).is_file()])
        content = bytearray(path.read_bytes())
        if chance.random() < 0.3:
            del content[chance.randrange(len(content)) :]
        else:
            for _ in range(chance.randrange(1, 4)):
                content[chance.randrange(len(content))] = chance.randrange(256)
        path.write_bytes(content)
        try:
            use(Partition.load(copy))
        except (ValueError, FileNotFoundError) as error:
            assert type(error) in {DamagedFileError, ValueError, FileNotFoundError}


def edited(folder: Path, **assign: Any) -> None:
    path = folder / "partition.json"
    value = json.loads(path.read_text(encoding="utf-8"))
    value["assign"].update(assign)
    path.write_text(json.dumps(value), encoding="utf-8")


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("h3", {"unseen_raw": [-1]}, "'unseen_raw' must hold integers"),
        ("h3", {"unseen_raw": [10**6]}, "'unseen_raw' must hold integers"),
        ("h3", {"class_of_raw": [0.5]}, "'class_of_raw' must hold integers"),
        ("h3", {"class_of_raw": [True]}, "'class_of_raw' must hold integers"),
        ("h3", {"resolution": True}, "'resolution' must be an integer in .0, 15., got True"),
        ("h3", {"cells": ["8" * 400]}, "'cells' must be H3 indexes"),
        ("h3", {"cells": ["831fa4fffffffff", "830e6efffffffff"]}, "H3 cells must ascend"),
        ("h3-adaptive", {"max_resolution": 99}, "'max_resolution' must be an integer"),
        ("h3-adaptive", {"cells": ["801ffffffffffff", "811fbffffffffff"]}, "no H3 cell must lie inside another"),
        ("s2", {"cells": ["g"]}, "'cells' must be S2 tokens, got 'g'"),
        ("s2", {"cells": ["f"]}, "'cells' must be S2 cells"),
        ("s2", {"cells": ["44", "47"]}, "no S2 cell must lie inside another|must be S2 cells"),
        ("kdtree", {"axes": [0, -1], "thresholds": [0, 0]}, "must be one binary tree in preorder"),
        ("kdtree", {"axes": [-1, -1], "thresholds": [0, 0]}, "must be one binary tree in preorder"),
        ("kdtree", {"axes": [*[0] * 300, *[-1] * 301], "thresholds": [0] * 601}, "at most 256 deep"),
        ("kdtree", {"axes": [-1], "thresholds": [5]}, "0 for a leaf"),
        ("kdtree", {"cut_lon": float("nan")}, "'cut_lon' must be a number"),
        ("quadtree", {"splits": [[0, 0]]}, "must be one tree"),
        ("quadtree", {"splits": [None, [0, 0], None, None, None]}, "must be one tree"),
        ("quadtree", {"splits": [[float("inf"), 0], None, None, None, None]}, "must hold finite numbers"),
        ("quadtree", {"splits": [[0, 0], *[[0, 0], None, None, None] * 40, *[None] * 4]}, "at most 30 deep"),
        ("kmeans", {"centres": [[0, 0], [0, 0]]}, "must be distinct places"),
        ("kmeans", {"centres": [[95, 0]]}, "must be degrees"),
        ("semantic", {"split": {"nowhere": [[0, 0], [1, 1]]}}, "KeyError: 'nowhere'"),
        ("semantic", {"split": []}, "'split' must give the centres"),
        ("polygons", {"snap_km": -1}, "'snap_km' must be a number"),
        ("nuts", {"snap_km": float("inf")}, "'snap_km' must be a number"),
    ],
)
def test_what_is_wrong_with_a_rule_is_said(
    kind: str, change: dict[str, Any], message: str, saved: dict[str, Path], tmp_path: Path
) -> None:
    shutil.copytree(saved[kind], tmp_path / "cells")
    edited(tmp_path / "cells", **change)
    with pytest.raises(DamagedFileError, match=message):
        Partition.load(tmp_path / "cells")
