"""Tables of points: what is refused before and while they are read."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from geocell.evaluation import point_tables
from geocell.evaluation.point_tables import points_sha256, read_points
from geocell.files import DamagedFileError

ROWS = "id,lat,lon\na,1,2\nb,3,4\nc,5,6\n"


def write(path: Path) -> Path:
    frame = pd.DataFrame({"id": ["a", "b", "c"], "lat": [1.0, 3, 5], "lon": [2.0, 4, 6]})
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    elif path.suffix == ".jsonl":
        frame.to_json(path, orient="records", lines=True)
    else:
        path.write_text(ROWS)
    return path


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet"])
def test_sizes_are_bounded(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / name)
    assert read_points(path).ids == ("a", "b", "c")
    monkeypatch.setattr(point_tables, "MAX_ROWS", 1)
    with pytest.raises(ValueError, match=r"must have at most \d (lines|rows), got \d: leave out what is not scored"):
        read_points(path)
    monkeypatch.setattr(point_tables, "MAX_BYTES", 20)
    with pytest.raises(ValueError, match=rf"at most 20 bytes, got {path.stat().st_size:,}: leave out"):
        read_points(path)


def test_columns_that_grow_are_refused_by_the_footer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "t.parquet"
    ids = [str(i) for i in range(50_000)]
    pd.DataFrame({"id": ids, "lat": 1.0, "lon": 2.0, "text": "x" * 100}).to_parquet(path, compression="zstd")
    monkeypatch.setattr(point_tables, "MAX_BYTES", path.stat().st_size)
    with pytest.raises(ValueError, match=r"at most [\d,]+ bytes of columns"):
        read_points(path)


@pytest.mark.parametrize("name", ["t.jsonl", "t.parquet"])
def test_damaged_tables_are_one_sentence(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"\x00PAR1{]")
    with pytest.raises(ValueError, match=f"{name} cannot be read as a table: "):
        read_points(tmp_path / name)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        read_points(tmp_path / "t.csv")
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        read_points(tmp_path)
    (tmp_path / "t.ods").write_text(ROWS)
    with pytest.raises(ValueError, match=r"got '\.ods': convert it"):
        read_points(tmp_path / "t.ods")


def test_rows_are_found_by_id(tmp_path: Path) -> None:
    truth = read_points(write(tmp_path / "t.csv"))
    (tmp_path / "p.csv").write_text("id,lat,lon\nc,5,6\na,1,2\n")
    assert read_points(tmp_path / "p.csv").rows_of(truth).tolist() == [1, -1, 0]


@given(st.permutations(range(4)), st.floats(-0.49e-6, 0.49e-6))
def test_the_hash_of_points_depends_on_points_alone(order: list[int], noise: float) -> None:
    ids, latlon = ["a", "ä", "10", "9"], np.array([[1.5, 2.25], [-3, 180], [0.0, 0.0], [90, -7.125]])
    known = points_sha256(ids, latlon)
    assert points_sha256([ids[i] for i in order], (latlon + noise)[order]) == known
    assert points_sha256(ids, latlon * [1, -1]) != known
    assert points_sha256(ids, np.where(latlon == 180, -180, latlon)) == known
    assert points_sha256(ids[::-1], latlon) != known


def test_damaged_notes_of_pandas_are_one_sentence(tmp_path: Path) -> None:
    pd.DataFrame({"id": ["a"], "lat": [1.0], "lon": [2.0]}).to_parquet(tmp_path / "t.parquet")
    table = parquet.read_table(tmp_path / "t.parquet")
    notes = table.schema.metadata[b"pandas"].replace(b'"pandas_type"', b'"pandas_tyqe"')
    parquet.write_table(table.replace_schema_metadata({b"pandas": notes}), tmp_path / "t.parquet")
    with pytest.raises(DamagedFileError, match="cannot be read as a table: 'pandas_type'"):
        read_points(tmp_path / "t.parquet")


def test_a_number_that_would_steer_a_terminal_is_shown_harmlessly(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("id,lat,lon,radius_50_km\na,1,2,\x1b[31m\nb,1,2," + "9" * 3000 + "x\n")
    table = read_points(tmp_path / "t.csv")
    with pytest.raises(DamagedFileError, match=r"radius_50_km must be numbers of at least 0, got .\[31m for the id"):
        table.numbers(("radius_50_km",), 0, np.inf)
