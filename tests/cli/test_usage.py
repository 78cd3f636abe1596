"""Flags that cannot be: one sentence and exit status 2, before anything is read."""

from pathlib import Path

import pytest

from geocell.cli import main

PARTITION = "partition kmeans --table none.csv --out out"
FIT = "fit-head --cache none --splits none.json --partition none --out out"
SWEEP = "sweep none.toml --cache none --splits none.json --out out"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (f"{PARTITION} --k 2.5", "--k must be a whole number, got 2.5."),
        (f"{PARTITION} --k 1.5e0", "--k must be a whole number, got 1.5e0."),
        (f"{PARTITION} --k 25e-1", "--k must be a whole number, got 25e-1."),
        (f"{PARTITION} --k 1_0.5", "--k must be a whole number, got 1_0.5."),
        (f"{PARTITION} --k nan", "--k must be a whole number, got nan."),
        (f"{PARTITION} --k inf", "--k must be a whole number, got inf."),
        (f"{PARTITION} --k=-inf", "--k must be a whole number, got -inf."),
        (f"{PARTITION} --k 1.0e999", "--k must be a whole number, got 1.0e999."),
        (f"{PARTITION} --k 3 --seed 9007199254740993.0", "--seed must be a whole number, got 9007199254740993.0."),
        ("partition h3 --table none.csv --out out --resolution 1.5e0", "--resolution must be a whole number"),
        (f"{PARTITION} --k 3 --seed=0.5", "--seed must be a whole number, got 0.5."),
        (f"{FIT} --epochs 1.5", "--epochs must be a whole number, got 1.5."),
        (f"{SWEEP} --seeds 1 2.5", "--seeds must be a whole number, got 2.5."),
        ("audit none --table none.csv --dim 3.5", "--dim must be a whole number, got 3.5."),
        ("audit none --table none.csv --plot x.txt", "a picture must be written to a .png or .svg file, got 'x.txt'"),
        ("predict none a.jpg --out y.txt", "predictions are written to a .csv, .geojson, .html file, got y.txt"),
        ("export none x.txt", "cells are exported to a .geojson or .parquet file, got 'x.txt'"),
        ("plot none --out x.txt", "a map must be written to a .png, .svg or .html file, got 'x.txt'"),
        ("plot none --out x.png --bbox 5 5 1 1", "bbox must be degrees (south, west, north, east), got (5.0, 5.0"),
        ("plot-history none --out x.txt", "a picture must be written to a .png or .svg file, got 'x.txt'"),
        ("audit none --table none.csv --dim 0", "dim must be a whole number of at least 1, got 0: pass the number"),
        (f"{SWEEP} --device tpu", "device must be auto or one of"),
        ("split none --out s.json --fractions 0.8 0.1 0.2", "fractions must be three numbers >= 0 that sum to 1"),
        ("split none --out s.json --fractions 0.8 nan 0.1", "fractions must be three numbers >= 0 that sum to 1"),
        ("split none --out s.json --seed -1", "seed must be from 0 to 9223372036854775807, got -1."),
        (
            "split none --out s.json --from-column --buffer-km 1",
            "--from-column takes the splits as they are, got also --bu",
        ),
        (
            "split none --out s.json --from-column --seed 3",
            "--from-column takes the splits as they are, got also --seed",
        ),
        ("split none --out s.json --buffer-km nan", "buffer_km must be a number of kilometres of at least 0, got nan."),
    ],
)
def test_flags_that_cannot_be(
    command: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(command.split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"geocell: {message}")
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_recipes_that_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('[partition]\nkind = "kmeans"\nk = 2.5\n')
    assert main([*PARTITION.split(), "--recipe", str(path)]) == 2
    assert capsys.readouterr().err == "geocell: --k must be a whole number, got 2.5.\n"


@pytest.mark.parametrize("k", ["2", "2.0", "0.2e1", "0x2"])
def test_whole_numbers_are_known_by_their_value(k: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text("lat,lon\n10,20\n30,40\n50,60\n")
    assert main(f"partition kmeans --k {k} --table {tmp_path}/t.csv --out {tmp_path}/cells".split()) == 0
    assert "2 kmeans cells from 3 locations" in capsys.readouterr().out


def test_a_quadtree_has_both_a_place_to_split_and_a_split(tmp_path: Path) -> None:
    """The split of the locations and the place where boxes are split are two flags."""
    table = tmp_path / "t.csv"
    table.write_text("lat,lon\n" + "\n".join(f"{40 + i % 9},{i}" for i in range(40)) + "\n")
    common = ["partition", "quadtree", "--table", str(table)]
    assert main([*common, "--max-count", "5", "--split-at", "median", "--out", str(tmp_path / "p")]) == 0
    assert main([*common, "--split", "train", "--out", str(tmp_path / "q")]) == 2
