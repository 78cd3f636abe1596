"""The public names as another type checker than ours sees them: pyright, on code of a user."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import geocell

ROOT = Path(geocell.__file__).parents[1]

USER = """
import geocell as gc
import numpy as np

cells = gc.KMeansPartitioner(k=3).fit(np.zeros((3, 2)))
locator = gc.Geolocator.load("x")


def use(cache: gc.FeatureCache, head: gc.Head, train: gc.Locations, val: gc.Locations) -> None:
"""
TYPES = {
    "cells": "Partition",
    "cells.centroids": "ndarray[tuple[Any, ...], dtype[float64]]",
    "cells.to_geopandas()": "GeoDataFrame",
    "gc.Partition.from_geopandas(cells.to_geopandas())": "Partition",
    "gc.split(cache)": "tuple[Locations, Locations, Locations]",
    "gc.Locations.from_arrays(np.zeros((2, 2)), [[0.0, 1.0]], encoder='x')": "Locations",
    "gc.import_features(np.zeros((2, 2)), 'x', encoder='x')": "FeatureCache",
    "gc.audit(cells, val.latlon)": "Audit",
    "gc.fit_head(train, val, cells)": "Head",
    "gc.calibrate(head, val)": "Calibration",
    "gc.score(head, val, decode='centroid')": "Scores",
    "gc.compare(head, head, val)": "Comparison",
    "gc.baselines(head, val, train)": "dict[str, Baseline]",
    "gc.combine([head, head])": "Combination",
    "locator.locate(['a.jpg'])": "Predictions",
    "locator.locate(['a.jpg'])[0]": "Prediction",
    "locator.locate(['a.jpg']).to_pandas()": "DataFrame",
}
"""Expression of a user -> the type that a checker shows."""


def pyright(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
        timeout=280,
    )


@pytest.mark.slow
def test_a_user_s_code_has_types(tmp_path: Path) -> None:
    pytest.importorskip("pyright")
    if pyright("--version").returncode:
        pytest.skip("pyright needs node or the network here")
    names = [f"    gc.{name}" for name in geocell.__all__]
    code = tmp_path / "user.py"
    code.write_text(USER + "\n".join([*names, *(f"    reveal_type({text})" for text in TYPES)]) + "\n")
    config = {"extraPaths": [str(ROOT)], "reportUnusedExpression": False}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(config))
    found = json.loads(pyright("--outputjson", "--project", str(tmp_path)).stdout)["generalDiagnostics"]
    assert [item["message"] for item in found if item["severity"] != "information"] == []
    shown = [item["message"].rsplit('" is "', 1)[-1].rstrip('"') for item in found]
    assert dict(zip(TYPES, shown, strict=True)) == TYPES
