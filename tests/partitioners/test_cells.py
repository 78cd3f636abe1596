"""The table of cells and its file."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from geocell.files import DamagedFileError
from geocell.partitioners import Partition
from geocell.partitioners.cells import INFO_FILE, Cells, cells_to_info, read_cells


def test_foreign_geocell_info(tmp_path: Path) -> None:
    cells = {"10": (1.0, 2.0)} | {str(i): (float(i), -float(i)) for i in range(10)}  # out of order, and "10" < "2"
    info = {key: {"centroid_lat": lat, "centroid_lon": lon} for key, (lat, lon) in cells.items()}
    (tmp_path / "geocell_info.json").write_text(json.dumps(info), encoding="utf-8")
    partition = Partition.load(tmp_path)
    assert partition.names == tuple(str(i) for i in range(11))
    assert partition.centroids[[2, 10]].tolist() == [[2.0, -2.0], [1.0, 2.0]]
    assert partition.counts.tolist() == [0] * 11
    assert np.isnan(partition.radius_km).all()
    partition.save(tmp_path / "again")
    written = json.loads((tmp_path / "again/geocell_info.json").read_text(encoding="utf-8"))
    assert list(written) == [str(i) for i in range(11)]
    assert set(written["0"]) == {"centroid_lat", "centroid_lon", "name"}  # what is not known is not written


@pytest.mark.parametrize(
    ("info", "message"),
    [
        ({}, 'exactly the keys "0" … "C-1", one per cell, got 0 keys'),
        ({"0": {}, "2": {}}, r"got 2 keys, among them \['2'\]"),
        ({"0": {}, "format": 1}, r"among them \['format'\]: keep anything else in partition\.json"),
        ({"0": {"centroid_lat": 1.0}}, "cell '0' lacks centroid_lat or centroid_lon"),
        ({"0": 5}, "cell '0' lacks centroid_lat or centroid_lon"),
        (
            {"0": {"centroid_lat": 91.0, "centroid_lon": 0.0}},
            r"centroids must be degrees \(lat, lon\), got \[91.0, 0.0\]",
        ),
        ({"0": {"centroid_lat": float("nan"), "centroid_lon": 0.0}}, "centroids must hold finite numbers, got nan"),
        ({"0": {"centroid_lat": None, "centroid_lon": 0.0}}, "centroids must hold finite numbers, got None"),
        ({"0": {"centroid_lat": 1, "centroid_lon": 2, "count": -3}}, "'count' must be an integer in .0, .*, got -3"),
        (
            {"0": {"centroid_lat": 1, "centroid_lon": 2, "radius_km": -5}},
            "'radius_km' must be a number in .0, .*, got -5",
        ),
        (
            {"0": {"centroid_lat": 1, "centroid_lon": 2, "count": 10**30}},
            "'count' must be an integer in",
        ),
        ({str(i): {"centroid_lat": 1, "centroid_lon": 2, "name": "a"} for i in (0, 1)}, "'a' comes more than once"),
    ],
)
def test_bad_geocell_info(info: dict[str, Any], message: str, tmp_path: Path) -> None:
    (tmp_path / "geocell_info.json").write_text(json.dumps(info), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        Partition.load(tmp_path)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"a partition needs the file geocell_info\.json"):
        Partition.load(tmp_path / "nowhere")


def test_names_that_repeat_are_found_in_linear_time(tmp_path: Path) -> None:
    """The last two of two hundred thousand: comparing each with all others would run into the time limit."""
    n = 200_000
    cells = {str(i): {"centroid_lat": 0, "centroid_lon": 0, "name": min(i, n - 2)} for i in range(n)}
    (tmp_path / "geocell_info.json").write_text(json.dumps(cells), encoding="utf-8")
    with pytest.raises(DamagedFileError, match=f"'{n - 2}' comes more than once"):
        Partition.load(tmp_path)


def test_what_is_known_of_a_cell_is_written_and_read(tmp_path: Path) -> None:
    cells = Cells(("a", "b"), ("a", "B"), np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0, 5]), np.array([np.nan, 7.5]))
    info = cells_to_info(cells)
    assert info == {
        "0": {"centroid_lat": 1.0, "centroid_lon": 2.0, "name": "a"},
        "1": {"centroid_lat": 3.0, "centroid_lon": 4.0, "name": "b", "label": "B", "count": 5, "radius_km": 7.5},
    }
    (tmp_path / INFO_FILE).write_text(json.dumps(info), encoding="utf-8")
    again = read_cells(tmp_path)
    assert (again.names, again.labels, again.counts.tolist()) == (("a", "b"), ("a", "B"), [0, 5])
    assert np.isnan(again.radius_km[0])
    assert again.radius_km[1] == 7.5
