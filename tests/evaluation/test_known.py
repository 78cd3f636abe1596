"""What a head knows by the splits it was fitted on."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from geocell.encoding import import_features
from geocell.evaluation.known import known_locations
from geocell.splits.splits import Splits
from geocell.views import read_views
from tests.worlds import INFO, write_csv

SPLITS = Splits({"train": ("a", "b"), "val": ("c",), "test": ("d",)})


@pytest.mark.parametrize(
    ("refit", "scored", "ids"),
    [
        (False, "test", ["a", "b"]),
        (True, "test", ["a", "b", "c"]),
        (True, "val", ["a", "b"]),
        (False, "train", None),
        (None, "test", ["a", "b"]),
    ],
)
def test_a_refitted_head_knows_the_validation_locations(
    tmp_path: Path, refit: bool | None, scored: str, ids: list[str] | None
) -> None:
    rows = "".join(f"{name}.jpg,{i},{i},{name}\n" for i, name in enumerate("abcd"))
    table = write_csv(tmp_path / "t.csv", f"file_name,latitude,longitude,location\n{rows}")
    np.save(tmp_path / "f.npy", np.eye(4, INFO.dim, dtype=np.float32))
    views = read_views(table, images_optional=True)
    cache = import_features(tmp_path / "f.npy", tmp_path / "cache", table=views, encoder=INFO)
    head = None if refit is None else cast("Any", SimpleNamespace(training={"refit": refit}))
    found = known_locations(head, cache, SPLITS, scored)
    assert (None if found is None else sorted(found.ids.tolist())) == ids
    assert known_locations(head, cache, Splits({"train": (), "test": ("d",)}), "test") is None
