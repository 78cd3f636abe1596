"""`split`: what is printed about the splits, and the hint at --buffer-km where neighbours are in different splits."""

import json
from pathlib import Path

import pytest

from geocell.cli import main


def table(folder: Path, rows: list[tuple[float, float, str]]) -> Path:
    path = folder / "t.csv"
    path.write_text("lat,lon,split\n" + "\n".join(f"{lat},{lon},{split}" for lat, lon, split in rows) + "\n")
    return path


# 0.0001 degrees of latitude are 11.1 m
NEAR = [(50.0, 10.0, "train"), (50.0001, 10.0, "val"), (50.1, 10.0, "test"), (50.2, 10.0, "test")]


def test_neighbours_in_two_splits_are_hinted_at_with_their_distance(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = f"split {table(tmp_path, NEAR)} --from-column --out {tmp_path}/s.json"
    assert main(command.split()) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines()[0].endswith("s.json: 1 train, 1 val, 2 test locations")
    assert "val: nearest training location 11 m away" in captured.out
    (hint,) = captured.err.splitlines()
    assert "a val location is 11 m from a training location" in hint
    assert "--buffer-km 1" in hint
    assert main([*command.split(), "--json", "--overwrite"]) == 0
    report = json.loads(capsys.readouterr().out)["nearest_train"]
    assert report["val"]["min_km"] == pytest.approx(0.0111, abs=1e-4)


def test_no_hint_where_splits_are_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    far = [(50.0 + i, 10.0, name) for i, name in enumerate(("train", "val", "test"))]
    assert main(f"split {table(tmp_path, far)} --from-column --out {tmp_path}/s.json".split()) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "test: nearest training location 222.4 km away" in captured.out


def test_no_hint_at_a_buffer_that_was_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(50.0 + 0.005 * i, 10.0, "") for i in range(12)]  # a chain of steps of 556 m
    where = f"split {table(tmp_path, rows)} --out {tmp_path}/s.json --fractions 0.6 0.2 0.2"
    assert main(f"{where} --buffer-km 0.3".split()) == 0
    assert "--buffer-km" not in capsys.readouterr().err
    assert main(f"{where} --overwrite".split()) == 0
    assert "is 556 m from a training location" in capsys.readouterr().err


def test_one_location(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text("lat,lon\n50,10\n")
    assert main(f"split {tmp_path}/t.csv --out {tmp_path}/s.json".split()) == 1
    assert "got 1 from 1 location:" in capsys.readouterr().err
    assert main(f"split {tmp_path}/t.csv --out {tmp_path}/s.json --fractions 1 0 0".split()) == 0
    assert "1 train, 0 val, 0 test locations" in capsys.readouterr().out


def test_numbers_that_cannot_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "t.csv").write_text("lat,lon\n50,10\n")
    for flags, words in {
        "--buffer-km inf": "buffer_km must be a number of kilometres of at least 0",
        "--buffer-km=-1": "buffer_km must be a number of kilometres of at least 0",
        "--fractions 1 0": "--fractions",
        f"--seed {2**70}": "seed must be",
    }.items():
        assert main(f"split {tmp_path}/t.csv --out {tmp_path}/s.json {flags}".split()) == 2, flags
        captured = capsys.readouterr()
        assert words in captured.err, flags
        assert captured.err.count("\n") == 1
    assert not (tmp_path / "s.json").exists()


def test_groups_and_strata_by_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{40 + i},{i % 7},u{i % 9},{'north' if i % 2 else 'south'}" for i in range(36)]
    (tmp_path / "t.csv").write_text("\n".join(["lat,lon,user,country", *rows]) + "\n")
    where = f"split {tmp_path}/t.csv --out {tmp_path}/s.json --overwrite --fractions 0.6 0.2 0.2 --json"
    for flags, protocol in {
        "--by user --stratify country": "by column user, stratified by country",
        "--by cell:2": "by cell:2",
        "--stratify user --buffer-km 1": "by location, stratified by user, buffer 1 km",
    }.items():
        assert main([*where.split(), *flags.split()]) == 0, flags
        result = json.loads(capsys.readouterr().out)
        assert result["protocol"] == protocol
        assert sum(result["locations"].values()) == 36
        assert json.loads((tmp_path / "s.json").read_text())["protocol"] == protocol
    for flags in ("--by cell:99", "--by nobody", "--by cell:3 --buffer-km 1", "--from-column --by user"):
        assert main([*where.split(), *flags.split()]) == 2, flags
        assert capsys.readouterr().err.count("\n") == 1
